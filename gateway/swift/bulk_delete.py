"""`?bulk-delete`: many objects and containers removed by one request, whose body names one a line."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import trio

from gateway.swift import bulk, object_put
from gateway.swift.auth import require_known
from gateway.swift.bulk import Report
from gateway.swift.errors import RefusedError
from gateway.swift.request import Request
from gateway.swift.service import Service
from gateway.swift.subrequest import Dispatch, ask

_WORKERS = 8
"""Names removed at once: the store writes for several at the price of one."""


async def delete(service: Service, request: Request, dispatch: Dispatch) -> None:
    """DELETE or POST with `bulk-delete`: objects first, then containers, which may then be empty."""
    require_known(request, service.config)
    report = Report(200, {"Number Deleted": 0, "Number Not Found": 0})

    async def remove(name: str) -> None:
        reply = await ask(service, dispatch, request, "DELETE", name.lstrip("/"))
        if 200 <= reply.status < 300:
            report.counts["Number Deleted"] += 1
        elif reply.status == 404:
            report.counts["Number Not Found"] += 1
        else:
            report.fail(name, reply.line)
            if len(report.problems) >= service.limits.max_failed_deletes:
                raise RefusedError(400, "Max delete failures exceeded")

    async def work() -> None:
        if not request.headers.get(b"content-type", b"text/plain").startswith(b"text/plain"):
            raise RefusedError(406)
        names = await _names(service, request)
        fitting = [name for name in names if _fits(name, report)]
        waiting = iter([name for name in fitting if "/" in name.strip("/")])

        async def worker() -> None:
            for name in waiting:
                await remove(name)

        async with trio.open_nursery() as nursery:
            for _ in range(min(_WORKERS, len(fitting))):
                nursery.start_soon(worker)
        for name in fitting:
            if "/" not in name.strip("/"):
                await remove(name)
        if not report.problems and not any(report.counts.values()):
            report.status, report.text = 400, "Invalid bulk delete."

    await bulk.run(service, request, report, "delete", work)


def _fits(name: str, report: Report) -> bool:
    if "\0" in name or not name.strip("/"):
        report.fail(name, "412 Precondition Failed")
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        report.fail(name, "412 Precondition Failed")
        return False
    return True


async def _names(service: Service, request: Request) -> list[str]:
    """The body's lines. Raises RefusedError: 411, 413 for too many, 400 for one that is no name."""
    object_put.body_size(service, request)
    limits = service.limits
    longest = 2 * (limits.max_object_name_length + limits.max_container_name_length + 2)
    names: list[str] = []
    rest = bytearray()
    async for piece in request.pieces():
        rest += piece
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        names += [_name(bytes(line)) for line in lines]
        if len(names) > limits.max_deletes_per_request:
            break
        if len(rest) > longest:
            raise RefusedError(400, "Invalid File Name")
    names.append(_name(bytes(rest)))
    names = [name for name in names if name]
    if len(names) > limits.max_deletes_per_request:
        raise RefusedError(413, f"Maximum Bulk Deletes: {limits.max_deletes_per_request} per request")
    return names


def _name(line: bytes) -> str:
    return unquote_to_bytes(line.strip()).decode("utf-8", "surrogateescape")
