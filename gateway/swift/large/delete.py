"""Removing static large objects together with their segments."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from gateway.objects.large import manifest
from gateway.objects.large.manifest import Segment
from gateway.objects.large.owned_marks import OWNS
from gateway.objects.notes import MANIFEST
from gateway.objects.reading import whole
from gateway.objects.versions import one
from gateway.swift.protocol import manifests, report
from gateway.swift.protocol.errors import HTML, PLAIN, RefusedError, status_line
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.refusals import refused
from gateway.swift.protocol.report import Problem
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import CallerError, NotFoundError, RetryableError
from store.objects.interface import OpenObject
from store.objects.model import Container


async def delete(service: Service, request: Request) -> None:
    """DELETE with `multipart-manifest=delete`: the segments, then the manifest."""
    container = await service.container(request, reading=False)
    if is_true(request.query.get("async")):
        await _delete_one_container(service, request, container)
        return
    kind = report.accepted(request)
    if kind is None:
        raise RefusedError(406)
    deleted = missing = 0
    problems: list[Problem] = []
    owning: list[str] = []
    for path in await _paths(service, request, container, problems, owning):
        outcome = await _remove(service, request, path)
        if outcome == 204:
            deleted += 1
        elif outcome == 404:
            missing += 1
        else:
            problems.append((manifests.quoted(path), status_line(outcome)))
    for token in owning:
        with suppress(RetryableError):  # what is left is told to the ownership records already
            deleted += await service.layer.ownership.resolve(token, seen=True)
    told: dict[str, Any] = {
        "Response Status": status_line(400 if problems else 200),
        "Response Body": "",
        "Number Deleted": deleted,
        "Number Not Found": missing,
    }
    await request.respond(200, [(b"content-type", kind.encode())], report.body(kind, told, problems, "delete"))


async def _paths(
    service: Service, request: Request, container: Container, problems: list[Problem], owning: list[str]
) -> list[str]:
    """All segments of the request's manifest and of those within it, each before the manifest that names it. Manifests
    that own theirs go alone, to be resolved afterwards: their tokens are added to `owning`."""
    first = Segment(container.name, request.object, 0, "", 0, 0, True)
    paths: list[str] = []
    waiting: list[tuple[Segment, bool]] = [(first, False)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        if len(waiting) + len(paths) > service.limits.max_manifest_segments * 10:
            raise RefusedError(400, "Too many buffered slo segments to delete.")
        segment, opened = waiting.pop()
        path = f"/{segment.container}/{segment.object}"
        if opened or not segment.sub:
            paths.append(path)
            continue
        if (segment.container, segment.object) in seen:
            continue
        seen.add((segment.container, segment.object))
        try:
            inner = await _segments(service, request, segment.container, segment.object, owning)
        except (CallerError, RefusedError) as error:
            answer = refused(error)
            if answer.status == 404:
                paths.append(path)
            else:
                problems.append((manifests.quoted(path), answer.text))
            continue
        waiting.append((segment, True))
        waiting.extend((each, False) for each in reversed(inner) if each.data is None)
    return paths


async def _segments(service: Service, request: Request, container: str, name: str, owning: list[str]) -> list[Segment]:
    held = await service.container(request, reading=False, name=container, object=name)
    try:
        async with _opening(service, request, held, name) as opened:
            if MANIFEST not in opened.info.head.headers:
                raise RefusedError(400, "Not an SLO manifest")
            if OWNS in opened.info.head.headers:
                owning.append(opened.info.head.headers[OWNS])
                return []
            return manifest.load(await whole(opened))
    except NotFoundError:
        raise RefusedError(404, "SLO manifest not found") from None


def _opening(
    service: Service, request: Request, container: Container, name: str
) -> AbstractAsyncContextManager[OpenObject]:
    """A manifest; of the outermost the version that the request names."""
    if (container.name, name) == (request.container, request.object):
        return service.opening(request, container, name)
    return service.store.open(container, name)


async def _remove(service: Service, request: Request, path: str) -> int:
    container, _, name = path[1:].partition("/")
    try:
        held = await service.container(request, reading=False, name=container, object=name)
        if request.version and (container, name) == (request.container, request.object):
            await one.remove(service.store, request.principal, held, name, request.version)
        else:
            await service.store.delete(held, name)
    except CallerError as error:
        return refused(error).status
    return 204


async def _delete_one_container(service: Service, request: Request, container: Container) -> None:
    """`async=on`: answer as Swift does; the segments, which must be plain and in one container, go at once."""
    found = await _segments(service, request, container.name, request.object, [])
    segments = [segment for segment in found if segment.data is None]
    names = sorted({segment.container for segment in segments})
    if len(names) > 1:
        listed = ", ".join(f'"{manifests.quoted(name)}"' for name in names)
        raise RefusedError(400, f"All segments must be in one container. Found segments in {listed}", kind=PLAIN)
    if any(segment.sub for segment in segments):
        raise RefusedError(400, "No segments may be large objects.", kind=PLAIN)
    for segment in segments:
        outcome = await _remove(service, request, f"/{segment.container}/{segment.object}")
        if outcome not in (204, 404):
            raise RefusedError(outcome)
    await service.store.delete(container, request.object)
    await request.respond(204, [(b"content-type", HTML)])
