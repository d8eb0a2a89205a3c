"""`?extract-archive=tar|tar.gz|tar.bz2`: an archive whose members become objects.

The first part of a member's path is its container, unless the request's path names one; what is missing is made.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import AsyncIterator, Mapping

from gateway.objects.reading import closing
from gateway.swift.bulk import common
from gateway.swift.bulk.common import Report
from gateway.swift.bulk.tar import TarError, TarReader, decompressed
from gateway.swift.protocol.description import body_size
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from gateway.swift.subrequest import Dispatch, ask

KINDS = {"tar": "", "tar.gz": "gz", "tar.bz2": "bz2"}

_TYPES = frozenset({"SCHILY.xattr.user.mime_type", "LIBARCHIVE.xattr.user.mime_type"})
_METADATA = ("SCHILY.xattr.user.meta.", "LIBARCHIVE.xattr.user.meta.")
_SPARSE = ("GNU.sparse.", "SCHILY.realsize", "SUN.holesdata")
_KEPT = (b"x-delete-at", b"x-delete-after")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

IDLE_MAX = 100_000
"""Members of one archive that become no objects, such as directories: they cost time and leave nothing."""


async def put(service: Service, request: Request, dispatch: Dispatch) -> None:
    """PUT with `extract-archive`. Raises RefusedError (400) for other kinds of archives."""
    compression = KINDS.get(request.param("extract-archive").lower().strip("."))
    if compression is None:
        raise RefusedError(400, "Unsupported archive format")
    await common.admit(service, request, request.container)
    extraction = _Extraction(service, request, dispatch)

    async def work() -> None:
        body_size(request, service.limits.max_file_size)
        try:
            async with closing(decompressed(request.pieces(), compression)) as pieces:
                await extraction.run(pieces)
        except TarError as error:
            raise RefusedError(400, f"Invalid Tar File: {error}") from error

    await common.run(service, request, extraction.report, "extract", work)


class _Extraction:
    """One archive on its way."""

    def __init__(self, service: Service, request: Request, dispatch: Dispatch) -> None:
        self._service = service
        self._request = request
        self._dispatch = dispatch
        self._base = "/".join(part for part in (request.container, request.object) if part).rstrip("/")
        self._seen: dict[str, tuple[str, str] | None] = {}
        self._made = 0
        self._idle = 0
        self._said = {
            name: value
            for name, value in request.headers.items()
            if name in _KEPT or name.startswith(b"x-object-meta-")
        }
        self.report = Report(201, {"Number Files Created": 0})

    async def run(self, pieces: AsyncIterator[bytes]) -> None:
        reader = TarReader(pieces)
        async for member in reader:
            if not (member.isfile() and await self._member(member, reader)):
                self._idle += 1
                if self._idle > IDLE_MAX:
                    raise RefusedError(400, f"Invalid Tar File: over {IDLE_MAX} members that become no objects")
            if len(self.report.problems) >= self._service.limits.max_failed_extractions:
                return
        if not self.report.problems and not self.report.counts["Number Files Created"]:
            raise RefusedError(400, "Invalid Tar File: No Valid Files")

    async def _member(self, member: tarfile.TarInfo, reader: TarReader) -> bool:
        """Make an object of a file, or report why not; False for one that is in no container."""
        path = member.name.removeprefix("./").lstrip("/")
        if self._base:
            path = f"{self._base}/{path}"
        container, _, name = path.partition("/")
        if not name:
            return False
        refusal = self._refusal(member, path)
        if refusal is not None:
            self.report.fail(path, refusal)
            return True
        missing = await self._container(container)
        headers = {**self._said, b"content-length": b"%d" % member.size}
        if not _describe(member.pax_headers, headers):
            self.report.fail(path, "400 Bad Request")
            return True
        async with closing(reader.content()) as content:
            reply = await ask(self._service, self._dispatch, self._request, "PUT", path, headers, content)
        if 200 <= reply.status < 300:
            self.report.counts["Number Files Created"] += 1
            return True
        if missing is not None:
            self.report.fail(*missing)
        self.report.fail(path, reply.line)
        if reply.status == 401:
            raise RefusedError(401)
        return True

    def _refusal(self, member: tarfile.TarInfo, path: str) -> str | None:
        try:
            path.encode()
        except UnicodeEncodeError:
            return "412 Precondition Failed"
        if "\0" in path:
            return "412 Precondition Failed"
        if member.size > self._service.limits.max_file_size:
            return "413 Request Entity Too Large"
        return "400 Bad Request" if _is_sparse(member) else None

    async def _container(self, name: str) -> tuple[str, str] | None:
        """Make the container where it is missing. What went wrong, which need not matter to whoever may write there."""
        if name in self._seen:
            return self._seen[name]
        reply = await ask(self._service, self._dispatch, self._request, "HEAD", name)
        if reply.status == 404:
            if self._made >= self._service.limits.max_containers_per_extraction:
                most = self._service.limits.max_containers_per_extraction
                raise RefusedError(400, f"More than {most} containers to create from tar.")
            reply = await ask(self._service, self._dispatch, self._request, "PUT", name)
            self._made += 1
        if reply.status == 401:
            raise RefusedError(401)
        self._seen[name] = None if 200 <= reply.status < 300 else (name, reply.line)
        return self._seen[name]


def _is_sparse(member: tarfile.TarInfo) -> bool:
    """Whether the holes of a member are not packed, and would have to be filled in: GNU tar's own form, or one of those
    that say so in an extended head (under which the member looks like any other)."""
    return member.type == tarfile.GNUTYPE_SPARSE or any(key.startswith(_SPARSE) for key in member.pax_headers)


def _describe(pax: Mapping[str, str], headers: dict[bytes, bytes]) -> bool:
    """Add what an extended head says of a member to the headers of its request; False for what no header can hold."""
    for key, value in pax.items():
        name = "content-type" if key in _TYPES else ""
        for prefix in _METADATA:
            if key.startswith(prefix):
                name = f"x-object-meta-{key[len(prefix) :].lower()}"
        if not name:
            continue
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            return False
        headers[name.encode()] = value.strip().encode("utf-8", "surrogateescape")
    return True
