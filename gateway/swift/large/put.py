"""PUT of a static large object: its manifest is kept after every segment that it names was looked at."""

from __future__ import annotations

from typing import Any

from gateway.objects import quotas
from gateway.objects.conditions import settled
from gateway.objects.large.checking import Looked, SegmentTrouble, Trouble, keep, look
from gateway.swift.access.restricted import Restricted
from gateway.swift.protocol import conditions, manifests, report
from gateway.swift.protocol.description import body_size, content_type, created, describe, wanted_etag
from gateway.swift.protocol.errors import RefusedError, bad_request, status_line
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.heartbeat import beating
from gateway.swift.protocol.manifests import ManifestError, TooManyError
from gateway.swift.protocol.refusals import refusal, refused
from gateway.swift.protocol.report import Problem
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.objects.model import ALWAYS, Condition, Container, ObjectHead

_ENTRIES_PER_SEGMENT = 10
"""Entries of a manifest, inline data too, for each segment that it may name; all are in memory while it is read."""


async def put(service: Service, request: Request) -> None:
    """PUT with `multipart-manifest=put`: check what the manifest says, then keep it."""
    condition = conditions.for_writing(request.headers)
    container = await service.container(request, reading=False)
    if condition is not ALWAYS:
        condition = await settled(service.store, container, request.object, condition)
    size_max = service.limits.max_manifest_size
    too_large = RefusedError(413, f"Manifest File > {size_max} bytes")
    size = body_size(request, service.limits.max_file_size)
    if size is not None and size > size_max:
        raise too_large
    try:
        body = await request.body(size_max)
    except RefusedError as error:
        raise too_large if error.status == 413 else error from None
    head = describe(request, service.limits, service.now(), content_type(request, request.object))
    await put_manifest(service, request, container, body, head, condition, [])


async def put_manifest(
    service: Service,
    request: Request,
    container: Container,
    body: bytes,
    head: ObjectHead,
    condition: Condition,
    extra: list[tuple[bytes, bytes]],
) -> None:
    """Check a manifest and keep it as the request's object; `extra` fields go with the answer."""
    layer, caller, limits = service.layer, request.principal, service.limits
    await quotas.admit(layer, caller, container, len(body))
    try:
        entries_max = limits.max_manifest_segments * _ENTRIES_PER_SEGMENT
        wanted = await manifests.parse(body, f"{request.container}/{request.object}", entries_max)
    except TooManyError as error:
        raise RefusedError(413, str(error)) from error
    except ManifestError as error:
        raise bad_request(str(error)) from error
    if sum(segment.data is None for segment in wanted) > limits.max_manifest_segments:
        raise RefusedError(413, f"Number of object-backed segments must be <= {limits.max_manifest_segments}")
    if isinstance(caller, Restricted):
        caller.require_read(request.account, (one.path.lstrip("/") for one in wanted if one.data is None))
    owning = _owning(request)
    digest = wanted_etag(request)
    kind = report.accepted(request) or "text/plain"
    if not is_true(request.query.get("heartbeat")):
        looked = await look(layer, caller, request.account, wanted, owning=owning)
        if looked.problems:
            problems = report.body(kind, {}, _problems(looked), "upload")
            raise RefusedError(400, problems, kind=kind.encode())
        info, etag = await keep(layer, container, request.object, looked, head, condition, digest)
        await request.respond(201, created(info, etag) + extra)
        return
    request.begin(202, [(b"content-type", kind.encode())], None)
    told: dict[str, Any] = {"Response Status": status_line(201), "Response Body": ""}
    looked = Looked()
    async with beating(request, kind, service.config.heartbeat_seconds, at_once=True) as heart:
        try:
            looked = await look(layer, caller, request.account, wanted, owning=owning)
            if looked.problems:
                raise RefusedError(400)
            info, etag = await keep(layer, container, request.object, looked, head, condition, digest)
            fields = dict(created(info, etag))
            told["Etag"] = fields[b"etag"].decode()
            told["Last Modified"] = fields[b"last-modified"].decode()
        except Exception as error:
            answer = refusal(error)
            if answer is None:
                raise
            told["Response Status"] = status_line(answer.status)
            told["Response Body"] = answer.text
    await request.push(heart.separator + report.body(kind, told, _problems(looked), "upload"))
    await request.end()


def _owning(request: Request) -> bool:
    """Whether the manifest is to own its segments. Raises RefusedError (400) for what means nothing."""
    stated = request.headers.get(b"x-static-large-object-segments")
    if stated is None:
        return False
    if stated.strip().lower() != b"owned":
        raise bad_request("X-Static-Large-Object-Segments must be owned, where it is sent")
    return True


def _problems(looked: Looked) -> list[Problem]:
    return [(manifests.quoted(path), _words(trouble)) for path, trouble in looked.problems]


def _words(trouble: Trouble) -> str:
    """A trouble as reports spell it."""
    if isinstance(trouble, SegmentTrouble):
        return trouble.value
    return status_line(refused(trouble).status)
