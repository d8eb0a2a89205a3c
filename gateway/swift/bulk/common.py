"""What both bulk operations share: an answer that begins at once, and a report at its end that says how it went.

The answer is always 200; the status that counts is in the report, as clients expect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import structlog

from gateway.objects.access.caller import Anonymous
from gateway.swift.protocol import report as reports
from gateway.swift.protocol.errors import ClientGoneError, RefusedError, status_line
from gateway.swift.protocol.heartbeat import beating
from gateway.swift.protocol.refusals import refusal
from gateway.swift.protocol.report import Problem
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError

_log = structlog.get_logger(__name__)


@dataclass
class Report:
    """What has been done so far; `counts` are the numbers that it states."""

    status: int
    counts: dict[str, int]
    text: str = ""
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False
    """Something failed that is not the client's fault."""

    def fail(self, name: str, line: str) -> None:
        """Note what became of one name."""
        self.problems.append((quoted(name), line))
        self.broken = self.broken or line.startswith("5")

    def body(self, kind: str, root: str) -> bytes:
        fields: dict[str, Any] = {"Response Status": status_line(self.status), "Response Body": self.text}
        return reports.body(kind, {**fields, **self.counts}, self.problems, root)


async def admit(service: Service, request: Request, container: str) -> None:
    """Raise AccessError for those who may write nothing that a body could name, before any of it is read:
    nobody without a name writes, and where all goes into one container others may be known to be kept out of it."""
    if container:
        try:
            await service.container(request, reading=False, name=container)
        except NotFoundError:
            return  # said only to those who may make it
    elif isinstance(request.principal, Anonymous):
        request.principal.require(request.account, "", "", reading=False)


def quoted(name: str) -> str:
    """A name as reports show it."""
    return quote(name.encode("utf-8", "surrogateescape"))


async def run(
    service: Service, request: Request, report: Report, root: str, work: Callable[[], Awaitable[None]]
) -> None:
    """Answer with the report of `work`, which changes it; what `work` raises is reported."""
    kind = reports.accepted(request)
    if kind is None:
        raise RefusedError(406)
    request.begin(200, [(b"content-type", kind.encode())], None)
    async with beating(request, kind, service.config.heartbeat_seconds) as heart:
        try:
            await work()
            if report.problems:
                report.status = 502 if report.broken else 400
        except Exception as error:
            answer = refusal(error)
            if isinstance(answer, ClientGoneError):
                raise
            if answer is None:
                _log.error("bulk operation failed", path=request.path, txid=request.txid, exc_info=error)
                answer = RefusedError(500)
            report.status, report.text = answer.status, answer.text
    await request.push(heart.separator + report.body(kind, root))
    await request.end()
