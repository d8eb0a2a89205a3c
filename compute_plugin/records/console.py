"""Leave to see a server's console, for whoever holds a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleToken:
    """The token itself is told once; here is what is left of it."""

    id: str
    """SHA-256 of the token, in hexadecimal digits."""
    server_id: str
    type: str
    """`novnc` or `serial`."""
    until_us: int


CONSOLE_TOKEN_CODEC: Final = record_codec("console token", ConsoleToken)
