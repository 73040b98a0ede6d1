"""What is wrong with a store, or with what is kept there."""

from __future__ import annotations

from collections.abc import Sequence

from supreme_dask.errors.base import SupremeError, listed

_NOTHING = "nothing was published, read it again"


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
    """A document that its schema does not allow.

    Attributes
    ----------
    document : str
        Name of the document.
    problems : list of str
        One per offence: the JSON path and the reason.
    """

    def __init__(self, document: str, problems: list[str]) -> None:
        super().__init__(f"{document} is refused{listed(problems)}")
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
    """No scheduler of the system is registered, or those that are do not answer.

    Attributes
    ----------
    system : str
        Name of the system.
    """

    def __init__(self, store: str, system: str, known: list[str], *, gone: Sequence[str] = ()) -> None:
        others = f"registered are schedulers of: {', '.join(known)}" if known else "no system has one"
        missing = f"is registered; {others}"
        if gone:
            missing = f"answers: {', '.join(gone)} is registered, and takes no connection"
        super().__init__(f"{store}: no scheduler of system {system!r} {missing}")
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
