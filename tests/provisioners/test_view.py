"""What is known of pods while the API server answers in its own order: an API server that is told when to answer."""

import asyncio
import logging

from supreme_dask.errors import ApiServerError
from supreme_dask.provisioners.kubernetes.api import TOO_OLD
from supreme_dask.provisioners.kubernetes.manifests import GROUP
from supreme_dask.provisioners.kubernetes.view import View
from tests.scheduler.clusters import until


def pod(name, **status):
    return {"metadata": {"name": name, "uid": name, "labels": {GROUP: "s"}, "resourceVersion": "7"}, "status": status}


class Told:
    """Answers what a test puts in; each list waits until it may be answered."""

    def __init__(self):
        self.pods = []
        self.lists = 0
        self.may_list = asyncio.Event()
        self.may_list.set()
        self.events = asyncio.Queue()

    async def list(self):
        self.lists += 1
        listed = list(self.pods)
        await self.may_list.wait()
        return listed, "1"

    async def watch(self, version):
        yield "BOOKMARK", {"metadata": {"resourceVersion": version}}
        while True:
            event = await self.events.get()
            if isinstance(event, Exception):
                raise event
            yield event


def run(story, **how):
    async def told():
        async with asyncio.timeout(20):
            api = Told()
            async with View(api, **how) as view:
                await view.now()
                await story(view, api)

    asyncio.run(told())


def test_one_that_is_created_while_the_pods_are_listed_is_not_forgotten():
    async def story(view, api):
        api.may_list.clear()
        api.events.put_nowait(ApiServerError(TOO_OLD, "too old"))
        await until(lambda: api.lists == 2)
        view.see(pod("s-1"))  # as the API server has answered to who created it
        api.may_list.set()
        await until(lambda: api.events.empty() and view._problem is None)
        assert set(await view.now()) == {"s-1"}

    run(story)


def test_one_that_went_while_nothing_was_watched_is_forgotten():
    async def story(view, api):
        view.see(pod("s-1"))
        api.events.put_nowait(ApiServerError(TOO_OLD, "too old"))
        await until(lambda: not view.pods)

    run(story)


def test_whatever_is_wrong_with_an_answer_the_next_one_is_read(caplog):
    caplog.set_level(logging.DEBUG, logger="supreme_dask")

    async def story(view, api):
        for wrong in [
            ("ADDED", {}),
            ("ADDED", None),
            KeyError("x"),
            RuntimeError("closed"),
            ("ADDED", pod("s") | {"metadata": 7}),
        ]:
            lists = api.lists
            api.events.put_nowait(wrong)
            await until(lambda lists=lists: api.lists > lists)
        api.events.put_nowait(("ADDED", pod("s-2")))
        await until(lambda: "s-2" in view.pods)

    run(story)
    assert caplog.text.count("cannot be read") == 5


def test_one_that_never_says_that_it_has_ended_counts_no_more_after_its_time():
    async def story(view, _):
        leaving = pod("s-1")
        leaving["metadata"] |= {"deletionTimestamp": "2026-11-27T10:00:00Z", "deletionGracePeriodSeconds": 0}
        view.see(leaving)
        assert set(await view.now()) == {"s-1"}
        await view.ended({"s-1"})
        assert await view.now() == {}

    run(story, late=0.05)
