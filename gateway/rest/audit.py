"""The audit log: one event for each change and each refusal. It says who did what to what, and never a secret: neither
tokens nor bodies, and of the URL only the path."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import structlog

from gateway.rest.call import Call
from store.core.errors import DrystoneError

_ASKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({401, 403})

_log = structlog.get_logger(__name__)


async def audit(call: Call, status: int, request_id: str) -> None:
    """Tell of a request that was answered with `status`, where there is something to tell. One that failed inside may
    have changed something, so that is told, too; one that was wrong in itself has not."""
    request = call.request
    refused = status in _REFUSED
    if not refused and (request.method in _ASKING or 400 <= status < 500):
        return
    user, project = await _who(call)
    _log.info(
        "refused" if refused else "changed",
        operation=call.operation,
        method=request.method,
        path=quote(request.scope["path"], errors="replace"),
        status=status,
        user=user,
        project=project,
        address=call.address,
        request_id=request_id,
    )


async def _who(call: Call) -> tuple[str, str]:
    """The ids of the user who asked and of the project that they asked for, "" where they are not known."""
    try:
        caller = await call.identify(call.token()) if call.token() else None
    except DrystoneError:
        caller = None  # the answer is there already, and must not depend on this
    if caller is None:
        return "", ""
    held = caller.credentials
    return str(held.get("user_id") or ""), str(held.get("project_id") or "")
