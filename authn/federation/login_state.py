"""What must come back with a browser that is sent to a provider, sealed so that nothing need be stored here."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import astuple, dataclass
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from authn.errors import UnauthorizedError

LOGIN_SECONDS: Final = 600
"""From being sent away to being back."""
SEALED_CHARACTERS_MAX: Final = 4000
"""A browser keeps no longer cookie."""
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class LoginState:
    """One login on its way. `state` ties the provider's answer to this browser, `nonce` the ID token to this login,
    `verifier` the code to whoever asked for it (PKCE, RFC 7636)."""

    identity_provider: str
    protocol: str
    redirect_uri: str
    origin: str
    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls, identity_provider: str, protocol: str, redirect_uri: str, origin: str) -> LoginState:
        return cls(identity_provider, protocol, redirect_uri, origin, *(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """The verifier's digest, which the provider is told beforehand."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


class StateSeal:
    """Seals states with a key of 32 bytes that all processes of a cloud share; whoever has it can read them."""

    def __init__(self, key: bytes) -> None:
        """Raises ValueError for a key of another length."""
        self._fernet = Fernet(urlsafe_b64encode(key))

    def seal(self, state: LoginState, now: float) -> str:
        """A text for a cookie. `now` is in seconds."""
        plain = json.dumps([_VERSION, *astuple(state)], separators=(",", ":")).encode()
        return self._fernet.encrypt_at_time(plain, int(now)).decode()

    def open(self, sealed: str, now: float) -> LoginState:
        """Raises UnauthorizedError where it was not sealed here, or too long ago. `now` is in seconds."""
        try:
            plain = self._fernet.decrypt_at_time(sealed.encode(), LOGIN_SECONDS, int(now))
        except (InvalidToken, UnicodeEncodeError) as error:
            raise UnauthorizedError("The login was not begun here, or too long ago.") from error
        match json.loads(plain):
            case [1, *fields] if len(fields) == 7:
                return LoginState(*fields)
            case _:
                raise UnauthorizedError("The login was begun by another version.")


def cookie_name(state: str) -> str:
    """The name of a login's cookie: each has its own, so that two windows do not disturb each other."""
    return f"drystone-login-{hashlib.sha256(state.encode(errors='replace')).hexdigest()[:16]}"
