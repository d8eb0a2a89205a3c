"""Limits, each with its reason. Whatever a stranger can make grow has its bound here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    connections: int = 1024
    """Those above wait until one ends."""

    handshake: float = 10.0
    """Until a client has said what it wants, TLS included. To open the export is not counted. Who has no certificate
    can hold a connection for this long."""

    stall: float = 60.0
    """Between two pieces of one request, or of one reply. Between requests a client may be silent for ever."""

    requests: int = 64
    """Of one connection at the same time; the next ones are not read. Linux' own client sends up to 128, qemu 16."""

    bytes_in_flight: int = 64 * 1024 * 1024
    """Data of one connection's requests and replies, from when a request was read until its reply has left. Two of the
    largest requests: while one comes the other one can leave."""

    grace: float = 30.0
    """For what is in flight when the server stops."""
