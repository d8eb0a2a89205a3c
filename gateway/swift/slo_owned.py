"""Manifests that own their segments, as clients ask for them: `X-Static-Large-Object-Segments: owned` with the PUT."""

from __future__ import annotations

from gateway.swift.errors import Fields, RefusedError, bad_request, status_line
from gateway.swift.owned_marks import OWNERS_MAX, OWNS, owners
from gateway.swift.read_view import LINK_TARGET, STATIC
from gateway.swift.request import Request
from gateway.swift.version_names import MODE
from store.objects.model import Container, ObjectInfo

HEADER, OWNED = b"x-static-large-object-segments", b"owned"


def asked(request: Request) -> bool:
    """Whether the manifest is to own its segments. Raises RefusedError (400) for what means nothing."""
    stated = request.headers.get(HEADER)
    if stated is None:
        return False
    if stated.strip().lower() != OWNED:
        raise bad_request("X-Static-Large-Object-Segments must be owned, where it is sent")
    return True


def fields(info: ObjectInfo) -> Fields:
    """What is shown of a manifest that owns."""
    return [(HEADER, OWNED)] if OWNS in info.head.headers else []


def refused(request: Request, container: Container, info: ObjectInfo) -> str:
    """Why the principal cannot have this segment owned, or ""."""
    rule = container.headers.get("x-container-write", "")
    try:
        request.principal.require(request, container.account, container.name, rule, reading=False)
    except RefusedError as error:
        return status_line(error.status)
    if MODE in container.headers:
        return "Segments in a container with versions cannot be owned"
    if LINK_TARGET in info.head.headers:
        return "A symlink cannot be owned"
    if STATIC in info.head.headers and OWNS not in info.head.headers:
        return "A manifest within must own its segments too"
    if len(owners(info)) >= OWNERS_MAX:
        return f"Owned by {OWNERS_MAX} manifests already"
    return ""
