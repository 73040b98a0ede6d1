"""What README and how-tos show of servers is typed as it stands there, with ports that are free."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
pytestmark = pytest.mark.slow

SECONDS = 120  # for a command that ends by itself, on a loaded machine
PATIENCE = 60  # s until a server says that it is there
PROGRAM = """
from distributed import Client
with Client("tcp://127.0.0.1:8786") as client:
    client.wait_for_workers(1, timeout=60)
    future = client.submit(sum, [1, 2])
    future.result()
"""


def block(document, language, place):
    found = re.findall(r"^```(\w+)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    return [text for one, text in found if one == language][place]


def lines(text):
    """Return the commands of a block, without their prompts and remarks."""
    shown = [line.partition("  #")[0].strip() for line in text.splitlines()]
    prompted = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
    return prompted or [line for line in shown if line]


class Session:
    """A user's directory, home and ports."""

    def __init__(self, place):
        self.place = place
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.ports = {8786: one.getsockname()[1], 8787: other.getsockname()[1]}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DASK_")},
            "HOME": str(place),
            "PATH": path,
            "PYTHONUNBUFFERED": "1",
            "XDG_STATE_HOME": str(place / "state"),
        }

    def typed(self, text):
        """Return what is typed where the ports of the documents may be taken."""
        text = re.sub(r"^dask scheduler (?!.*--port)", "dask scheduler --port 8786 ", text)
        text = re.sub(r"^dask supreme up (?!.*--port)", "dask supreme up --port 8786 ", text)
        for shown, free in self.ports.items():
            text = text.replace(str(shown), str(free))
        return re.sub(r"^(dask supreme up .*)$", rf"\1 --dashboard-address 127.0.0.1:{self.ports[8787]}", text)

    def run(self, command):
        """Run a command that ends; return what it printed."""
        return subprocess.run(
            ["/bin/sh", "-euc", self.typed(command)],
            cwd=self.place,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        ).stdout

    def program(self, text):
        """Run a program; return what it printed."""
        file = self.place / "program.py"
        file.write_text(self.typed(text))
        return self.run(f"{sys.executable} program.py")

    def export(self, line):
        """Set what `export A=… B=…` sets."""
        for name, value in re.findall(r"(\w+)=(\S+)", line):
            self.environment[name] = value.replace("$HOME", str(self.place))

    @contextmanager
    def server(self, command, says):
        """Run a command until the end, from when it has said something."""
        log = self.place / f"{time.monotonic()}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["/bin/sh", "-euc", f"exec {self.typed(command)}"],
                cwd=self.place,
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        try:
            end = time.monotonic() + PATIENCE
            while says not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


SCHEDULER, WORKER, UP, CONTROLLER = "Scheduler at:", "Registered to:", "Connect with", "Controller "


README, USE_IT = ROOT / "README.md", HOW_TO / "use-it-with-your-cluster.md"


@pytest.mark.parametrize(("document", "place"), [(README, 2), (USE_IT, 0)], ids=["readme", "use-it"])
def test_a_scheduler_and_a_worker_take_the_programs_that_are_shown(session, document, place):
    scheduler, worker = lines(block(document, "console", place))
    with session.server(scheduler, SCHEDULER), session.server(worker, WORKER):
        assert session.program(block(README, "python", 2)) == "[1, 2, 3]\n"
        session.program("".join(block(HOW_TO / "annotations.md", "python", place) for place in (0, 1)))
        is_active, asked = (block(USE_IT, "python", place) for place in (3, 4))
        within = "".join(f"    {line}\n" for line in f"print({is_active.strip()})\n{asked}".splitlines())
        told = session.program(PROGRAM + within).splitlines()
    assert told[0] == "True"
    assert told[1].startswith("it is done: its result of 28 B is on worker tcp://127.0.0.1:")


def test_workers_are_drained_and_kept(session):
    leave = HOW_TO / "leave.md"
    (up,) = lines(block(leave, "console", 0))
    with session.server(up, UP):
        work = block(leave, "bash", 0).replace("sleep(60)", "sleep(15)")
        busy = subprocess.Popen(["/bin/sh", "-euc", session.typed(work)], cwd=session.place, env=session.environment)
        try:
            session.program(PROGRAM.replace("future.result()", "").replace("submit(sum, [1, 2])", "scheduler_info()"))
            shown = block(leave, "console", 1)
            said = "".join(session.run(command) for command in lines(shown))
        finally:
            busy.wait(SECONDS)
    assert said.splitlines() == [line for line in shown.splitlines() if not line.startswith("$ ")]


def write_documents(session):
    for name, place in (("groups.yaml", 0), ("policy.yaml", 1)):
        (session.place / name).write_text(block(HOW_TO / "scaling.md", "yaml", place))


def test_a_cluster_scales_by_a_policy_that_is_a_file(session):
    write_documents(session)
    (up,) = lines(block(HOW_TO / "scaling.md", "bash", 0))
    with session.server(up, UP):
        session.program(PROGRAM)


def test_scheduler_and_controller_meet_in_a_store(session):
    write_documents(session)
    export, *published, scheduler, controller = lines(block(HOW_TO / "scaling.md", "bash", 1))
    session.export(export)
    for command in published:
        session.run(command)
    try:
        with session.server(scheduler, SCHEDULER), session.server(controller, CONTROLLER):
            session.program(PROGRAM)  # on the worker that the minimum of a group asks for
            assert "small-0" in session.run("dask supreme nodes")
            assert "small" in session.run(lines(block(HOW_TO / "store.md", "bash", 5))[0])
    finally:
        end_workers(session.place)


def end_workers(place):
    """End what a controller leaves running, by the numbers that it wrote down."""
    for record in (place / "state").rglob("process.json"):
        pid = int(re.search(r'"pid": (\d+)', record.read_text())[1])
        os.killpg(pid, signal.SIGKILL)


def test_a_worker_finds_its_scheduler_by_the_name_of_the_system(session):
    store = HOW_TO / "store.md"
    for line in lines(block(store, "bash", 0)):
        session.export(line)
    scheduler, worker, watch = lines(block(store, "bash", 4))
    with ExitStack() as servers:
        for command, says in ((scheduler, SCHEDULER), (worker, WORKER), (watch, "worker ")):
            servers.enter_context(session.server(command, says))
        connect = block(store, "python", 0).replace(
            "sqlite:///home/ann/store.db", f"sqlite://{session.place}/store.db"
        )
        assert session.program(f"{connect}print(client.submit(sum, [1, 2]).result())") == "3\n"


def test_a_trace_is_simulated(session):
    write_documents(session)
    page = block(HOW_TO / "simulate.md", "console", 0)
    show, command = lines(page)
    trace = page.partition(f"$ {show}\n")[2].partition("$ ")[0]
    (session.place / "week.csv").write_text(trace)
    assert session.run(show) == trace
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[demo]'")
    assert "3 of 3 ended" in session.run(command)
    assert (session.place / "week.svg").stat().st_size


def test_tasks_are_explained_and_a_system_is_shown(session):
    with session.server(lines(block(README, "console", 2))[0], SCHEDULER):
        (explain,), (status,) = (lines(block(HOW_TO / "watch.md", "console", place)) for place in (0, 1))
        assert session.run(status).startswith("0 workers, 0 tasks run, 0 wait")
        found = session.run(f"{explain} || test $? = 1")  # it has no such tasks
    assert [line.partition(": ")[0] for line in found.splitlines()] == ["('sum-4f2a', 0)", "load-7"]
