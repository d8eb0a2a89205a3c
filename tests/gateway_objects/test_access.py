"""Who may come to a container, and what links and manifests let through."""

from __future__ import annotations

import pytest

from gateway.objects.access.caller import Caller
from gateway.objects.errors import AccessError, LinkError, LinkTrouble, SegmentError
from gateway.objects.large.checking import keep, look
from gateway.objects.large.manifest import Wanted
from gateway.objects.links import LOOP_MAX, Link, Trail, head_of
from gateway.objects.notes import ACCOUNT_ACCESS, READ_ACCESS, WRITE_ACCESS
from gateway.objects.views import view_of
from store.core.errors import NotFoundError
from store.objects.interface import Buffer
from store.objects.model import ALWAYS, ObjectHead
from tests.gateway_objects.cloud import HOME, Cloud, nobody, owner, stranger, user


async def may(cloud: Cloud, caller: Caller, *, reading: bool, listing: bool = False, name: str = "c") -> bool:
    """Whether a caller comes to a container."""
    try:
        await cloud.layer.container(caller, HOME, name, reading=reading, listing=listing)
    except AccessError:
        return False
    return True


@pytest.mark.parametrize(("caller", "known"), [(stranger(), True), (nobody(), False)])
async def test_a_refusal_says_whether_a_name_would_help(caller: Caller, known: bool) -> None:
    cloud = Cloud()
    await cloud.container("c")
    with pytest.raises(AccessError) as caught:
        await cloud.layer.container(caller, HOME, "c", reading=True)
    assert caught.value.known is known


async def test_lists_open_what_they_name_and_no_more() -> None:
    cloud = Cloud()
    await cloud.container("c")
    assert await may(cloud, owner(), reading=False)
    assert await may(cloud, user("rita", "home", "reader"), reading=True)
    assert not await may(cloud, user("rita", "home", "reader"), reading=False)
    for caller in (stranger(), nobody()):
        assert not await may(cloud, caller, reading=True)
    await cloud.container("c", {READ_ACCESS: ".r:*"})
    for caller in (stranger(), nobody()):
        assert await may(cloud, caller, reading=True)
        assert not await may(cloud, caller, reading=True, listing=True)
        assert not await may(cloud, caller, reading=False)
    await cloud.container("c", {READ_ACCESS: ".r:*,.rlistings", WRITE_ACCESS: "away:sven"})
    assert await may(cloud, nobody(), reading=True, listing=True)
    assert await may(cloud, stranger(), reading=False)
    assert not await may(cloud, nobody(), reading=False)
    await cloud.layer.store.put_account(HOME, {ACCOUNT_ACCESS: '{"read-write": ["away:mia"]}'})
    assert await may(cloud, user("mia", "away"), reading=False)


async def test_strangers_do_not_learn_what_exists() -> None:
    cloud = Cloud()
    await cloud.container("c")
    assert not await may(cloud, stranger(), reading=True, name="none")
    with pytest.raises(NotFoundError):
        await cloud.layer.container(owner(), HOME, "none", reading=True)


async def test_a_link_opens_nothing() -> None:
    cloud = Cloud()
    hidden = await cloud.container("hidden")
    await cloud.layer.store.put(hidden, "o", b"secret", ObjectHead("t"))
    shown = await cloud.container("shown", {READ_ACCESS: ".r:*"})
    head = await head_of(cloud.layer, owner(), shown, Link("", "hidden", "o"), ObjectHead("l"))
    info = await cloud.layer.store.put(shown, "l", b"", head)
    assert (await Trail(cloud.layer, owner()).target(shown, info))[1].size == 6
    for caller in (stranger(), nobody()):
        trail = Trail(cloud.layer, caller)
        with pytest.raises(AccessError):
            await trail.target(shown, info)
        assert trail.path == (HOME, "hidden", "o")


async def test_a_manifest_opens_nothing() -> None:
    cloud = Cloud()
    hidden = await cloud.container("hidden")
    await cloud.layer.store.put(hidden, "o", b"secret", ObjectHead("t"))
    shown = await cloud.container("shown", {READ_ACCESS: ".r:*"})
    looked = await look(cloud.layer, stranger(), HOME, [Wanted("hidden/o")], owning=False)
    assert [(path, type(trouble)) for path, trouble in looked.problems] == [("hidden/o", AccessError)]
    looked = await look(cloud.layer, owner(), HOME, [Wanted("hidden/o")], owning=False)
    await keep(cloud.layer, shown, "m", looked, ObjectHead("t"), ALWAYS)

    async def sink(piece: Buffer) -> None:
        raise AssertionError(bytes(piece))

    async with cloud.layer.store.open(shown, "m") as opened:
        view = await view_of(cloud.layer, nobody(), shown, opened)
        assert view.size == 6
        with pytest.raises(SegmentError):
            await view.pour(0, 6, sink, None)  # type: ignore[arg-type]


async def test_links_in_a_row_have_an_end() -> None:
    cloud = Cloud()
    container = await cloud.container()
    info = await cloud.layer.store.put(container, "0", b"end", ObjectHead("t"))
    for count in range(1, LOOP_MAX + 2):
        head = await head_of(cloud.layer, owner(), container, Link("", "c", str(count - 1)), ObjectHead("l"))
        info = await cloud.layer.store.put(container, str(count), b"", head)
        if count <= LOOP_MAX:
            assert (await Trail(cloud.layer, owner()).target(container, info))[1].size == 3
    with pytest.raises(LinkError) as caught:
        await Trail(cloud.layer, owner()).target(container, info)
    assert caught.value.why is LinkTrouble.LOOP
    assert LOOP_MAX == 2


async def test_a_static_link_vouches_for_its_target() -> None:
    cloud = Cloud()
    container = await cloud.container()
    written = await cloud.layer.store.put(container, "o", b"one", ObjectHead("t"))
    head = await head_of(cloud.layer, owner(), container, Link("", "c", "o", written.etag), ObjectHead(""))
    assert head.content_type == "t"
    info = await cloud.layer.store.put(container, "l", b"", head)
    await cloud.layer.store.put(container, "o", b"two", ObjectHead("t"))
    with pytest.raises(LinkError) as caught:
        await Trail(cloud.layer, owner()).target(container, info)
    assert (caught.value.why, caught.value.wanted) == (LinkTrouble.ETAG, written.etag)
    with pytest.raises(LinkError) as caught:
        await head_of(cloud.layer, owner(), container, Link("", "c", "none", written.etag), ObjectHead(""))
    assert caught.value.why is LinkTrouble.MISSING
