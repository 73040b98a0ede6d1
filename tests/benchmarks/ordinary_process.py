"""The process in which one contender of `ordinary.py` runs, watched from outside."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

CONTENDERS = ("stock", "ours")
PROGRAM = Path(__file__).with_name("ordinary_run.py")
START = 60.0  # seconds until a cluster that does not come up counts as a hang
SAMPLES = 0.04  # seconds between two looks at memory
NEW = 0.5  # seconds between two looks for new processes


@dataclass(slots=True)
class Run:
    """One run of one workload by one contender; ``wall`` in seconds, the rest in bytes, ``lost`` in workers."""

    workload: str
    contender: str
    round: int
    turn: str
    wall: float | None = None
    memory: int = 0
    fetched: float = 0
    spilled: float = 0
    lost: int = 0
    result: Any = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it came to a result."""
        return self.wall is not None and self.error is None

    def figures(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return asdict(self)

    def line(self) -> str:
        """Return the figures for a person."""
        if not self.ended:
            return f"{self.turn}: {(self.error or 'hang').strip().splitlines()[-1]}"
        sizes = f"{self.memory / 1e6:.0f} MB, fetched {self.fetched / 1e6:.0f}, spilled {self.spilled / 1e6:.0f}"
        return f"{self.turn}: {self.wall:.2f} s, {sizes}, lost {self.lost}"


def run_all(contender: str, names: Sequence[str], *, quick: bool, patience: float, number: int) -> Iterator[Run]:
    """Run workloads one after another in one cluster; after a hang, the rest of them in a new one."""
    rest = list(names)
    while rest:
        with _Process(contender, rest, quick) as process:
            for run in process.runs(patience):
                run.round = number
                yield run
        rest = rest[rest.index(process.workload) + 1 :]


class _Process:
    """A running `ordinary_run.py`, with all that it starts."""

    def __init__(self, contender: str, names: Sequence[str], quick: bool) -> None:
        self._contender, self._names = contender, names
        self._command = [sys.executable, str(PROGRAM), contender, "quick" if quick else "full", *names]
        self.workload = names[0]

    def __enter__(self) -> _Process:
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=self._log, text=True, start_new_session=True
        )
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._memory = _Memory(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if self._process.poll() is None and self._hung else 10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with its workers, whatever they hang in
        self._process.wait()
        self._log.close()

    def runs(self, patience: float) -> Iterator[Run]:
        """Give each run as it ends; one that hangs is the last one."""
        self._hung, turn, deadline = True, "first", time.monotonic() + START
        while True:
            told = self._next(deadline)
            if told.get("event") == "bye":
                self._hung = False
                return
            if told.get("event") == "end":
                del told["event"]
                yield Run(contender=self._contender, round=0, memory=self._memory.peak, **told)
            elif told.get("event") == "begin":
                self.workload, turn = told["workload"], told["turn"]
                self._memory.peak = 0
            elif told.get("event") != "ready":
                yield Run(self.workload, self._contender, 0, turn, error=self._died())
                return
            deadline = time.monotonic() + patience

    def _next(self, deadline: float) -> dict[str, Any]:
        """Return what is told next, or nothing after the deadline; meanwhile look at the memory."""
        while time.monotonic() < deadline:
            with suppress(queue.Empty):
                return self._lines.get(timeout=SAMPLES)
            self._memory.sample()
        return {}

    def _read(self, output: IO[str]) -> None:
        for line in output:
            with suppress(json.JSONDecodeError):
                if isinstance(told := json.loads(line), dict):
                    self._lines.put(told)
        self._lines.put({"event": "died"})

    def _died(self) -> str:
        """Say whether it hangs, or what it wrote last."""
        if self._process.poll() is None:
            return "hang"
        self._log.seek(0)
        return f"ended with {self._process.returncode}: {self._log.read()[-2000:]}"


class _Memory:
    """What the processes below one have resident together, at most."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._below: list[psutil.Process] = []
        self._looked = 0.0
        self.peak = 0

    def sample(self) -> None:
        """Look once."""
        if time.monotonic() > self._looked + NEW:
            with suppress(psutil.Error):
                self._below = self._root.children(recursive=True)
            self._looked = time.monotonic()
        self.peak = max(self.peak, sum(map(_resident, self._below)))


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
