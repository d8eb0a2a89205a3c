"""Reading manifests: the bytes of the segments that one names, in order."""

from __future__ import annotations

from gateway.objects import links
from gateway.objects.access.caller import Caller
from gateway.objects.errors import AccessError, SegmentError
from gateway.objects.large import manifest
from gateway.objects.large.depth import DEPTH_MAX
from gateway.objects.large.manifest import Segment
from gateway.objects.layer import ObjectLayer
from gateway.objects.notes import MANIFEST, MANIFEST_ETAG, MANIFEST_SIZE
from gateway.objects.reading import Pour, Sink, whole
from store.core.errors import NotFoundError
from store.objects.interface import Buffer, OpenObject
from store.objects.model import Container, ObjectInfo


def described(info: ObjectInfo) -> tuple[int, str]:
    """Size and etag of the whole that a manifest stands for."""
    return int(info.head.headers[MANIFEST_SIZE]), info.head.headers[MANIFEST_ETAG]


async def opened_view(layer: ObjectLayer, caller: Caller, container: Container, opened: OpenObject) -> LargeView:
    """The whole that an open manifest stands for."""
    return LargeView(layer, caller, container, opened.info, manifest.load(await whole(opened)))


class LargeView:
    """The segments of one manifest, as one body."""

    composite = True

    def __init__(
        self, layer: ObjectLayer, caller: Caller, container: Container, info: ObjectInfo, segments: list[Segment]
    ) -> None:
        self._layer = layer
        self._caller = caller
        self._account = container.account
        self._containers = {container.name: container}
        self._manifests: dict[tuple[str, str], list[Segment]] = {}
        self.size, self.etag = described(info)
        self.segments = segments

    @property
    def inline(self) -> Buffer | None:
        return None

    def part_range(self, number: int) -> tuple[int, int]:
        """The bytes [start, stop) of one segment, by its number from 1."""
        start = sum(segment.length for segment in self.segments[: number - 1])
        return start, start + self.segments[number - 1].length

    async def pour(self, start: int, stop: int, sink: Sink, how: Pour) -> None:
        await self._pour(self.segments, start, stop, sink, how, 1)

    async def _pour(self, segments: list[Segment], start: int, stop: int, sink: Sink, how: Pour, depth: int) -> None:
        at = 0
        for segment in segments:
            first, last = max(start - at, 0), min(stop - at, segment.length)
            at += segment.length
            if first >= last:
                if at >= stop:
                    return
                continue
            if segment.data is not None:
                await sink(segment.data[first:last])
            elif segment.sub:
                inner = await self._sub(segment, depth)
                await self._pour(inner, segment.first + first, segment.first + last, sink, how, depth + 1)
            else:
                container = await self._container(segment)
                try:
                    async with links.opening(self._layer, self._caller, container, segment.object) as opened:
                        _same(segment, opened.info)
                        await how(opened, segment.first + first, segment.first + last, sink)
                except NotFoundError:
                    raise SegmentError(f"segment {segment.object!r} is gone") from None

    async def _sub(self, segment: Segment, depth: int) -> list[Segment]:
        if depth >= DEPTH_MAX:
            raise SegmentError("manifests within manifests, too deep")
        key = segment.container, segment.object
        known = self._manifests.get(key)
        if known is None:
            container = await self._container(segment)
            try:
                async with links.opening(self._layer, self._caller, container, segment.object) as opened:
                    _same(segment, opened.info)
                    known = self._manifests[key] = manifest.load(await whole(opened))
            except NotFoundError:
                raise SegmentError(segment.object) from None
        return known

    async def _container(self, segment: Segment) -> Container:
        """The segment's container, which the caller must be allowed to read on its own account."""
        name = segment.container
        held = self._containers.get(name)
        if held is None:
            try:
                held = await self._layer.container(
                    self._caller, self._account, name, reading=True, object=segment.object
                )
            except (AccessError, NotFoundError) as error:
                raise SegmentError(f"container {name!r}: {error}") from None
            self._containers[name] = held
        return held


def _same(segment: Segment, info: ObjectInfo) -> None:
    """Raise SegmentError where a segment is no longer what it was when the manifest was written."""
    if segment.sub:
        fits = MANIFEST in info.head.headers and described(info) == (segment.size, segment.etag)
    else:
        fits = MANIFEST not in info.head.headers and (info.size, info.etag) == (segment.size, segment.etag)
    if not fits:
        raise SegmentError(f"segment {segment.object!r} is no longer what the manifest says")
