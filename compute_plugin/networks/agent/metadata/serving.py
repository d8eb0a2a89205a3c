"""Hearing requests for metadata: a socket in each namespace of DHCP, answered by this process.

HTTP as far as it is needed: one request a connection, with a small body at most, within seconds.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
import trio

from compute_plugin.networks.agent.metadata.answers import NOT_FOUND
from compute_plugin.networks.agent.metadata.asking import Answer, Answers, Asked, port_of
from compute_plugin.networks.agent.netlink.namespaces import within
from compute_plugin.networks.plan.dhcp import METADATA6
from compute_plugin.networks.plan.dhcp_options import METADATA
from compute_plugin.networks.records.records import Records

PORT: Final = 80
AT_ONCE: Final = 64
"""Connections of one network; more wait."""
PATIENCE_S: Final = 10.0
HEAD_MOST: Final = 16 * 1024
BODY_MOST: Final = 4 * 1024
"""The longest that has a meaning is a password, of 1,020 bytes."""

_log = structlog.get_logger(__name__)


def listening(space: str) -> socket.socket:
    """At all addresses of a namespace, whichever it has just now. Raises OSError."""
    made = within(space, lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    try:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::", PORT))
        made.listen(AT_ONCE)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


async def serve(made: socket.socket, network: str, records: Callable[[], Records], answers: Answers) -> None:
    """Answer until cancelled; the socket is closed then."""
    limit = trio.Semaphore(AT_ONCE)
    with trio.socket.from_stdlib_socket(made) as heard:
        async with trio.open_nursery() as nursery:
            while True:
                await limit.acquire()
                accepted, _ = await heard.accept()
                nursery.start_soon(_one, accepted, limit, network, records, answers)


async def _one(
    accepted: trio.socket.SocketType,
    limit: trio.Semaphore,
    network: str,
    records: Callable[[], Records],
    answers: Answers,
) -> None:
    try:
        with accepted, trio.move_on_after(PATIENCE_S):
            if _plain(accepted.getsockname()[0]) not in (METADATA, METADATA6):
                return
            source = _plain(accepted.getpeername()[0])
            asked = parse(await _request(accepted), network, source, records())
            answer = asked if isinstance(asked, Answer) else await answers(asked)
            await trio.SocketStream(accepted).send_all(_written(answer))
    except (OSError, trio.BrokenResourceError):
        return  # who asked is gone
    except Exception:
        _log.exception("metadata could not be told", network=network)
    finally:
        limit.release()


async def _request(accepted: trio.socket.SocketType) -> bytes:
    """What was sent, to the end of the body, or as much of it as says that it is too long."""
    found = b""
    while not _is_whole(found):
        more = await accepted.recv(4096)
        if not more:
            break
        found += more
    return found


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return len(head) > HEAD_MOST
    return len(body) >= min(_length(_headers(head)), BODY_MOST + 1)


def parse(request: bytes, network: str, source: str, records: Records) -> Asked | Answer:
    """The request, or what is to be said where it is none."""
    head, _, body = request.partition(b"\r\n\r\n")
    words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or len(head) > HEAD_MOST:
        return Answer(400, b"")
    method, path, _ = words
    if method not in ("GET", "HEAD", "POST"):
        return Answer(405, b"")
    headers = _headers(head)
    length = _length(headers)
    if length > BODY_MOST:
        return Answer(413, b"")
    if len(body) < length or "transfer-encoding" in headers:
        return Answer(400, b"")
    port = port_of(records, network, source)
    if port is None:
        return NOT_FOUND
    return Asked(network, source, port, method, path, headers, body[:length])


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs}


def _length(headers: Mapping[str, str]) -> int:
    """Of the body, in bytes; more than it may be where that is no number."""
    said = headers.get("content-length", "0")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else BODY_MOST + 1


def _written(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + answer.body


def _plain(address: str) -> str:
    """Of IPv4 as such, of IPv6 without the link."""
    return address.removeprefix("::ffff:").partition("%")[0]
