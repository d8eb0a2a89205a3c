"""`V1AuthApp`: the handshake of the object API's first days: name and key in, token and account's URL out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import quote

import structlog

from authn.errors import UnauthorizedError
from authn.factors import unmet_rules
from authn.keys import PROJECT_TARGET
from authn.records import DEFAULT_DOMAIN
from authn.rights import Scope as TokenScope
from authn.service import IdentityService
from authn.tokens import Proof
from gateway.rest.origin import address, origin
from store.core.errors import CallerError, RetryableError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PATHS: Final = frozenset({"/auth/v1.0", "/auth/v1", "/auth/v1.0/", "/auth/v1/"})

REMEMBERED_MAX: Final = 10_000

FRESH_SECONDS: Final = 300
"""A remembered token that ends sooner is not given out again."""

_log = structlog.get_logger(__name__)


class Remembered:
    """Tokens by user, project and a hash of the key that was right for them.

    The hash is keyed with bytes that never leave the process and fast: what is remembered is no better a target than
    the tokens beside it.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._tokens: OrderedDict[bytes, str] = OrderedDict()

    def entry(self, user: str, key: str) -> bytes:
        """What stands for the pair."""
        pair = len(user).to_bytes(4, "big") + user.encode() + key.encode()
        return hmac.digest(self._secret, pair, hashlib.sha256)

    def get(self, entry: bytes) -> str | None:
        return self._tokens.get(entry)

    def put(self, entry: bytes, token: str) -> None:
        self._tokens[entry] = token
        self._tokens.move_to_end(entry)
        if len(self._tokens) > REMEMBERED_MAX:
            self._tokens.popitem(last=False)

    def drop(self, entry: bytes) -> None:
        self._tokens.pop(entry, None)


class V1AuthApp:
    """Serves `/auth/v1.0`. A user is `project:user`, both of the default domain."""

    def __init__(self, service: IdentityService, *, account_prefix: str = "AUTH_") -> None:
        self._service = service
        self._prefix = account_prefix
        self._remembered = Remembered()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"not served here: {scope['type']}")
        try:
            status, headers = await self._answer(scope)
        except RetryableError:
            status, headers = 503, [(b"retry-after", b"1")]
        except Exception:
            _log.exception("v1 authentication failed")
            status, headers = 500, []
        length = [(b"content-length", b"0"), (b"content-type", b"text/plain; charset=UTF-8")]
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope) -> tuple[int, Headers]:
        if scope["path"] not in PATHS:
            return 404, []
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [(b"allow", b"GET, HEAD")]
        headers = {name: value for name, value in scope["headers"] if name.startswith(b"x-")}
        user = headers.get(b"x-auth-user") or headers.get(b"x-storage-user") or b""
        key = headers.get(b"x-auth-key") or headers.get(b"x-storage-pass") or b""
        project_name, _, user_name = user.decode("utf-8", "replace").partition(":")
        try:
            token = await self._token(project_name, user_name, key.decode("utf-8", "replace"), address(scope))
            identity = await self._service.identify(token)
            if identity is None:
                raise UnauthorizedError
        except CallerError:
            realm = quote(project_name) or "unknown"
            return 401, [(b"www-authenticate", f'Swift realm="{realm}"'.encode())]
        url = f"{origin(scope)}/v1/{self._prefix}{identity.project_id}"
        left = int(identity.expires_at - self._service.clock.wall_us() / 1_000_000)
        return 200, [
            (b"x-auth-token", token.encode()),
            (b"x-storage-token", token.encode()),
            (b"x-storage-url", url.encode()),
            (b"x-auth-token-expires", b"%d" % left),
        ]

    async def _token(self, project_name: str, user_name: str, key: str, where: str) -> str:
        """A token, the one given out before where it is still good. Raises UnauthorizedError."""
        self._service.login.require_admitted(user_name, address=where)
        entry = self._remembered.entry(f"{project_name}:{user_name}", key)
        # Where the right password is refused a token that it made before is no way in.
        known = None if self._service.login.is_refused(user_name) else self._remembered.get(entry)
        if known is not None:
            # A changed password, a disabled user and a lost role all end the token, and what is remembered with it.
            identity = await self._service.identify(known)
            now_s = self._service.clock.wall_us() / 1_000_000
            if identity is not None and identity.expires_at - now_s > FRESH_SECONDS:
                return known
            self._remembered.drop(entry)
        user = await self._service.login.by_name(user_name, key, address=where)
        if unmet_rules(user, {"password"}) is not None:
            raise UnauthorizedError  # there is no way here to show more
        project = self._service.snapshot.projects.named((DEFAULT_DOMAIN, project_name))
        if project is None:
            raise UnauthorizedError
        proof = Proof(user, frozenset({"password"}), directory_groups=await self._service.shadows.vouch(user))
        sealed, _ = self._service.tokens.issue(proof, TokenScope(PROJECT_TARGET, project.id))
        self._remembered.put(entry, sealed)
        return sealed
