"""Whom the host asks for names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

FILE: Final = Path("/etc/resolv.conf")
PORT: Final = 53
MOST: Final = 3
"""As the C library: others are not asked."""

Resolvers = Callable[[], Sequence[str]]


def resolvers_of(given: Sequence[str]) -> Resolvers:
    """Those that are given, or else those of the host, as they are at each question."""
    return (lambda: given[:MOST]) if given else (lambda: listed(_text())[:MOST])


def listed(text: str) -> list[str]:
    """Of a text as resolv.conf(5) says."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def target(resolver: str) -> tuple[int, Any]:
    """The family, and where to send to. Raises OSError for what is no address."""
    family, _, _, _, address = socket.getaddrinfo(resolver, PORT, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[
        0
    ]
    return family, address


def _text() -> str:
    try:
        return FILE.read_text(errors="replace")
    except OSError:
        return ""
