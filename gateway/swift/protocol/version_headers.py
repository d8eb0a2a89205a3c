"""The headers by which a container is told to keep versions."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from gateway.objects.large.owned_marks import OWNING
from gateway.objects.notes import VERSIONS_LOCATION
from gateway.objects.versions.names import ARCHIVED, ENABLED, HISTORY, MODE, STACK, SUSPENDED
from gateway.swift.protocol.errors import PLAIN, RefusedError, bad_request
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.request import Request

SHOWN = "x-versions-enabled"
LOCATION, HISTORY_LOCATION = "x-versions-location", "x-history-location"
FLAGS = (LOCATION, HISTORY_LOCATION)

_ENABLED = SHOWN.encode()
_MODES = {LOCATION: STACK, HISTORY_LOCATION: HISTORY}
_ALL = frozenset({_ENABLED, *(name.encode() for name in FLAGS), *(f"x-remove-{name[2:]}".encode() for name in FLAGS)})


def asked(request: Request) -> bool:
    """Whether a request says anything of versions."""
    return not _ALL.isdisjoint(request.headers)


def changes(request: Request, present: Mapping[str, str]) -> dict[str, str | None]:
    """What a request changes of a container's headers. Raises RefusedError (400, 412)."""
    found = _location(request, present)
    if _ENABLED not in request.headers:
        return found
    if found.get(MODE) or (MODE not in found and present.get(MODE) in (STACK, HISTORY)):
        raise RefusedError(
            400,
            "Cannot enable object versioning on a container that is already using the legacy versioned writes feature.",
        )
    if present.get("x-container-sync-to") or request.headers.get(b"x-container-sync-to"):
        raise RefusedError(
            400, "Cannot enable object versioning on a container configured as source of container syncing."
        )
    enabled = is_true(request.headers[_ENABLED])
    found[SHOWN] = str(enabled)
    if enabled:
        found[MODE] = ENABLED
    elif present.get(MODE) in ARCHIVED:
        found[MODE] = SUSPENDED
    return found


def _location(request: Request, present: Mapping[str, str]) -> dict[str, str | None]:
    stated = {name: request.header(name.encode()) for name in FLAGS if name.encode() in request.headers}
    wanted = {name: value for name, value in stated.items() if value}
    if len(wanted) > 1:
        raise bad_request(f"Only one of {LOCATION} or {HISTORY_LOCATION} may be specified")
    removed: dict[str, str | None] = dict.fromkeys((*FLAGS, VERSIONS_LOCATION))
    if wanted and OWNING in present:
        raise RefusedError(409, "Manifests in this container own their segments, of which no copy is kept.", kind=PLAIN)
    for name, value in wanted.items():
        container = unquote(value)
        if "/" in container or "\0" in container:
            raise RefusedError(412, "Container name cannot contain slashes", kind=PLAIN)
        if present.get(MODE) in ARCHIVED:
            raise bad_request("Cannot use versioned writes on a container that has object versioning")
        return {**removed, name: value, MODE: _MODES[name], VERSIONS_LOCATION: container}
    if stated or any(request.headers.get(f"x-remove-{name[2:]}".encode()) for name in FLAGS):
        return {**removed, MODE: None} if present.get(MODE) not in ARCHIVED else removed
    return {}
