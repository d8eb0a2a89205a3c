"""Tokens that open a console once."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from compute_plugin.records.console import ConsoleToken
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from store.core.errors import ConflictError

TOKEN_BYTES: Final = 32
TOKENS_MAX: Final = 64
"""Of one server that open it at once."""


def new_token() -> str:
    """What is told to whoever may see a console, and kept nowhere."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_id(token: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def keep_token(records: Records, server: Server, token: str, type_: str, until_us: int, now_us: int) -> None:
    """It opens a server's console until then. Raises ConflictError where too many do."""
    held = records.console_tokens.by("server", server.id)
    for one in held:
        if one.until_us <= now_us:
            records.console_tokens.delete(one.id)
    if sum(1 for one in held if one.until_us > now_us) >= TOKENS_MAX:
        raise ConflictError("The server has so many open tokens that no more are given.")
    records.console_tokens.put(ConsoleToken(id=token_id(token), server_id=server.id, type=type_, until_us=until_us))


def valid_token(records: Records, token: str, now_us: int) -> ConsoleToken | None:
    """What a token opens; None where it opens nothing, or nothing any more."""
    found = records.console_tokens.get(token_id(token))
    return found if found is not None and now_us < found.until_us else None


def take_token(records: Records, token: str, now_us: int) -> ConsoleToken | None:
    """The same, and it opens nothing any more."""
    found = valid_token(records, token, now_us)
    if found is not None:
        records.console_tokens.delete(found.id)
    return found
