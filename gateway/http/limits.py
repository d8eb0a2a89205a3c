"""How much one client may ask of the server. Every number that bounds memory or time is here, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server. Sizes are bytes, times are seconds."""

    connections: int = 4096
    """Connections served at once. More wait in the accept queue; silent and idle ones are closed to let them in."""

    request_line: int = 16 * KIB
    """Method, target and version. A listing with marker, end marker, prefix and delimiter, each percent-encoded,
    comes to about 12 KiB. Longer: 414."""

    head_bytes: int = 64 * KIB
    """Request line and all fields together. Longer: 431."""

    fields: int = 200
    """Header fields in one request: 90 of metadata and what proxies add. More: 431."""

    field_bytes: int = 16 * KIB
    """One field, name and value. The object APIs stop at 8 KiB and say so in their own words. Longer: 431."""

    chunk_line: int = 256
    """The size line of one chunk, extensions included."""

    trailer_bytes: int = 8 * KIB
    """All trailers of a chunked body. They are checked and thrown away."""

    max_body: int | None = None
    """The longest request body; None leaves it to the application. Longer: 413."""

    head_read: int = 64 * KIB
    """One read while a request head is awaited, so also the most that is read ahead of the application."""

    body_read: int = 256 * KIB
    """One read while a body is received, so also the largest body message that the application gets."""

    drain_bytes: int = 256 * KIB
    """A body that the application left unread is read and thrown away up to here, to keep the connection."""

    head_timeout: float = 20.0
    """From the first byte of a request (or from connecting) to the end of its head. TLS handshakes too."""

    silence: float = 2.0
    """From connecting, where others wait for a place: who has said nothing for so long makes room."""

    idle_timeout: float = 75.0
    """Between two requests."""

    body_timeout: float = 60.0
    """Between two pieces of a request body."""

    send_timeout: float = 60.0
    """Between two pieces of a response that the client takes."""

    linger_timeout: float = 5.0
    """After an early answer: how long a client may go on sending before it is cut off."""

    grace: float = 30.0
    """When the server stops: how long requests in flight may take."""
