"""Making manifests: one is kept after every segment that it names was looked at."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import trio

from gateway.objects import ranges
from gateway.objects.access.caller import Caller
from gateway.objects.errors import AccessError, LinkError
from gateway.objects.large import depth, manifest, view
from gateway.objects.large.depth import DEPTH_MAX
from gateway.objects.large.manifest import Wanted
from gateway.objects.large.owned_marks import LISTED_OWNS, OWNERS_MAX, OWNS, owners
from gateway.objects.large.ownership import Seen
from gateway.objects.layer import ObjectLayer
from gateway.objects.links import Trail
from gateway.objects.notes import (
    LINK_TARGET,
    LISTED_BYTES,
    LISTED_MANIFEST_ETAG,
    MANIFEST,
    MANIFEST_DEPTH,
    MANIFEST_ETAG,
    MANIFEST_SIZE,
    WRITE_ACCESS,
)
from gateway.objects.slices import SLICE
from gateway.objects.small import keep as keep_whole
from gateway.objects.versions.names import MODE
from store.core.errors import CallerError, DigestError, NotFoundError
from store.core.stamp import Stamp
from store.objects.model import Condition, Container, ObjectHead, ObjectInfo

_LOOKERS = 8
"""Segments looked at at once: enough to hide the way to the store, too few to crowd out others."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SegmentTrouble(Enum):
    """Why something that is there cannot be this segment of this manifest."""

    RANGE = "Unsatisfiable Range"
    EMPTY = "Too small; each segment must be at least 1 byte."
    SIZE = "Size Mismatch"
    ETAG = "Etag Mismatch"
    DEPTH = f"Nested too deeply: at most {DEPTH_MAX} manifests can be within each other"
    VERSIONS = "Segments in a container with versions cannot be owned"
    LINK = "A symlink cannot be owned"
    UNOWNING = "A manifest within must own its segments too"
    OWNERS = f"Owned by {OWNERS_MAX} manifests already"


Trouble = SegmentTrouble | CallerError
Problem = tuple[str, Trouble]
"""A segment's path, and what is wrong with it: a CallerError where it is not to be had at all."""


@dataclass(slots=True)
class Looked:
    """What was found of a manifest's segments: the entries to keep and their total size, and what is wrong with them.
    `owned` are those that the manifest is to own, each once; `depth` counts the manifests within each other."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    problems: list[Problem] = field(default_factory=list)
    owned: list[Seen] | None = None
    depth: int = 1


async def look(layer: ObjectLayer, caller: Caller, account: str, wanted: list[Wanted], *, owning: bool) -> Looked:
    """Look at every segment that a manifest of this account names, as the caller may."""
    found: dict[str, Seen | Trouble] = {}
    paths = iter({segment.path: None for segment in wanted if segment.data is None})
    looked = Looked()

    async def work() -> None:
        for path in paths:
            await trio.lowlevel.checkpoint()  # the store may have all of them at hand
            seen = found[path] = await _head(layer, caller, account, path, owning=owning)
            if isinstance(seen, Seen) and MANIFEST in seen.info.head.headers and not seen.linked:
                levels = 1 + await depth.levels(layer, caller, seen.container, seen.info)
                looked.depth = max(looked.depth, levels)
                if levels > DEPTH_MAX:
                    found[path] = SegmentTrouble.DEPTH

    async with trio.open_nursery() as nursery:
        for _ in range(min(_LOOKERS, len(wanted))):
            nursery.start_soon(work)
    for index, segment in enumerate(wanted):
        if index % SLICE == SLICE - 1:
            await trio.lowlevel.checkpoint()
        if segment.data is not None:
            looked.entries.append({"data": base64.b64encode(segment.data).decode()})
            looked.total += len(segment.data)
            continue
        seen = found[segment.path]
        if not isinstance(seen, Seen):
            looked.problems.append((segment.path, seen))
            continue
        entry, length = _entry(segment, seen.info, looked.problems, last=index == len(wanted) - 1)
        looked.entries.append(entry)
        looked.total += length
    if owning:
        named = [seen for seen in found.values() if isinstance(seen, Seen)]
        looked.owned = list({(seen.container.id, seen.info.name): seen for seen in named}.values())
    return looked


async def _head(layer: ObjectLayer, caller: Caller, account: str, path: str, *, owning: bool) -> Seen | Trouble:
    """What is there of a segment, or why it cannot be one."""
    name, _, object_name = path.lstrip("/").partition("/")
    try:
        container = await layer.container(caller, account, name, reading=True, object=object_name)
        info = await layer.store.head(container, object_name)
        if owning and (trouble := _unownable(caller, container, info)):
            return trouble
        linked = LINK_TARGET in info.head.headers
        if linked:
            container, info = await Trail(layer, caller).target(container, info)
    except (AccessError, LinkError) as error:
        return error
    except CallerError as error:
        return NotFoundError(str(error))  # nothing can be there
    return Seen(container, info, linked)


def _unownable(caller: Caller, container: Container, info: ObjectInfo) -> Trouble | None:
    """Why the caller cannot have this segment owned."""
    rule = container.headers.get(WRITE_ACCESS, "")
    try:
        caller.require(container.account, container.name, rule, reading=False, object=info.name)
    except AccessError as error:
        return error
    if MODE in container.headers:
        return SegmentTrouble.VERSIONS
    if LINK_TARGET in info.head.headers:
        return SegmentTrouble.LINK
    if MANIFEST in info.head.headers and OWNS not in info.head.headers:
        return SegmentTrouble.UNOWNING
    if len(owners(info)) >= OWNERS_MAX:
        return SegmentTrouble.OWNERS
    return None


def _entry(segment: Wanted, info: ObjectInfo, problems: list[Problem], *, last: bool) -> tuple[dict[str, Any], int]:
    """What to keep of one segment and the bytes it adds; appends what is wrong with it."""
    sub = MANIFEST in info.head.headers
    size, etag = view.described(info) if sub else (info.size, info.etag)
    entry: dict[str, Any] = {
        "name": "/" + segment.path.lstrip("/"),
        "bytes": size,
        "hash": etag,
        "content_type": info.head.content_type,
        "last_modified": _written(info.changed),
    }
    length = size
    if segment.range is not None:
        fitted = ranges.fit(segment.range, size)
        if not fitted:
            problems.append((segment.path, SegmentTrouble.RANGE))
        elif fitted != [(0, size)]:
            start, stop = fitted[0]
            entry["range"] = f"{start}-{stop - 1}"
            length = stop - start
    if length < 1 and not last:
        problems.append((segment.path, SegmentTrouble.EMPTY))
    if segment.size is not None and segment.size != size:
        problems.append((segment.path, SegmentTrouble.SIZE))
    if segment.etag is not None and segment.etag != etag:
        problems.append((segment.path, SegmentTrouble.ETAG))
    if sub:
        entry["sub_slo"] = True
    return entry, length


def _written(stamp: Stamp) -> str:
    """A time as kept manifests have it: ISO 8601 in steps of 10 µs."""
    at = _EPOCH + timedelta(microseconds=stamp.time_us // 10 * 10)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")


async def keep(
    layer: ObjectLayer,
    container: Container,
    name: str,
    looked: Looked,
    head: ObjectHead,
    condition: Condition,
    digest: str = "",
) -> tuple[ObjectInfo, str]:
    """Keep a manifest without problems; the etag of the whole too. Raises DigestError where that is not `digest`,
    OwnershipError where its segments cannot be owned any more."""
    etag = manifest.etag_of(looked.entries)
    if digest and digest != etag:
        raise DigestError("the etag of the whole is not what was announced")
    kept = json.dumps(looked.entries).encode()
    notes = {
        MANIFEST: "True",
        MANIFEST_ETAG: etag,
        MANIFEST_SIZE: str(looked.total),
        MANIFEST_DEPTH: str(looked.depth),
    }
    head = ObjectHead(
        head.content_type,
        {**head.headers, **notes},
        {LISTED_BYTES: str(looked.total), LISTED_MANIFEST_ETAG: etag},
        head.expires_at,
    )
    if looked.owned is None:
        return await keep_whole(layer.store, container, name, kept, head, condition), etag
    async with layer.ownership.making(container, name, looked.owned) as token:
        head = replace(head, headers={**head.headers, OWNS: token}, listing={**head.listing, LISTED_OWNS: token})
        return await keep_whole(layer.store, container, name, kept, head, condition), etag
