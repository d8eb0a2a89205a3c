"""`?bulk-delete`: many objects and containers removed by one request, whose body names one a line."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import trio

from gateway.swift.bulk import common
from gateway.swift.bulk.common import Report
from gateway.swift.protocol.description import body_size
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from gateway.swift.subrequest import Dispatch, ask

_WORKERS = 8
"""Names removed at once: the store writes for several at the price of one."""

_SLICE = 2048
"""Bytes of the list that are taken apart before others have their turn; each may be a line."""


async def delete(service: Service, request: Request, dispatch: Dispatch) -> None:
    """DELETE or POST with `bulk-delete`: objects first, then containers, which may then be empty."""
    await common.admit(service, request, "")
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
        fitting = await _names(service, request, report)
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

    await common.run(service, request, report, "delete", work)


async def _names(service: Service, request: Request, report: Report) -> list[str]:
    """The names in the body, one a line; those that can be none are reported. Raises RefusedError: 411, 413 for too
    many or too long a list, 400 for too long a name."""
    body_size(request, service.limits.max_file_size)
    limits = service.limits
    longest = 2 * (limits.max_object_name_length + limits.max_container_name_length + 2)
    most = limits.max_deletes_per_request
    names: list[str] = []
    rest = b""
    length = count = 0
    async for piece in request.pieces():
        length += len(piece)
        if length > (most + 1) * longest:
            raise RefusedError(413, f"Maximum Bulk Deletes: {most} per request")
        for start in range(0, len(piece), _SLICE):
            *lines, rest = (rest + piece[start : start + _SLICE]).split(b"\n")
            count += _take(lines, names, report)
            if count > most:
                raise RefusedError(413, f"Maximum Bulk Deletes: {most} per request")
            if len(rest) > longest:
                raise RefusedError(400, "Invalid File Name")
            await trio.lowlevel.checkpoint()
    if count + _take([rest], names, report) > most:
        raise RefusedError(413, f"Maximum Bulk Deletes: {most} per request")
    return names


def _take(lines: list[bytes], names: list[str], report: Report) -> int:
    """Add what fits to the names and report what does not; how many there were, leaving out empty lines."""
    count = 0
    for line in lines:
        packed = line.strip()
        if not packed:
            continue
        count += 1
        name = unquote_to_bytes(packed).decode("utf-8", "surrogateescape")
        if _fits(name):
            names.append(name)
        else:
            report.fail(name, "412 Precondition Failed")
    return count


def _fits(name: str) -> bool:
    if "\0" in name or not name.strip("/"):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
