"""Dashboards that browsers are handed back to, with a token."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from authn.errors import UnauthorizedError
from store.core.errors import InvalidError

ORIGIN_CHARACTERS_MAX: Final = 512

_SCRIPT: Final = 'window.onload = function () { document.forms["sso"].submit(); };'
_SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class Page:
    """A page for a browser, and the headers that it must come with."""

    body: str = field(repr=False)
    headers: tuple[tuple[str, str], ...]


class Dashboards:
    """The URLs that are trusted with tokens, such as `https://dashboard.example.com/auth/websso/`."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises InvalidError for what is no URL of a page."""
        self._trusted = frozenset(_lowered(url) for url in trusted)

    def require_trusted(self, origin: str) -> str:
        """The origin, which is a trusted URL letter by letter but for its host's case. Raises InvalidError without one,
        UnauthorizedError for any other."""
        if not origin:
            raise InvalidError("Request must have an origin query parameter")
        if origin not in self._trusted:
            raise UnauthorizedError("The origin is not a trusted dashboard host")
        return origin


def handover(origin: str, token: str) -> Page:
    """A page that at once posts the token to a dashboard, as its form field `token`. Only to there can a form be sent
    from it, nothing but its own script runs, and nobody keeps it."""
    action = urlsplit(origin)
    policy = (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {action.scheme}://{action.netloc}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    body = (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Login</title></head>\n<body>\n'
        f'<form id="sso" name="sso" action="{html.escape(origin)}" method="post">\n'
        f'<input type="hidden" name="token" id="token" value="{html.escape(token)}">\n'
        '<noscript><input type="submit" value="Continue"></noscript>\n'
        f"</form>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
    return Page(
        body,
        (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", policy),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ),
    )


def _lowered(url: str) -> str:
    wrong = InvalidError(f"{url!r} is no URL of a dashboard, such as https://dashboard.example.com/auth/websso/")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise wrong from error
    plain = url.isascii() and url.isprintable() and not set(url) & set(" \"'<>;,\\")
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or not plain:
        raise wrong
    if len(url) > ORIGIN_CHARACTERS_MAX or parts.fragment:
        raise wrong
    return parts._replace(netloc=parts.netloc.lower()).geturl()
