"""Settings that cannot be used are errors that name them."""

import dask
import pytest

from supreme_dask import config
from supreme_dask.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "value", "read"),
    [
        ("patience", "soon", config.settings),
        ("patience", -1, config.settings),
        ("infeasible-timeout", "-1s", config.settings),
        ("look-ahead.tasks", 0, config.settings),
        ("look-ahead.tasks", 1.5, config.settings),
        ("look-ahead.seconds", "long", config.settings),
        ("look-ahead.below", [], config.settings),
        ("memory.safe-fraction", 0, lambda: config.fraction("memory.safe-fraction")),
        ("memory.safe-fraction", 1.1, lambda: config.fraction("memory.safe-fraction")),
        ("memory.safe-fraction", "most", lambda: config.fraction("memory.safe-fraction")),
        ("network", "fast", config.network),
        ("demands", {"load": {"memory": -1}}, config.demands),
        ("demands", {"load": 5}, config.demands),
        ("demands", 5, config.demands),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_named(setting, value, read):
    with dask.config.set({f"supreme.{setting}": value}), pytest.raises(ConfigError, match=f"supreme.{setting}"):
        read()


def test_the_defaults_can_be_used():
    assert config.settings().patience == 1.0
    assert config.settings().infeasible_timeout is None
    assert config.demands() == {}
    assert config.network() == 1_250_000_000
    assert config.fraction("memory.safe-fraction") == 0.92
