"""The object layer against a model of a few dozen lines: versions, manifests, links and copies, whatever is asked of
them in whatever order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.objects.copying import copy
from gateway.objects.errors import LinkError, MarkerError, SegmentError
from gateway.objects.large.checking import keep, look
from gateway.objects.large.manifest import Wanted
from gateway.objects.layer import ObjectLayer
from gateway.objects.links import Link, Trail, head_of
from gateway.objects.notes import LINK_TARGET, VERSION_ID
from gateway.objects.reading import pour
from gateway.objects.small import keep as keep_whole
from gateway.objects.versions import listing, one
from gateway.objects.versions.names import ENABLED, MARKER_TYPE, MODE, NULL, SUSPENDED, version_id
from gateway.objects.views import view_of
from store.core.errors import DrystoneError, NotFoundError
from store.core.limits import INLINE_BYTES_MAX
from store.objects.interface import Buffer, OpenObject
from store.objects.model import ALWAYS, Container, ListingQuery, ObjectHead, ObjectInfo
from tests.gateway_objects.cloud import HOME, Cloud, owner

LARGE = bytes(INLINE_BYTES_MAX + 1)
Shown = bytes | type[DrystoneError]
"""Bytes, or the error that says why there are none."""
NAMES = ("a", "a/b", "b", "é")


@dataclass(frozen=True)
class Thing:
    """What a name stands for: bytes; or the names of segments, with the bytes that they had; or another name."""

    data: bytes = b""
    segments: tuple[tuple[str, bytes], ...] = ()
    target: str = ""
    marker: bool = False


@dataclass
class Kept:
    """A name's own object with the id of its version (`null` where it has none), and its versions, the newest first."""

    current: tuple[str, Thing] | None = None
    created: int = 0
    versions: list[tuple[str, Thing]] = field(default_factory=list)


class Model:
    """What should be there."""

    def __init__(self) -> None:
        self.mode: str | None = None
        self.names = {name: Kept() for name in NAMES}

    def write(self, name: str, thing: Thing, info: ObjectInfo) -> None:
        kept = self.names[name]
        if self.mode == ENABLED:
            self.keep_null(name)
            kept.current = info.head.headers[VERSION_ID], thing
            kept.versions.insert(0, kept.current)
        else:
            kept.current, kept.created = (NULL, thing), info.created.time_us

    def keep_null(self, name: str) -> None:
        kept = self.names[name]
        if kept.current is not None and kept.current[0] == NULL:
            kept.versions.append((version_id(kept.created // 10), kept.current[1]))
            kept.versions.sort(reverse=True)

    def delete(self, name: str, version: str | None) -> None:
        kept = self.names[name]
        if self.mode == ENABLED:
            self.keep_null(name)
            assert version is not None
            kept.versions.insert(0, (version, Thing(marker=True)))
        kept.current = None

    def shown(self, thing: Thing, hops: int = 0) -> Shown:
        """The bytes that a thing shows, or the error that says why there are none."""
        if thing.target:
            if hops == 2:
                return LinkError
            target = self.names[thing.target].current
            return NotFoundError if target is None else self.shown(target[1], hops + 1)
        for name, data in thing.segments:
            segment = self.names[name].current
            seen: Shown = NotFoundError if segment is None else self.shown(segment[1])
            if seen is LinkError or seen is SegmentError:
                return seen
            if seen != data or (segment is not None and _end(self, segment[1]).segments):
                return SegmentError
        return b"".join(data for _, data in thing.segments) if thing.segments else thing.data


def _end(model: Model, thing: Thing) -> Thing:
    """What a thing is once its links are followed."""
    while thing.target:
        current = model.names[thing.target].current
        assert current is not None
        thing = current[1]
    return thing


class Run:
    """The layer and the model, given the same steps."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.model = Model()

    @property
    def layer(self) -> ObjectLayer:
        return self.cloud.layer

    async def container(self) -> Container:
        return await self.layer.container(owner(), HOME, "c", reading=True)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def put(self, name: str, data: bytes) -> None:
        info = await keep_whole(self.layer.store, await self.container(), name, data, ObjectHead("t"))
        self.model.write(name, Thing(data), info)

    async def put_manifest(self, name: str, segments: tuple[str, ...]) -> None:
        seen = [(each, self._plain(each)) for each in segments if each != name]
        named = [(each, data) for each, data in seen if data]
        if not named:
            return
        looked = await look(self.layer, owner(), HOME, [Wanted(f"c/{each}") for each, _ in named], owning=False)
        assert looked.problems == []
        info, _etag = await keep(self.layer, await self.container(), name, looked, ObjectHead("m"), ALWAYS)
        self.model.write(name, Thing(segments=tuple(named)), info)

    def _plain(self, name: str) -> bytes:
        """The bytes of an object that has some of its own."""
        current = self.model.names[name].current
        return b"" if current is None else current[1].data

    async def link(self, name: str, target: str) -> None:
        if name == target:
            return
        container = await self.container()
        head = await head_of(self.layer, owner(), container, Link("", "c", target), ObjectHead("l"))
        info = await self.layer.store.put(container, name, b"", head)
        self.model.write(name, Thing(target=target), info)

    async def copy(self, source: str, target: str) -> None:
        current = self.model.names[source].current
        expected: Shown = NotFoundError if current is None else self.model.shown(current[1])
        container = await self.container()
        if not isinstance(expected, bytes):
            assert await self._read(source) is expected
            return
        async with self._reached(source) as (held, opened):
            view = await view_of(self.layer, owner(), held, opened)
            info = await copy(self.layer, view, 0, view.size, container, target, ObjectHead("k"), ALWAYS)
        self.model.write(target, Thing(expected), info)

    async def delete(self, name: str) -> None:
        there = self.model.names[name].current is not None
        try:
            info = await self.layer.store.delete(await self.container(), name)
        except MarkerError as error:
            assert not there
            self.model.delete(name, error.version)
        except NotFoundError:
            assert not there
        else:
            assert there
            self.model.delete(name, info.head.headers.get(VERSION_ID))

    async def delete_version(self, name: str, nth: int) -> None:
        kept = self.model.names[name]
        if nth >= len(kept.versions) or self.model.mode is None:
            return
        version, _thing = kept.versions.pop(nth)
        removed = await one.remove(self.layer.store, owner(), await self.container(), name, version)
        if kept.current is not None and kept.current[0] == version:
            kept.current = None
        assert removed == (version, kept.current[0] if kept.current else NULL)

    async def restore(self, name: str, nth: int) -> None:
        kept = self.model.names[name]
        if nth >= len(kept.versions) or self.model.mode is None:
            return
        version, thing = kept.versions[nth]
        ticks = one.restorable(await self.container(), version)
        if thing.marker:
            with pytest.raises(NotFoundError):
                await self.layer.store.archive.restore(await self.container(), name, ticks)
            return
        await self.layer.store.archive.restore(await self.container(), name, ticks)
        self.model.keep_null(name)
        kept.current = version, thing

    async def turn(self, mode: str) -> None:
        self.model.mode = mode
        await self.cloud.container("c", {MODE: mode})

    # -- what is there -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reached(self, name: str) -> AsyncIterator[tuple[Container, OpenObject]]:
        """An object held open, or what it names where it is a link."""
        container = await self.container()
        async with self.layer.store.open(container, name) as opened:
            if LINK_TARGET not in opened.info.head.headers:
                yield container, opened
                return
            async with Trail(self.layer, owner()).following(container, opened.info) as reached:
                yield reached

    async def _bytes(self, container: Container, opened: OpenObject) -> bytes:
        view = await view_of(self.layer, owner(), container, opened)
        found = bytearray()

        async def sink(piece: Buffer) -> None:
            found.extend(piece)

        await view.pour(0, view.size, sink, pour)
        return bytes(found)

    async def _read(self, name: str) -> Shown:
        try:
            async with self._reached(name) as (held, opened):
                return await self._bytes(held, opened)
        except DrystoneError as error:
            return type(error)

    async def check(self) -> None:
        """Everything is as the model has it."""
        container = await self.container()
        model = self.model
        for name, kept in model.names.items():
            expected: Shown = NotFoundError if kept.current is None else model.shown(kept.current[1])
            assert await self._read(name) == expected, name
            for version, thing in kept.versions if model.mode else ():
                if thing.marker:
                    with pytest.raises(MarkerError):
                        await one.head(self.layer.store, owner(), container, name, version)
                elif not thing.target:
                    async with one.opening(self.layer.store, owner(), container, name, version) as opened:
                        if not thing.segments:
                            assert await self._bytes(container, opened) == thing.data
        listed = await self.layer.store.list_objects(container, ListingQuery(limit=100))
        there = sorted((name for name, kept in model.names.items() if kept.current), key=str.encode)
        assert [entry.name for entry in listed] == there
        if model.mode:
            entries = await listing.page(self.layer.store, container, ListingQuery(limit=100), "")
            assert [
                (entry.name, entry.version, entry.latest, entry.entry.content_type == MARKER_TYPE)
                for entry in entries
                if isinstance(entry, listing.VersionEntry)
            ] == list(self._versions())

    def _versions(self) -> Iterator[tuple[str, str, bool, bool]]:
        for name in sorted(NAMES, key=str.encode):
            kept = self.model.names[name]
            if kept.current is not None and kept.current[0] == NULL:
                yield name, NULL, True, False
            for nth, (version, thing) in enumerate(kept.versions):
                latest = kept.current[0] == version if kept.current else nth == 0 and thing.marker
                yield name, version, latest, thing.marker


Step = Callable[[Run], Awaitable[None]]
names = st.sampled_from(NAMES)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda name, data: lambda run: run.put(name, data), names, st.binary(max_size=3)),
    st.builds(lambda name: lambda run: run.put(name, LARGE), names),
    st.builds(lambda name, some: lambda run: run.put_manifest(name, tuple(some)), names, st.lists(names, max_size=3)),
    st.builds(lambda name, target: lambda run: run.link(name, target), names, names),
    st.builds(lambda name, target: lambda run: run.copy(name, target), names, names),
    st.builds(lambda name: lambda run: run.delete(name), names),
    st.builds(lambda name, nth: lambda run: run.delete_version(name, nth), names, st.integers(0, 2)),
    st.builds(lambda name, nth: lambda run: run.restore(name, nth), names, st.integers(0, 2)),
    st.builds(lambda mode: lambda run: run.turn(mode), st.sampled_from([ENABLED, SUSPENDED, ENABLED])),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(steps, max_size=14))
async def test_the_layer_does_what_the_model_does(asked: list[Step]) -> None:
    run = Run()
    await run.cloud.container()
    for step in asked:
        await step(run)
        await run.check()
