"""Schedulers and workers that are processes of their own, started as users start them."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

LOCAL = ("--host", "127.0.0.1")


class Processes:
    """Starts commands of dask, and ends what is left of them."""

    def __init__(self, directory, environment):
        self._directory = directory
        self._environment = {**os.environ, **environment}
        self._started = []

    def scheduler(self, *arguments, port=0):
        file = self._directory / "scheduler.json"
        file.unlink(missing_ok=True)
        options = ("--port", str(port), "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file))
        return self.start("scheduler", *LOCAL, *options, "--preload", "supreme_dask.preload", *arguments)

    def worker(self, name, *arguments):
        options = ("--name", name, "--scheduler-file", str(self._directory / "scheduler.json"), "--no-dashboard")
        directory = ("--local-directory", str(self._directory / "workers"))
        return self.start("worker", *LOCAL, *options, *directory, "--preload", "supreme_dask.preload", *arguments)

    @property
    def managed(self):
        """Where the controller keeps its workers."""
        return self._directory / "managed"

    def controller(self):
        return self.start("supreme", "controller", "--directory", str(self.managed))

    def start(self, *arguments):
        command = [sys.executable, "-m", "dask", *arguments]
        process = subprocess.Popen(command, env=self._environment, cwd=self._directory, start_new_session=True)
        self._started.append(process)
        return process

    def end(self):
        for process in self._started:
            # The number of one that was seen to have ended may be another's by now.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with the workers of a nanny
            process.wait(20)


@contextmanager
def processes(directory, **environment):
    """Give a way to start processes that are ended with the block."""
    started = Processes(directory, environment)
    try:
        yield started
    finally:
        started.end()
