"""Inputs that find no room are asked for again: no task fails for it, and none waits for ever."""

from distributed import wait

from tests.scheduler.clusters import supreme, worker

LEFT = {"fetched": 0}


class Bulky:
    """Something for which there is no memory the first few times that it is read."""

    def __init__(self, where):
        self.where = where

    def __reduce__(self):
        return _read, (self.where,)


def _read(where):
    if LEFT[where]:
        LEFT[where] -= 1
        raise MemoryError("no room yet")
    return Bulky(where)


def look(bulky):
    return bulky.where


@supreme(worker(), worker())
async def test_an_input_for_which_there_is_no_room_yet_is_fetched_again(client, scheduler, a, b):
    made = client.submit(Bulky, "fetched", workers=[a.address])
    await wait(made)
    LEFT["fetched"] = 2
    assert await client.submit(look, made, workers=[b.address]) == "fetched"
    assert LEFT["fetched"] == 0
