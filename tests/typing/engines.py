"""What a type checker infers for programs that use `engine`: `make lint` checks it, nothing here is run.

Where a call is wrong, an error is expected: an ignored error that is not there is one itself.
"""

from collections.abc import Sequence
from typing import assert_type

from supreme_dask import BaseSupremeEngine, engine
from supreme_dask.core.resources import Resources


@engine(cpu=2, memory=lambda values: 24 * len(values), GPU=1)
def mean(values: Sequence[float], *, digits: int = 2) -> float:
    return round(sum(values) / len(values), digits)


@engine
def shout(word: str) -> str:
    return word.upper()


@engine()
async def later(number: int) -> bytes:
    return bytes(number)


def double(number: int) -> int:
    return 2 * number


doubled = engine(double, memory="1 MiB")


async def what_is_inferred() -> None:
    assert_type(mean([1.0], digits=1), float)
    assert_type(mean.run([1.0]), float)
    assert_type(shout("a"), str)
    assert_type(await later(2), bytes)
    assert_type(doubled(1), int)
    assert_type(doubled.function(1), int)
    assert_type(doubled.name, str)
    assert_type(mean.get_demand([1.0]), Resources)
    engines: list[BaseSupremeEngine] = [mean, shout, later, doubled]
    assert engines


def what_is_refused() -> None:
    mean("a word", digits=1)  # type: ignore[arg-type]
    mean([1.0], digit=1)  # type: ignore[call-arg]
    mean.run()  # type: ignore[call-arg]
    shout(1)  # type: ignore[arg-type]
    doubled("1")  # type: ignore[arg-type]
    engine(double, memory=[1])  # type: ignore[call-overload]
    engine("sort")  # type: ignore[call-overload]
