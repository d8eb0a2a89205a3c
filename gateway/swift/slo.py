"""Writing static large objects: a manifest is kept after every segment that it names was looked at."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from gateway.swift import (
    conditions,
    large_report,
    object_put,
    quotas,
    ranges,
    slo_depth,
    slo_manifest,
    slo_owned,
    slo_read,
    small,
    symlink,
)
from gateway.swift.dates import iso
from gateway.swift.errors import RefusedError, bad_request, refusal, status_line
from gateway.swift.heartbeat import beating
from gateway.swift.large_report import Problem
from gateway.swift.listing_formats import LISTED_BYTES, LISTED_SLO_ETAG
from gateway.swift.manifest_ownership import Seen
from gateway.swift.owned_marks import LISTED_OWNS, OWNS
from gateway.swift.read_view import LINK_TARGET, SLO_DEPTH, SLO_ETAG, SLO_SIZE, STATIC
from gateway.swift.request import Request, is_true
from gateway.swift.service import Service
from gateway.swift.slices import SLICE
from gateway.swift.slo_depth import DEPTH_MAX
from gateway.swift.slo_manifest import ManifestError, TooManyError, Wanted
from store.core.errors import CallerError
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

_LOOKERS = 8
"""Segments looked at at once: enough to hide the way to the store, too few to crowd out others."""

_ENTRIES_PER_SEGMENT = 10
"""Entries of a manifest, inline data too, for each segment that it may name; all are in memory while it is read."""


@dataclass(slots=True)
class _Looked:
    """What was found of a manifest's segments: the entries to keep and their total size, and what is wrong with them.
    `owned` are those that the manifest is to own, each once; `depth` counts the manifests within each other."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    problems: list[Problem] = field(default_factory=list)
    owned: list[Seen] | None = None
    depth: int = 1


async def put(service: Service, request: Request) -> None:
    """PUT with `multipart-manifest=put`: check what the manifest says, then keep it."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition is not ALWAYS:
        condition = await object_put.settled(service, request, container, condition)
    size_max = service.limits.max_manifest_size
    too_large = RefusedError(413, f"Manifest File > {size_max} bytes")
    size = object_put.body_size(service, request)
    if size is not None and size > size_max:
        raise too_large
    try:
        body = await request.body(size_max)
    except RefusedError as error:
        raise too_large if error.status == 413 else error from None
    head = object_put.describe(service, request, object_put.content_type(request, request.object))
    await put_manifest(service, request, container, body, head, condition)


async def put_manifest(
    service: Service,
    request: Request,
    container: Container,
    body: bytes,
    head: ObjectHead,
    condition: Condition,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Check a manifest and keep it as the request's object; `extra` fields go with the answer."""
    await quotas.admit(service, request, container, len(body))
    try:
        entries_max = service.limits.max_manifest_segments * _ENTRIES_PER_SEGMENT
        wanted = await slo_manifest.parse(body, f"{request.container}/{request.object}", entries_max)
    except TooManyError as error:
        raise RefusedError(413, str(error)) from error
    except ManifestError as error:
        raise bad_request(str(error)) from error
    if sum(segment.data is None for segment in wanted) > service.limits.max_manifest_segments:
        raise RefusedError(413, f"Number of object-backed segments must be <= {service.limits.max_manifest_segments}")
    owning = slo_owned.asked(request)
    kind = large_report.accepted(request) or "text/plain"
    if not is_true(request.query.get("heartbeat")):
        looked = await _look(service, request, wanted, owning=owning)
        if looked.problems:
            raise RefusedError(400, large_report.body(kind, {}, looked.problems, "upload"), kind=kind.encode())
        info, etag = await _keep(service, request, container, looked, head, condition)
        await request.respond(201, object_put.created(info, etag) + (extra or []))
        return
    request.begin(202, [(b"content-type", kind.encode())], None)
    report: dict[str, Any] = {"Response Status": status_line(201), "Response Body": ""}
    looked = _Looked()
    async with beating(service, request, kind, at_once=True) as heart:
        try:
            looked = await _look(service, request, wanted, owning=owning)
            if looked.problems:
                raise RefusedError(400)
            info, etag = await _keep(service, request, container, looked, head, condition)
            fields = dict(object_put.created(info, etag))
            report["Etag"] = fields[b"etag"].decode()
            report["Last Modified"] = fields[b"last-modified"].decode()
        except Exception as error:
            answer = refusal(error)
            if answer is None:
                raise
            report["Response Status"] = status_line(answer.status)
            report["Response Body"] = answer.text
    await request.push(heart.separator + large_report.body(kind, report, looked.problems, "upload"))
    await request.end()


async def _look(service: Service, request: Request, wanted: list[Wanted], *, owning: bool) -> _Looked:
    found: dict[str, Seen | str] = {}
    paths = iter({segment.path: None for segment in wanted if segment.data is None})
    looked = _Looked()

    async def look() -> None:
        for path in paths:
            await trio.lowlevel.checkpoint()  # the store may have all of them at hand
            seen = found[path] = await _head(service, request, path, owning=owning)
            if isinstance(seen, Seen) and STATIC in seen.info.head.headers and not seen.linked:
                levels = 1 + await slo_depth.levels(service, request, seen.container, seen.info)
                looked.depth = max(looked.depth, levels)
                if levels > DEPTH_MAX:
                    found[path] = f"Nested too deeply: at most {DEPTH_MAX} manifests can be within each other"

    async with trio.open_nursery() as nursery:
        for _ in range(min(_LOOKERS, len(wanted))):
            nursery.start_soon(look)
    for index, segment in enumerate(wanted):
        if index % SLICE == SLICE - 1:
            await trio.lowlevel.checkpoint()
        if segment.data is not None:
            looked.entries.append({"data": base64.b64encode(segment.data).decode()})
            looked.total += len(segment.data)
            continue
        seen = found[segment.path]
        if isinstance(seen, str):
            looked.problems.append((slo_manifest.quoted(segment.path), seen))
            continue
        entry, length = _entry(segment, seen.info, looked.problems, last=index == len(wanted) - 1)
        looked.entries.append(entry)
        looked.total += length
    if owning:
        named = [seen for seen in found.values() if isinstance(seen, Seen)]
        looked.owned = list({(seen.container.id, seen.info.name): seen for seen in named}.values())
    return looked


async def _head(service: Service, request: Request, path: str, *, owning: bool) -> Seen | str:
    """What is there of a segment, or why it cannot be one."""
    name, _, object_name = path.lstrip("/").partition("/")
    try:
        container = await service.container(request, reading=True, name=name)
        info = await service.store.head(container, object_name)
        if owning and (refused := slo_owned.refused(request, container, info)):
            return refused
        linked = LINK_TARGET in info.head.headers
        if linked:
            container, info = await symlink.target(service, request, container, info)
    except RefusedError as error:
        return status_line(error.status)
    except CallerError:
        return status_line(404)
    return Seen(container, info, linked)


def _entry(segment: Wanted, info: ObjectInfo, problems: list[Problem], *, last: bool) -> tuple[dict[str, Any], int]:
    """What to keep of one segment and the bytes it adds; appends what is wrong with it."""
    name = slo_manifest.quoted(segment.path)
    sub = STATIC in info.head.headers
    size, etag = slo_read.described(info) if sub else (info.size, info.etag)
    entry: dict[str, Any] = {
        "name": "/" + segment.path.lstrip("/"),
        "bytes": size,
        "hash": etag,
        "content_type": info.head.content_type,
        "last_modified": iso(info.changed),
    }
    length = size
    if segment.range is not None:
        fitted = ranges.fit(segment.range, size)
        if not fitted:
            problems.append((name, "Unsatisfiable Range"))
        elif fitted != [(0, size)]:
            start, stop = fitted[0]
            entry["range"] = f"{start}-{stop - 1}"
            length = stop - start
    if length < 1 and not last:
        problems.append((name, "Too small; each segment must be at least 1 byte."))
    if segment.size is not None and segment.size != size:
        problems.append((name, "Size Mismatch"))
    if segment.etag is not None and segment.etag != etag:
        problems.append((name, "Etag Mismatch"))
    if sub:
        entry["sub_slo"] = True
    return entry, length


async def _keep(
    service: Service,
    request: Request,
    container: Container,
    looked: _Looked,
    head: ObjectHead,
    condition: Condition,
) -> tuple[ObjectInfo, str]:
    etag = slo_manifest.etag_of(looked.entries)
    wanted = object_put.wanted_etag(request)
    if wanted and wanted != etag:
        raise RefusedError(422)
    kept = json.dumps(looked.entries).encode()
    notes = {STATIC: "True", SLO_ETAG: etag, SLO_SIZE: str(looked.total), SLO_DEPTH: str(looked.depth)}
    head = ObjectHead(
        head.content_type,
        {**head.headers, **notes},
        {LISTED_BYTES: str(looked.total), LISTED_SLO_ETAG: etag},
        head.expires_at,
    )
    if looked.owned is None:
        return await small.keep(service.store, container, request.object, kept, head, condition), etag
    async with service.ownership.making(container, request.object, looked.owned) as token:
        head = replace(head, headers={**head.headers, OWNS: token}, listing={**head.listing, LISTED_OWNS: token})
        return await small.keep(service.store, container, request.object, kept, head, condition), etag
