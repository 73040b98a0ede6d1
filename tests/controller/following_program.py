"""A controller with local workers: `python following_program.py STORE SYSTEM DIRECTORY SCHEDULER`."""

import asyncio
import sys
from pathlib import Path

from supreme_dask.controller.controller import Controller
from supreme_dask.controller.following import Following
from supreme_dask.core.groups import WorkerGroup
from supreme_dask.provisioners.local import LocalProvisioner


async def main(url, system, directory, scheduler):
    with LocalProvisioner(Path(directory), scheduler=scheduler) as provisioner:
        controller = Controller(provisioner, [WorkerGroup("small", memory="512 MiB")], name="local")
        await Following(url, system, controller, ttl=2).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
