"""Documents over every store: who wins, what is kept, what goes back."""

import asyncio
from contextlib import aclosing

import pytest

from supreme_dask.core.revisions import breaks
from supreme_dask.errors import (
    AmbiguousWriteError,
    DocumentError,
    LimitError,
    NotPublishedError,
    PublishConflictError,
    StoreFormatError,
)
from supreme_dask.stores.documents import Documents
from supreme_dask.stores.layout import pack
from supreme_dask.stores.memory import Contents, MemoryStore

POLICY = {"high_cpu": {"threshold": 80, "action": "add_node"}}
STRICTER = {"high_cpu": {"threshold": 60, "action": "add_node"}}
GROUPS = {"small": {"cpu": 2, "memory": "1 GiB", "count": 3, "resources": {"GPU": 1}}}


def policy(threshold):
    return {"high_cpu": {"threshold": threshold, "action": "add_node"}}


def test_what_is_published_is_there_with_who_and_why(address, on):
    async def story(store):
        documents = Documents(store, "blue", now=lambda: 12.0)
        await documents.publish("policy/default", POLICY, author="ann", why="begin")
        newest = await documents.newest("policy/default")
        assert (newest.number, newest.content, newest.author, newest.why, newest.time) == (
            1,
            POLICY,
            "ann",
            "begin",
            12.0,
        )

    on(address, story)


def test_of_many_publishers_at_once_exactly_one_wins(address, on):
    async def story(store):
        documents = Documents(store, "blue")
        for expected in range(3):
            outcomes = await asyncio.gather(
                *(documents.publish("policy/default", policy(n), author=f"{n}", expected=expected) for n in range(8)),
                return_exceptions=True,
            )
            won = [one for one in outcomes if not isinstance(one, Exception)]
            assert len(won) == 1
            assert sum(isinstance(one, PublishConflictError) for one in outcomes) == 7
            assert await documents.newest("policy/default") == won[0]
        assert breaks(await documents.history("policy/default")) == ()

    on(address, story)


def test_a_publisher_who_saw_an_older_revision_is_told(address, on):
    async def story(store):
        documents = Documents(store, "blue")
        await documents.publish("policy/default", POLICY, author="ann")
        await documents.publish("policy/default", STRICTER, author="bob")
        with pytest.raises(PublishConflictError, match="based on revision 1, but the newest is revision 2"):
            await documents.publish("policy/default", POLICY, author="ann", expected=1)

    on(address, story)


def test_rolling_back_is_a_new_revision(address, on):
    async def story(store):
        documents = Documents(store, "blue")
        await documents.publish("policy/default", POLICY, author="ann")
        await documents.publish("policy/default", STRICTER, author="bob")
        await documents.roll_back("policy/default", 1, author="ann", why="too many workers")
        history = await documents.history("policy/default")
        assert [(one.number, one.content, one.rollback_of) for one in history] == [
            (1, POLICY, 0),
            (2, STRICTER, 0),
            (3, POLICY, 1),
        ]
        assert breaks(history) == ()

    on(address, story)


def test_history_outlives_compaction(address, on):
    async def story(store):
        documents = Documents(store, "blue")
        for threshold in range(5):
            await documents.publish("policy/default", policy(threshold), author="ann")
        await store.compact(await store.put("other", b""))
        assert [one.content for one in await documents.history("policy/default")] == [policy(n) for n in range(5)]
        await documents.roll_back("policy/default", 2, author="ann")
        assert (await documents.newest("policy/default")).content == policy(1)

    on(address, story)


def test_a_follower_sees_what_is_there_and_what_comes(address, on):
    async def story(store):
        documents = Documents(store, "blue")
        await documents.publish("policy/default", POLICY, author="ann")
        async with aclosing(documents.follow()) as published:
            seen = [await anext(published)]
            await store.compact(await store.put("other", b""))
            await documents.publish("groups/default", GROUPS, author="ann")
            await documents.publish("policy/default", STRICTER, author="bob")
            seen += [await anext(published), await anext(published)]
        assert [(one.document, one.revision.content) for one in seen] == [
            ("policy/default", POLICY),
            ("groups/default", GROUPS),
            ("policy/default", STRICTER),
        ]

    on(address, story)


def test_only_the_newest_and_the_tagged_are_kept(address, on):
    async def story(store):
        documents = Documents(store, "blue", keep=3)
        for threshold in range(10):
            await documents.publish("policy/default", policy(threshold), author="ann")
            if threshold == 4:
                await documents.tag("good", author="ann")
        assert [one.number for one in await documents.history("policy/default")] == [5, 8, 9, 10]
        with pytest.raises(NotPublishedError, match=r"revision 2 of .*; there is: 5, 8, 9, 10"):
            await documents.roll_back("policy/default", 2, author="ann")
        await documents.roll_back_all("good", author="ann")
        assert (await documents.newest("policy/default")).content == policy(4)
        await documents.untag("good")
        await documents.publish("policy/default", POLICY, author="ann")
        assert [one.number for one in await documents.history("policy/default")] == [10, 11, 12]

    on(address, story)


@pytest.mark.parametrize("by", ["time", "tag"])
def test_a_whole_system_goes_back(address, on, by):
    async def story(store):
        clock = iter(range(100))
        documents = Documents(store, "blue", now=lambda: float(next(clock)))
        await documents.publish("policy/default", POLICY, author="ann")  # at 0
        await documents.publish("groups/default", GROUPS, author="ann")  # at 1
        await documents.tag("good", author="ann")  # at 2
        await documents.publish("policy/default", STRICTER, author="bob")  # at 3
        await documents.publish("policy/nightly", POLICY, author="bob")  # at 4
        done = await documents.roll_back_all(2.5 if by == "time" else "good", author="ann")
        assert {name: one.content for name, one in done.items()} == {
            "policy/default": POLICY,
            "policy/nightly": None,
        }
        assert (await documents.newest("groups/default")).number == 1
        assert await documents.roll_back_all("good", author="ann") == {}

    on(address, story)


def test_a_whole_system_of_many_documents_goes_back(on):
    async def story(store):
        documents = Documents(store, "blue")
        names = [f"policy/{n}" for n in range(80)]
        for name in names:
            await documents.publish(name, POLICY, author="ann")
        await documents.tag("good", author="ann")
        for name in names:
            await documents.publish(name, STRICTER, author="bob")
        before = (await store.list("")).revision
        assert sorted(await documents.roll_back_all("good", author="ann")) == sorted(names)
        assert (await store.list("")).revision == before + 2

    on("memory://", story)


def test_a_conflict_in_a_rollback_of_the_system_changes_nothing(on):
    contents = Contents()

    class Interrupted(MemoryStore):
        """Lets somebody else publish just before the first transaction of a rollback."""

        async def _commit(self, compares, operations):
            if len(compares) > 1:
                await other.publish("policy/a", policy(1), author="eve")
            return await super()._commit(compares, operations)

    other = Documents(MemoryStore(contents), "blue")

    async def story(_):
        for name in ("policy/a", "policy/b"):
            await other.publish(name, POLICY, author="ann")
            await other.publish(name, STRICTER, author="ann")
        before = {name: await other.newest(name) for name in ("policy/a", "policy/b")}
        documents = Documents(Interrupted(contents), "blue")
        with pytest.raises(PublishConflictError, match="policy/a: based on revision 2, but the newest is revision 3"):
            await documents.roll_back_all(before["policy/a"].time - 3600, author="ann")
        assert await other.newest("policy/b") == before["policy/b"]

    on("memory://", story)


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_settled_by_reading(on, applied):
    class Losing(MemoryStore):
        async def _commit(self, compares, operations):
            if applied:
                await super()._commit(compares, operations)
            raise AmbiguousWriteError("memory://", "the answer is lost")

    async def story(_):
        documents = Documents(Losing(Contents()), "blue")
        if applied:
            revision = await documents.publish("policy/default", POLICY, author="ann")
            assert await documents.newest("policy/default") == revision
        else:
            with pytest.raises(AmbiguousWriteError):
                await documents.publish("policy/default", POLICY, author="ann")

    on("memory://", story)


def test_systems_do_not_see_each_other(on):
    async def story(store):
        await Documents(store, "blue").publish("policy/default", POLICY, author="ann")
        assert await Documents(store, "green").names() == {}
        assert await Documents(store, "blu").names() == {}

    on("memory://", story)


@pytest.mark.parametrize(
    ("document", "content", "problem"),
    [
        (
            "policy/x",
            {"high_cpu": {"threshold": "80", "action": "add"}},
            r"\$\.high_cpu\.threshold: '80' is not of",
        ),
        ("policy/x", {"high_cpu": {"threshold": 80}}, r"\$\.high_cpu: 'action' is a required property"),
        ("policy/x", {"high_cpu": 80}, r"\$\.high_cpu: 80 is not of type 'object'"),
        ("policy/x", {"high_cpu": {"threshold": float("nan"), "action": "add_node"}}, "nan is no number"),
        ("policy/x", [], r"\$: \[\] is not of type 'object'"),
        ("groups/x", {"small": {"cpu": 0}}, r"\$\.small\.cpu: 0 is less than or equal to"),
        ("groups/x", {"small": {"cores": 2}}, r"\$\.small: .*unknown 'cores'"),
        ("groups/x", {"small": {"memory": "much"}}, r"'much' is no amount above zero, such as 2 or '4 GiB'"),
        ("groups/x", {"small": {"coun": 2}, "large": {"minimum": 2, "maximum": 1}}, r"(?s)\$.small: .*\$.large: "),
        ("groups/x", {"small": {"memory": "4 parsecs"}}, r"\$\.small: .*parsecs"),
    ],
)
def test_a_document_that_breaks_its_schema_is_refused(on, document, content, problem):
    async def story(store):
        documents = Documents(store, "blue")
        with pytest.raises(DocumentError, match=problem):
            await documents.publish(document, content, author="ann")
        assert await documents.names() == {}

    on("memory://", story)


@pytest.mark.parametrize(
    "content",
    [
        POLICY,
        {"backlog": {"kind": "demand", "within-seconds": 60}, "mine": POLICY["high_cpu"] | {"metric": "cpu"}},
        {},
    ],
)
def test_policies_are_of_rules_of_many_kinds(on, content):
    async def story(store):
        await Documents(store, "blue").publish("policy/default", content, author="ann")

    on("memory://", story)


@pytest.mark.parametrize("document", ["policy", "policy/", "policy/a/b", "weather/x", "policy/../x", "/x"])
def test_a_name_that_is_none_is_refused(on, document):
    async def story(store):
        with pytest.raises(LimitError):
            await Documents(store, "blue").publish(document, {}, author="ann")

    on("memory://", story)


def test_a_document_that_is_too_large_is_refused(on):
    async def story(store):
        with pytest.raises(LimitError, match="blobs"):
            await Documents(store, "blue").publish(
                "groups/x", {"a": {"labels": {"zone": "x" * 70_000}}}, author="ann"
            )

    on("memory://", story)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"not ours", "did not write"),
        (b"[]", "did not write"),
        (b'{"schema":2,"number":1}', r"has schema 2, this release knows 1; use the release that wrote it"),
        (pack({"numero": 1}), "does not name a revision"),
    ],
)
def test_what_another_release_wrote_is_refused(on, stored, problem):
    async def story(store):
        await store.put("systems/blue/heads/policy/default", stored)
        for call in (
            Documents(store, "blue").newest("policy/default"),
            Documents(store, "blue").publish("policy/default", POLICY, author="ann"),
        ):
            with pytest.raises(StoreFormatError, match=problem):
                await call
        assert len((await store.list("")).items) == 1

    on("memory://", story)


def test_an_altered_revision_is_noticed(on):
    async def story(store):
        documents = Documents(store, "blue")
        await documents.publish("policy/default", POLICY, author="ann")
        key = "systems/blue/revisions/policy/default/0000000001"
        kv = await store.get(key)
        await store.put(key, kv.value.replace(b"80", b"99"))
        with pytest.raises(StoreFormatError, match="altered"):
            await documents.newest("policy/default")

    on("memory://", story)


def test_a_history_in_which_one_revision_was_replaced_is_noticed(on):
    """Its own hash is right, as whoever replaced it took care; that of the next one's parent is not."""

    async def story(store):
        documents, elsewhere = Documents(store, "blue"), Documents(store, "other")
        for threshold in (80, 90):
            await documents.publish("policy/default", policy(threshold), author="ann")
        await elsewhere.publish("policy/default", policy(10), author="eve")
        forged = await store.get("systems/other/revisions/policy/default/0000000001")
        await store.put("systems/blue/revisions/policy/default/0000000001", forged.value)
        with pytest.raises(StoreFormatError, match="revision 2 does not follow revision 1"):
            await documents.history("policy/default")

    on("memory://", story)
