"""Every error that supreme-dask raises, and whose fault it is.

::

    SupremeError
    ├── DemandError (ValueError)        the caller's: an amount or a name that cannot be understood
    ├── ConfigError (ValueError)        the operator's: a setting that cannot be used
    ├── EngineError (RuntimeError)      the engine's author's: an estimate that raises
    ├── ScalingError (RuntimeError)     the operator's: two scale the same workers
    ├── PolicyError (ValueError)        the operator's: a policy that says what cannot be, or nothing that we know
    ├── TraceError (ValueError)         the caller's: a table that is no trace of jobs
    ├── UnknownExtensionError (LookupError)    the caller's: nothing is installed under that name
    ├── ProvisionError (RuntimeError)   the world's: a worker of a group cannot be had now
    ├── IncompatibleDaskError (RuntimeError)   the world's: this distributed is not the one we know
    └── StoreError                      all that has to do with a store
        ├── StoreAddressError (ValueError)     the operator's: a URL that names no store
        ├── MissingExtraError (ImportError)    the operator's: a package of an extra is not installed
        ├── MissingProgramError (FileNotFoundError) the operator's: a program that we start is not installed
        ├── LimitError (ValueError)            the caller's: a key, value or transaction that no store takes
        ├── FutureRevisionError (LookupError)  the caller's: a revision that the store has not reached
        ├── CompactedError (LookupError)       the world's: the store no longer keeps that revision
        │   └── MovedError                     the world's: the system is in another shard now
        ├── LeaseLostError (LookupError)       the world's: the lease ended, and its keys with it
        ├── LeadershipLostError (RuntimeError) the world's: somebody else may lead now; nothing was written
        ├── OvertakenError (RuntimeError)      the world's: a later scheduler has begun; nothing was written
        ├── AmbiguousWriteError (ConnectionError)   the world's: written or not, nobody can say; read again
        ├── StoreUnavailableError (ConnectionError) the world's: nothing was written; try later
        ├── StoreAccessError (PermissionError) the operator's: the store refuses who we are
        ├── StoreFullError (OSError)           the operator's: no space left for writes
        ├── StoreFormatError (RuntimeError)    the operator's: what is there was not written by this schema
        ├── MoveError (RuntimeError)           the operator's: a system that cannot be moved now
        ├── DocumentError (ValueError)         the caller's: a document that its schema does not allow
        ├── NotPublishedError (LookupError)    the caller's: a document, revision or tag that is not there
        ├── PublishConflictError (RuntimeError) the world's: somebody else was faster; nothing was published
        ├── NoSchedulerError (LookupError)     the world's: no scheduler of that system is registered
        └── BlobError (OSError)                the world's: a large thing is gone or not what was written
"""

from __future__ import annotations

import reprlib


class SupremeError(Exception):
    """Base of all errors of this package."""


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
        name = resource if isinstance(resource, str) else _shown(resource)
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
        super().__init__(f"not a policy: {'; '.join(problems)}")
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


class StoreError(SupremeError):
    """Base of all errors of stores."""


class StoreAddressError(StoreError, ValueError):
    """A URL that names no store.

    Attributes
    ----------
    address : str
        As given, without its password.
    """

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"store address {address!r}: {problem}")
        self.address = address


class MissingExtraError(StoreError, ImportError):
    """A package that only one extra of supreme-dask brings is not installed.

    Attributes
    ----------
    extra : str
        Name of the extra.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs more packages: pip install 'supreme-dask[{extra}]'")
        self.extra = extra


class MissingProgramError(StoreError, FileNotFoundError):
    """A program that we are to start is not installed.

    Attributes
    ----------
    program : str
        Its name.
    """

    def __init__(self, program: str, how_to_install: str) -> None:
        super().__init__(f"no program {program!r} found; get one with: {how_to_install}")
        self.program = program


class LimitError(StoreError, ValueError):
    """A key, a value, a lease or a transaction that no store takes.

    Attributes
    ----------
    what : str
        What is out of bounds, with its size.
    limit : str
        What is allowed.
    """

    def __init__(self, what: str, limit: str, advice: str = "") -> None:
        super().__init__(f"{what}; allowed: {limit}" + (f". {advice}" if advice else ""))
        self.what = what
        self.limit = limit


class FutureRevisionError(StoreError, LookupError):
    """A revision that the store has not reached.

    Attributes
    ----------
    revision : int
        What was asked for.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(f"revision {revision} is in the future of this store; was it taken from another one?")
        self.revision = revision


class CompactedError(StoreError, LookupError):
    """The store no longer keeps what was asked for: list again and watch from there.

    Attributes
    ----------
    asked : int
        Revision that was asked for.
    compacted : int
        Oldest revision that can still be read; 0 if the store did not say.
    """

    def __init__(self, asked: int, compacted: int) -> None:
        kept = f"keeps revisions from {compacted} on" if compacted else "keeps only newer ones"
        super().__init__(f"revision {asked} was compacted, the store {kept}; list again and watch from there")
        self.asked = asked
        self.compacted = compacted


class MovedError(CompactedError):
    """The system moved to another shard, where its history begins anew: list again and watch from there.

    Attributes
    ----------
    system : str
        Its name.
    """

    def __init__(self, system: str, asked: int) -> None:
        super().__init__(asked, 0)
        self.args = (f"system {system!r} moved to another shard; list again and watch from there",)
        self.system = system


class LeaseLostError(StoreError, LookupError):
    """The lease has ended, and with it every key that was put under it.

    Attributes
    ----------
    lease : int
        Identity of the lease.
    """

    def __init__(self, lease: int) -> None:
        super().__init__(f"lease {lease:x} has ended and its keys are gone; grant a new one, put them again")
        self.lease = lease


class LeadershipLostError(StoreError, RuntimeError):
    """Somebody else leads, or may lead, by now; the write was not made.

    Attributes
    ----------
    election : str
        Key of the election.
    epoch : int
        Epoch of the leadership that was lost.
    """

    def __init__(self, election: str, epoch: int, reason: str) -> None:
        super().__init__(f"no longer leader of {election!r} (epoch {epoch}): {reason}; campaign again")
        self.election = election
        self.epoch = epoch


class AmbiguousWriteError(StoreError, ConnectionError):
    """The write may have been applied or not: no answer came, or one that leaves it open.

    Read again before writing again; a value that carries an identity of its own settles it.

    Attributes
    ----------
    store : str
        Address of the store.
    """

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store}: applied or not, nobody can say ({reason}); read before writing again")
        self.store = store


class StoreUnavailableError(StoreError, ConnectionError):
    """The store does not answer. Nothing was written.

    Attributes
    ----------
    store : str
        Address of the store.
    """

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store}: no answer ({reason}); nothing was written, try again later")
        self.store = store


class StoreAccessError(StoreError, PermissionError):
    """The store refuses who we are, what we may do, or the certificates between us.

    Attributes
    ----------
    store : str
        Address of the store.
    """

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(f"{store}: access refused: {problem}")
        self.store = store


class StoreFullError(StoreError, OSError):
    """No space is left for writes; reads and deletes still work.

    Attributes
    ----------
    store : str
        Address of the store.
    """

    def __init__(self, store: str, advice: str) -> None:
        super().__init__(f"{store}: no space left; {advice}")
        self.store = store


class StoreFormatError(StoreError, RuntimeError):
    """What is stored there was not written by this schema.

    Attributes
    ----------
    store : str
        Address of the store.
    """

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(f"{store}: {problem}")
        self.store = store


class MoveError(StoreError, RuntimeError):
    """A system that cannot be moved now. It is where it was, and whole.

    Attributes
    ----------
    system : str
        Its name.
    """

    def __init__(self, system: str, reason: str) -> None:
        super().__init__(f"system {system!r} was not moved: {reason}")
        self.system = system


class DocumentError(StoreError, ValueError):
    """A document that its schema does not allow. Nothing was published.

    Attributes
    ----------
    document : str
        Name of the document.
    problems : list of str
        One per offence: the JSON path and the reason.
    """

    def __init__(self, document: str, problems: list[str]) -> None:
        super().__init__(f"{document} was not published: {'; '.join(problems)}")
        self.document = document
        self.problems = problems


class NotPublishedError(StoreError, LookupError):
    """A document, a revision of one, or a tag that is not there.

    Attributes
    ----------
    what : str
        What was asked for.
    known : list of str
        What is there instead.
    """

    def __init__(self, what: str, known: list[str]) -> None:
        super().__init__(f"there is no {what}; there is: {', '.join(known) or 'nothing'}")
        self.what = what
        self.known = known


class PublishConflictError(StoreError, RuntimeError):
    """A document was published by somebody else in between: read it again, then decide.

    Attributes
    ----------
    document : str
        Name of the document; several, with commas, if they were to be published together.
    """

    def __init__(self, document: str, problem: str, done: str = "") -> None:
        super().__init__(f"{document}: {problem}; {done or _NOTHING}")
        self.document = document


class OvertakenError(StoreError, RuntimeError):
    """A later scheduler of the system has begun; the write was not made.

    Attributes
    ----------
    system : str
        Name of the system.
    epoch : int
        Of the scheduler that was overtaken.
    """

    def __init__(self, store: str, system: str, epoch: int) -> None:
        super().__init__(f"{store}: a later scheduler of system {system!r} has begun than that of epoch {epoch}")
        self.system = system
        self.epoch = epoch


class NoSchedulerError(StoreError, LookupError):
    """No scheduler of the system is registered.

    Attributes
    ----------
    system : str
        Name of the system.
    """

    def __init__(self, store: str, system: str, known: list[str]) -> None:
        others = f"registered are schedulers of: {', '.join(known)}" if known else "no system has one"
        super().__init__(f"{store}: no scheduler of system {system!r} is registered; {others}")
        self.system = system


class BlobError(StoreError, OSError):
    """A large thing cannot be had as it was written.

    Attributes
    ----------
    name : str
        Name of the blob.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"blob {name!r}: {problem}")
        self.name = name


_NOTHING = "nothing was published, read it again"


def _shown(value: object) -> str:
    """Return a value for a message: short, whatever a user gave us."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of very many digits"  # sys.set_int_max_str_digits
