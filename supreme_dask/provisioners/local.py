"""Workers of this machine: processes that outlive whoever started them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

from supreme_dask.core.groups import WorkerGroup
from supreme_dask.core.plans import Plan
from supreme_dask.errors import ConfigError, ProvisionError
from supreme_dask.provisioners import processes, starting
from supreme_dask.provisioners.names import Names
from supreme_dask.provisioners.processes import Process

_LOOPBACK = "127.0.0.1"
_GRACE = 30.0  # s; longer than the notice that a worker takes to hand over what it holds
_KEPT = 20  # directories of workers that have ended, for their logs
_TOLD = 3  # lines of a log
_WIDEST = 200  # characters of one
_FRAMES = ("Traceback ", "The above exception", "During handling")


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written down of a worker."""

    group: str
    process: Process


class LocalProvisioner:
    """Starts `dask worker`, with a nanny, and finds again those that an earlier one has started.

    Each worker has a directory of its own, with its log. The workers of one that is closed, or dies, run on.

    Parameters
    ----------
    directory
        Where it keeps what it knows of its workers; for it alone.
    scheduler
        Address of their scheduler; empty to find that of `system` in `store`.
    store, system
        Where they register; without a store they do not, and need the address.
    host
        Where they listen. By default nobody outside this machine reaches them.

    Raises
    ------
    ConfigError
        If another one that lives keeps its workers there, or a file of the directory cannot be read.
    """

    def __init__(
        self,
        directory: Path,
        *,
        scheduler: str = "",
        store: str = "",
        system: str = "default",
        host: str = _LOOPBACK,
    ) -> None:
        self._directory = directory.absolute()
        self._scheduler = scheduler
        self._last_known = ""  # where the scheduler was when the last plan was made
        self._host = host
        self._store, self._system = store, system
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(self._directory / "lock")
        self._numbers = self._directory / "numbers.json"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._names = Names(_read_numbers(self._numbers) if self._numbers.exists() else {})
            self._records = dict(self._written_down())
        except ConfigError:
            self._lock.close()
            raise

    def __str__(self) -> str:
        return f"processes of this machine, kept in {self._directory}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory. The workers run on."""
        self._lock.close()

    async def launch(self, group: WorkerGroup, count: int) -> None:
        """See `Provisioner.launch`."""
        for _ in range(count):
            try:
                self._start(group)
            except OSError as error:
                raise ProvisionError(group.name, str(error)) from error
            await asyncio.sleep(0)  # others may have something to do meanwhile

    async def heed(self, plan: Plan) -> None:
        """See `Provisioner.heed`."""
        for name, group in plan.others.items():
            self._names.see(name, group)
        self._last_known = plan.scheduler

    async def remove(self, names: Collection[str]) -> None:
        """See `Provisioner.remove`."""
        leaving = {name: self._records[name].process for name in names if name in self._records}
        for process in leaving.values():
            if process.alive():
                process.end()
        try:
            async with asyncio.timeout(_GRACE):
                await self._until_ended(leaving)
        except TimeoutError:
            for name in filter(self._lives, leaving):
                leaving[name].kill()
            await self._until_ended(leaving)
        for name in leaving:
            self._forget(name)

    async def workers(self) -> Mapping[str, str]:
        """See `Provisioner.workers`."""
        for name in [name for name in self._records if not self._lives(name)]:
            del self._records[name]
            (self._directory / name / "process.json").unlink(missing_ok=True)
            self._tidy()
        return {name: record.group for name, record in self._records.items()}

    async def arrived(self) -> Collection[str]:
        """See `Provisioner.arrived`."""
        return {path.parent.name for path in self._directory.glob("*/arrived")}

    async def trouble(self, name: str) -> str:  # noqa: ARG002
        """See `Provisioner.trouble`."""
        return ""  # what keeps a process from starting ends it

    async def last_words(self, name: str) -> str:
        """See `Provisioner.last_words`."""
        child, log = self._children.get(name), self._directory / name / "log"
        how = processes.how_it_ended(child) if child is not None else ""
        lines = _telling(log.read_text(errors="replace")) if log.exists() else []
        return "; ".join(part for part in (how, *lines, f"all of it is in {log}" if lines else "") if part)

    # ----------------------------------------------------------------------------------- start
    def _start(self, group: WorkerGroup) -> None:
        name = self._names.next(group.name)
        _replace(self._numbers, self._names.last)
        directory = self._directory / name
        directory.mkdir(mode=0o700)

        def write_down(process: Process) -> None:
            record = _Record(group.name, process)
            _replace(directory / "process.json", asdict(record))
            self._records[name] = record

        try:
            command, environment = self._command(group, name), self._environment(group, name)
            self._children[name] = processes.start(command, directory / "log", environment, write_down)
        except OSError:
            self._forget(name)
            raise

    def _command(self, group: WorkerGroup, name: str) -> list[str]:
        known = ["worker", self._scheduler] if self._scheduler else []
        return [
            *(sys.executable, "-m", "dask", *(known or starting.by_system(group, self._last_known))),
            *("--preload", "supreme_dask.preload", "--host", self._host, "--dashboard-address", f"{self._host}:0"),
            *starting.options(group, name, str(self._directory / name)),
        ]

    def _environment(self, group: WorkerGroup, name: str) -> dict[str, str]:
        arrived = str(self._directory / name / "arrived")
        return os.environ | starting.environment(group, arrived, store=self._store, system=self._system)

    # ------------------------------------------------------------------------------------- end
    def _lives(self, name: str) -> bool:
        child, record = self._children.get(name), self._records.get(name)
        if child is not None:
            return child.poll() is None
        return record is not None and record.process.alive()

    async def _until_ended(self, names: Collection[str]) -> None:
        while any(self._lives(name) for name in names):  # noqa: ASYNC110  a process tells only its parent that it ends
            await asyncio.sleep(0.05)

    def _forget(self, name: str) -> None:
        self._records.pop(name, None)
        self._children.pop(name, None)
        shutil.rmtree(self._directory / name, ignore_errors=True)

    def _tidy(self) -> None:
        """Keep the directories of the workers that have ended last."""
        ended = [path for path in self._directory.iterdir() if path.is_dir() and path.name not in self._records]
        ended.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in islice(ended, _KEPT, None):
            self._forget(path.name)

    def _written_down(self) -> Iterator[tuple[str, _Record]]:
        for path in self._directory.glob("*/process.json"):
            yield path.parent.name, _read_record(path)


@asynccontextmanager
async def opened(
    store: str, system: str, *, directory: Path | None, host: str | None
) -> AsyncIterator[LocalProvisioner]:
    """Open the provisioner of a system.

    Parameters
    ----------
    store, system
        Where the workers register, and find their scheduler.
    directory
        Where their logs are, and what finds them again.
    host
        Where they listen; None for loopback.

    Raises
    ------
    ConfigError
        As `LocalProvisioner`, or without a directory.
    """
    if directory is None:
        raise ConfigError("directory", directory, "expected where its workers are kept")
    with LocalProvisioner(directory, store=store, system=system, host=host or _LOOPBACK) as provisioner:
        yield provisioner


def _lock(path: Path) -> IO[str]:
    """Return an open file that only we hold, for as long as it is open."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        problem = "another controller keeps its workers there; name another directory"
        raise ConfigError("directory", str(path.parent), problem) from None
    return file


def _read_record(path: Path) -> _Record:
    """Return what was written of a worker; what a newer release has added is left out.

    Raises
    ------
    ConfigError
        If anything is missing. The worker may run, and without it another one would be launched beside it.
    """
    with _readable(path, f"remove it once the worker {path.parent.name} has ended"):
        written = json.loads(path.read_text())
        pid, born, boot = (written["process"][name] for name in ("pid", "born", "boot"))
        return _Record(str(written["group"]), Process(int(pid), float(born), str(boot)))


def _read_numbers(path: Path) -> dict[str, int]:
    """Return the last number of each group, or raise `ConfigError`."""
    with _readable(path, "remove it once all workers of the system have ended: their names would be given again"):
        return {str(group): int(number) for group, number in json.loads(path.read_text()).items()}


@contextmanager
def _readable(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it is damaged, or of another release ({type(error).__name__}: {error}); {remedy}"
        raise ConfigError("file of the controller", str(path), reason) from None


def _telling(log: str) -> list[str]:
    """Return the last lines of a log that say something: of a traceback, those that name the errors."""
    said = [line for line in log.splitlines() if line[:1].strip() and not line.startswith(_FRAMES)]
    return [line[:_WIDEST] for line in dict.fromkeys(said)][-_TOLD:]


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file so that whoever reads it finds all of the old content or all of the new."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.replace(path)
