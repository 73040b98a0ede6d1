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
    ├── ApiServerError (ConnectionError) the world's: Kubernetes refuses what is asked, or does not answer
    ├── InactiveError (RuntimeError)    the operator's: a scheduler on which plain Dask places
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

from supreme_dask.errors.base import SupremeError
from supreme_dask.errors.stores import (
    AmbiguousWriteError,
    BlobError,
    CompactedError,
    DocumentError,
    FutureRevisionError,
    LeadershipLostError,
    LeaseLostError,
    LimitError,
    MissingExtraError,
    MissingProgramError,
    MovedError,
    MoveError,
    NoSchedulerError,
    NotPublishedError,
    OvertakenError,
    PublishConflictError,
    StoreAccessError,
    StoreAddressError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreUnavailableError,
)
from supreme_dask.errors.work import (
    ApiServerError,
    ConfigError,
    DemandError,
    EngineError,
    InactiveError,
    IncompatibleDaskError,
    MessageError,
    PolicyError,
    ProvisionError,
    ScalingError,
    TraceError,
    UnknownExtensionError,
)

__all__ = [
    "AmbiguousWriteError",
    "ApiServerError",
    "BlobError",
    "CompactedError",
    "ConfigError",
    "DemandError",
    "DocumentError",
    "EngineError",
    "FutureRevisionError",
    "InactiveError",
    "IncompatibleDaskError",
    "LeadershipLostError",
    "LeaseLostError",
    "LimitError",
    "MessageError",
    "MissingExtraError",
    "MissingProgramError",
    "MoveError",
    "MovedError",
    "NoSchedulerError",
    "NotPublishedError",
    "OvertakenError",
    "PolicyError",
    "ProvisionError",
    "PublishConflictError",
    "ScalingError",
    "StoreAccessError",
    "StoreAddressError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreUnavailableError",
    "SupremeError",
    "TraceError",
    "UnknownExtensionError",
]
