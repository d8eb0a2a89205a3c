"""What the serving process answers `drystone volume check` and `stats`, over its control socket.

    GET /volumes/NAME/stats                      counts since it was opened here, and figures; null where it is not open
    GET /volumes/NAME/check?snapshot=S&data=1    JSON, a line each as it is found, the last one `summary` or `error`:
        {"problem": text}  {"note": text}  {"doing": what, "done": N, "of": N or 0}
        {"summary": {"problems", "maps", "blocks", "objects", "read_bytes"}}  {"error": text}

A check ends when nobody reads what it says, or when the process is to stop.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from drystone.control import told
from drystone.counted_disk import CountedDisk, written
from drystone.volumes import Volumes
from store.blocks.report import Note, Problem, Report, Summary
from store.core.errors import DrystoneError, NotFoundError, RetryableError

TELL_SECONDS: Final = 0.25
"""How far a check has come is told so often at most."""

Check = Callable[[Callable[[Report], Awaitable[None]]], Awaitable[Summary]]


def report_routes(volumes: Volumes, stopping: Callable[[], bool]) -> Sequence[Route]:
    """For `control_app`. `stopping` says whether the process is to stop."""

    async def stats(request: Request) -> Response:
        disk = await volumes.disk(request.path_params["name"])
        return JSONResponse(None if disk is None else stats_row(disk))

    async def check(request: Request) -> Response:
        name, query = request.path_params["name"], request.query_params
        snapshot = query.get("snapshot")
        if snapshot not in (None, *(row.name for row in await volumes.snapshots(name))):
            raise NotFoundError(f"there is no snapshot {snapshot} of volume {name}")
        return Lines(lambda tell: volumes.check(name, snapshot, tell, data="data" in query), stopping)

    return [
        Route("/volumes/{name}/stats", told(stats), methods=["GET"]),
        Route("/volumes/{name}/check", told(check), methods=["GET"]),
    ]


def stats_row(disk: CountedDisk) -> dict[str, Any]:
    """Plain values."""
    figures, asked = disk.figures(), disk.requests["write"].bytes
    by = written(figures)
    return {
        "open_s": round(trio.current_time() - disk.opened, 1),
        "requests": {kind: requests.row() for kind, requests in disk.requests.items()},
        "written_bytes": by,
        "write_amplification": round(sum(by.values()) / asked, 2) if asked else None,
        "log_bytes": figures.log,
        "live_bytes": figures.live,
        "dead_bytes": figures.log - figures.live,
        "mapped_blocks": figures.mapped_blocks,
        "map_memory_bytes": figures.map_memory,
        "held_bytes": figures.held,
    }


class Lines(Response):
    """A check, as it goes."""

    def __init__(self, check: Check, stopping: Callable[[], bool]) -> None:
        self._check = check
        self._stopping = stopping
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told_at = -TELL_SECONDS

        async def line(row: dict[str, Any]) -> None:
            await send({"type": "http.response.body", "body": json.dumps(row).encode() + b"\n", "more_body": True})

        async def tell(report: Report) -> None:
            nonlocal told_at
            if self._stopping():
                raise RetryableError("this process stops")
            if isinstance(report, Problem | Note):
                await line({"problem" if isinstance(report, Problem) else "note": report.text})
            elif trio.current_time() >= told_at + TELL_SECONDS:
                told_at = trio.current_time()
                await line(report._asdict())

        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await line({"summary": (await self._check(tell))._asdict()})
        except DrystoneError as error:
            await line({"error": str(error)})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
