"""Processes that outlive the one that started them, and are found again by the next."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# It waits until it was written down who it is; should we die before, it reads the end of our pipe and ends too.
_GATE = 'read -r _ && exec "$@" </dev/null'
_BOOT_IDENTITY = Path("/proc/sys/kernel/random/boot_id")
# The time of day of the machine's start is rounded to seconds, and moves a little when its clock is corrected.
_ROUNDING = 1.5


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from all others that ever have its number.

    Attributes
    ----------
    pid : int
        Its number, and that of its session.
    born : float
        Seconds after the start of the machine; unlike the time of day, nobody can set that.
    boot : str
        What tells that start of the machine from others; empty where nothing does.
    """

    pid: int
    born: float
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has a number now, or raise `psutil.NoSuchProcess`."""
        boot = _BOOT_IDENTITY.read_text().strip() if _BOOT_IDENTITY.exists() else ""
        return cls(pid, psutil.Process(pid).create_time() - psutil.boot_time(), boot)

    def alive(self) -> bool:
        """Tell whether it has not ended."""
        try:
            there = Process.of(self.pid)
            ended = psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        return not ended and there.boot == self.boot and abs(there.born - self.born) < _ROUNDING

    def end(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and all that it has started in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def start(
    command: Sequence[str], log: Path, environment: Mapping[str, str], written: Callable[[Process], None]
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; it does nothing before `written` has noted who it is."""
    with log.open("ab") as output:
        started = subprocess.Popen(  # noqa: S603  the shell is given a fixed text and the command as its arguments
            ["/bin/sh", "-c", _GATE, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,
        )
    assert started.stdin is not None  # noqa: S101  for the type checker
    with started.stdin as gate:
        try:
            written(Process.of(started.pid))
        except BaseException:
            started.kill()
            started.wait()
            raise
        gate.write(b"go\n")
    return started


def how_it_ended(started: subprocess.Popen[bytes]) -> str:
    """Return how a process has ended, for humans."""
    code = started.poll()
    if code is None:
        return "it has not ended"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
