"""What strangers and careless clients send: each is legal HTTP, and each once held the event loop for long."""

from __future__ import annotations

import gzip
import io
import json
import socket
import tarfile
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from bench.client import Client
from bench.targets import Target

_FORM = {"Content-Type": "multipart/form-data; boundary=B"}
_EMPTY_PARTS = b"--B\r\n\r\n\r\n" * 250_000
_CHUNKS = b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n"
_TEXT = {"Content-Type": "text/plain"}


def _archive(kind: bytes, count: int) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for number in range(count):
            member = tarfile.TarInfo(f"d{number}")
            member.type = kind
            archive.addfile(member)
    return held.getvalue()


def _records(count: int) -> bytes:
    """An archive of one file, with so many records in its extended head."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("c/o")
        member.pax_headers = {f"a{number}": "" for number in range(count)}
        archive.addfile(member)
    return held.getvalue()


def _chunks(target: Target) -> None:
    """A body of 200,000 bytes in chunks of one byte."""
    parts = urlsplit(target.account_url)
    head = f"PUT {parts.path}/stalls/chunks HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {target.token}\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(
            head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n"
        )
        connection.recv(4096)


def attacks(target: Target) -> dict[str, Callable[[], object]]:
    """By name, what sends one of each. The container `stalls` is there and has a key for forms."""
    stranger = Target(target.name, target.account_url, "")
    directories = gzip.compress(_archive(tarfile.DIRTYPE, 50_000))
    empty_members = gzip.compress(b"".join(_archive(tarfile.REGTYPE, 1)[:512] for _ in range(20_000)))
    records = _records(170_000)
    absent = "\n".join(f"stalls/absent-{number}" for number in range(9_000)).encode()
    manifest = json.dumps([{"path": f"/stalls/n0-{number + 1}"} for number in range(1_000)]).encode()

    def ask(
        whom: Target, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> Callable[[], object]:
        def send() -> None:
            client = Client(whom)
            with suppress(ConnectionError):  # refused, and closed on, before all of it was sent
                client.ask(method, path, body, headers)
            client.close()

        return send

    return {
        "form of empty parts": ask(stranger, "POST", "stalls/x", _EMPTY_PARTS, _FORM),
        "archive of strangers": ask(stranger, "PUT", "?extract-archive=tar.gz", directories),
        "archive of directories": ask(target, "PUT", "?extract-archive=tar.gz", directories),
        "archive of empty members": ask(target, "PUT", "stalls?extract-archive=tar.gz", empty_members),
        "archive with long heads": ask(target, "PUT", "?extract-archive=tar", records),
        "bulk delete of absent names": ask(target, "POST", "?bulk-delete", absent, _TEXT),
        "bulk delete of empty lines": ask(target, "POST", "?bulk-delete", b"\n" * 300_000, _TEXT),
        "manifest": ask(target, "PUT", "stalls/manifest?multipart-manifest=put", manifest),
        "manifest of nothing": ask(
            target, "PUT", "stalls/manifest?multipart-manifest=put", b"[" + b"[]," * 2_700_000 + b"[]]"
        ),
        "chunks of one byte": lambda: _chunks(target),
    }
