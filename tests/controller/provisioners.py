"""A provisioner of workers that exist in name only, to be told what befalls them."""

import asyncio

from supreme_dask.errors import ProvisionError
from supreme_dask.provisioners.names import Names


class OnPaper:
    """Keeps the contract of provisioners, but for processes: who exists and who has arrived is for a test to say."""

    def __init__(self):
        self.existing, self.joined, self.refused, self.removed = {}, set(), {}, []
        self.launches = 0
        self.broken = set()  # groups of which a launch raises what none should
        self.troubles = {}  # why workers do not start
        self.faults = []  # raised one by one when it is asked who exists
        self.may_leave = asyncio.Event()
        self.may_leave.set()
        self._names = Names()

    async def launch(self, group, count):
        self.launches += 1
        if group.name in self.broken:
            raise KeyError("image")
        if group.name in self.refused:
            raise ProvisionError(group.name, self.refused[group.name])
        self.existing.update({self._names.next(group.name): group.name for _ in range(count)})

    async def heed(self, plan):
        for name, group in plan.others.items():
            self._names.see(name, group)

    async def remove(self, names):
        await self.may_leave.wait()
        self.removed += names
        self.existing = {name: group for name, group in self.existing.items() if name not in names}

    async def workers(self):
        if self.faults:
            raise self.faults.pop()
        return dict(self.existing)

    async def arrived(self):
        return self.joined

    async def trouble(self, name):
        return self.troubles.get(name, "")

    async def last_words(self, name):
        return f"{name} said farewell"
