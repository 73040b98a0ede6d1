"""What is wrong with tasks, workers, settings and policies."""

from __future__ import annotations

import reprlib

from supreme_dask.errors.base import SupremeError, listed

_LONGEST = 40  # characters of a resource's name in a message


class DemandError(SupremeError, ValueError):
    """An amount of a resource, or the name of one, that cannot be understood.

    Attributes
    ----------
    resource : str
        Name of the resource, as given.
    amount : object
        What was given for it.
    """

    def __init__(self, resource: object, amount: object, problem: str) -> None:
        is_plain = isinstance(resource, str) and 0 < len(resource) <= _LONGEST and resource.isprintable()
        name = resource if is_plain else _shown(resource)
        super().__init__(f"{name}={_shown(amount)}: {problem}")
        self.resource = resource
        self.amount = amount


class ConfigError(SupremeError, ValueError):
    """A setting that cannot be used.

    Attributes
    ----------
    setting : str
        Full name in Dask's config, such as ``supreme.memory.safe-fraction``.
    value : object
        What it was set to.
    """

    def __init__(self, setting: str, value: object, problem: str) -> None:
        super().__init__(f"{setting}: {value!r}: {problem}")
        self.setting = setting
        self.value = value


class EngineError(SupremeError, RuntimeError):
    """An engine that could not say what a call needs. Nothing was submitted.

    Attributes
    ----------
    engine : str
        Its name.
    method : str
        The ``estimate_…`` method that raised.
    cause : Exception
        What it raised.
    """

    def __init__(self, engine: str, method: str, arguments: str, cause: Exception) -> None:
        super().__init__(
            f"engine {engine!r}: {method}{arguments} raised {cause!r}; "
            "correct it, or let it return None to have the amount learned"
        )
        self.engine = engine
        self.method = method
        self.cause = cause


class PolicyError(SupremeError, ValueError):
    """A policy that cannot be used. The one before stays in force.

    Attributes
    ----------
    problems : list of str
        One per offence: the JSON path and the reason.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"the policy is refused{listed(problems)}")
        self.problems = problems


class ScalingError(SupremeError, RuntimeError):
    """Somebody wants to scale workers that are scaled already.

    Attributes
    ----------
    groups : list of str
        The worker groups that are scaled.
    """

    def __init__(self, groups: list[str]) -> None:
        super().__init__(
            f"the workers of this scheduler are scaled already, in the groups {', '.join(groups) or '(none yet)'}; "
            "publish groups there, or set no store and no groups"
        )
        self.groups = groups


class TraceError(SupremeError, ValueError):
    """A table from which no jobs can be read.

    Attributes
    ----------
    row : int or None
        Number of the row, from 1, that cannot be understood; None if it is the whole table.
    """

    def __init__(self, row: int | None, problem: str) -> None:
        super().__init__(f"no trace of jobs: {problem}" if row is None else f"row {row}: {problem}")
        self.row = row


class UnknownExtensionError(SupremeError, LookupError):
    """Nothing is installed under a name.

    Attributes
    ----------
    kind : str
        What was looked for, such as ``"engines"``.
    name : str
        The name.
    installed : list of str
        The names there are.
    """

    def __init__(self, kind: str, name: str, installed: list[str]) -> None:
        super().__init__(f"no {name!r} among the installed {kind}: {', '.join(installed) or 'there are none'}")
        self.kind = kind
        self.name = name
        self.installed = installed


class ProvisionError(SupremeError, RuntimeError):
    """A worker of a group that cannot be had now.

    Attributes
    ----------
    group : str
        Name of the group.
    reason : str
        Why, such as a quota or an image that is missing.
    """

    def __init__(self, group: str, reason: str) -> None:
        super().__init__(f"no worker of group {group!r} can be had: {reason}")
        self.group = group
        self.reason = reason


class ApiServerError(SupremeError, ConnectionError):
    """What the API server of Kubernetes refuses, or that it does not answer.

    Attributes
    ----------
    code : int
        Status of its answer; 0 if there was none.
    """

    def __init__(self, code: int, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class MessageError(SupremeError, ValueError):
    """A message of another process that cannot be read. It is left aside; everything else goes on.

    Attributes
    ----------
    message : str
        Which one, such as ``supreme-hello``.
    field : str
        Name of the value that is wrong; empty if it is the whole message.
    """

    def __init__(self, message: str, field: str, value: object, problem: str) -> None:
        super().__init__(f"{message}: {field + '=' if field else ''}{_shown(value)}: {problem}")
        self.message = message
        self.field = field


class InactiveError(SupremeError, RuntimeError):
    """A scheduler on which plain Dask places: it does not have the plugin, or that has failed there.

    Attributes
    ----------
    address : str
        Of the scheduler.
    """

    def __init__(self, address: str) -> None:
        super().__init__(f"supreme-dask is not active at {address}; plain Dask places there")
        self.address = address


class IncompatibleDaskError(SupremeError, RuntimeError):
    """The installed distributed differs from the ones we know how to extend.

    Attributes
    ----------
    differences : list of str
        One sentence per method that is missing or takes other arguments.
    """

    def __init__(self, differences: list[str]) -> None:
        super().__init__("; ".join(differences))
        self.differences = differences


def _shown(value: object) -> str:
    """Return a value for a message: short, whatever a user gave us."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of very many digits"  # sys.set_int_max_str_digits
