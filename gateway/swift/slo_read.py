"""Reading static large objects: the bytes of the segments that a manifest names, in order."""

from __future__ import annotations

from gateway.swift import slo_manifest, slo_owned, symlink
from gateway.swift.errors import Fields, RefusedError, SegmentError, bad_request
from gateway.swift.read_view import SLO_ETAG, SLO_SIZE, STATIC, BytesView, PlainView, Pour, ReadView, Sink, whole
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.slo_depth import DEPTH_MAX
from gateway.swift.slo_manifest import Segment
from store.core.errors import NotFoundError
from store.objects.interface import Buffer, OpenObject
from store.objects.model import Container, ObjectInfo


def described(info: ObjectInfo) -> tuple[int, str]:
    """Size and etag of the whole."""
    return int(info.head.headers[SLO_SIZE]), info.head.headers[SLO_ETAG]


def own_fields(info: ObjectInfo) -> Fields:
    """Fields that only a static large object has."""
    return [(b"x-manifest-etag", info.etag.encode()), *slo_owned.fields(info)]


async def manifest_view(request: Request, opened: OpenObject) -> ReadView:
    """The manifest itself: as kept, or (`format=raw`) as it can be sent again."""
    if request.query.get("format") == "raw":
        return BytesView(slo_manifest.as_sent(await whole(opened)))
    return PlainView(opened, "application/json; charset=utf-8")


async def view(service: Service, request: Request, container: Container, opened: OpenObject) -> SloView:
    """The whole that a manifest describes."""
    part = _part_number(request)
    segments = slo_manifest.load(await whole(opened))
    return SloView(service, request, container, opened.info, segments, part)


def _part_number(request: Request) -> int | None:
    if "part-number" not in request.query:
        return None
    value = request.param("part-number")
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value)):
        raise bad_request("Part number must be an integer greater than 0")
    if b"range" in request.headers:
        raise bad_request("Range requests are not supported with part number queries")
    return int(value)


class SloView:
    """The segments of one manifest, as one body."""

    quoted = True
    kind = None
    several = True

    def __init__(
        self,
        service: Service,
        request: Request,
        container: Container,
        info: ObjectInfo,
        segments: list[Segment],
        part: int | None,
    ) -> None:
        self._service = service
        self._request = request
        self._account = container.account
        self._containers = {container.name: container}
        self._manifests: dict[tuple[str, str], list[Segment]] = {}
        self.size, self.etag = described(info)
        self.segments = segments
        self.part = part
        self.extra = own_fields(info)

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
                container = await self._container(segment.container)
                try:
                    async with symlink.opening(self._service, self._request, container, segment.object) as opened:
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
            container = await self._container(segment.container)
            try:
                async with symlink.opening(self._service, self._request, container, segment.object) as opened:
                    _same(segment, opened.info)
                    known = self._manifests[key] = slo_manifest.load(await whole(opened))
            except NotFoundError:
                raise SegmentError(segment.object) from None
        return known

    async def _container(self, name: str) -> Container:
        """The segments' container, which the principal must be allowed to read on its own account."""
        held = self._containers.get(name)
        if held is None:
            try:
                held = await self._service.container(self._request, reading=True, account=self._account, name=name)
            except RefusedError as error:
                raise SegmentError(f"container {name!r}: {error.status}") from None
            self._containers[name] = held
        return held


def _same(segment: Segment, info: ObjectInfo) -> None:
    """Raise SegmentError where a segment is no longer what it was when the manifest was written."""
    if segment.sub:
        fits = STATIC in info.head.headers and described(info) == (segment.size, segment.etag)
    else:
        fits = STATIC not in info.head.headers and (info.size, info.etag) == (segment.size, segment.etag)
    if not fits:
        raise SegmentError(f"segment {segment.object!r} is no longer what the manifest says")
