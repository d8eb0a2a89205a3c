"""Time-based one-time passwords (RFC 6238): six digits that a device and we make of a shared secret every 30 s."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from authn.administration import Administration
from authn.errors import UnauthorizedError, UnreadableError
from authn.records import User
from authn.records.credentials import CREDENTIAL, Credential
from authn.throttle import LoginSource, Throttle
from authn.vault import Vault
from store.core.clock import Clock
from store.core.errors import NotFoundError

TYPE: Final = "totp"
"""Of the credential whose blob is the secret, in base32."""
STEP_SECONDS: Final = 30
DIGITS: Final = 6
STEPS_BACK: Final = 1
"""How many steps ago a passcode may be from: it takes time to type, and clocks differ."""

_NAME_CHARACTERS: Final = 300


class Passcodes:
    """Verifies. Each passcode is good for once, in all processes; guesses are slowed down as those of passwords are."""

    def __init__(self, administration: Administration, vault: Vault, clock: Clock, throttle: Throttle) -> None:
        self._administration = administration
        self._vault = vault
        self._clock = clock
        self._throttle = throttle

    async def verify(self, user: User | None, name: str, passcode: str, *, address: str = "") -> User:
        """The user whose passcode it is. `name` is what somebody was called who does not exist. Raises
        UnauthorizedError."""
        # Apart from passwords: whoever knows the password must not win tries by showing it.
        source = LoginSource(address, f"{TYPE} {user.id if user else name}"[:_NAME_CHARACTERS])
        if not self._throttle.admits(source):
            raise UnauthorizedError
        credentials = self._credentials(user.id if user else "")
        found = self._found(credentials, passcode)
        if found is None:
            # A guess costs us next to nothing. Those at whom nobody can guess right are not counted: so many could be
            # made that whatever else is counted would be forgotten, wrong passwords among it.
            if credentials:
                self._throttle.failed(source)
            raise UnauthorizedError
        try:
            await self._use(*found)
        except (UnauthorizedError, NotFoundError) as error:
            self._throttle.failed(source)
            raise UnauthorizedError from error
        snapshot = self._administration.snapshot
        present = snapshot.users.get(found[0].user_id)
        if present is None or not present.enabled or not snapshot.domain_enabled(present.domain_id):
            raise UnauthorizedError
        self._throttle.succeeded(source)
        return present

    def _credentials(self, user_id: str) -> list[Credential]:
        """Those of a user that make passcodes."""
        credentials = self._administration.snapshot.credentials
        return [one for one in credentials if one.user_id == user_id and one.type == TYPE]

    def _found(self, credentials: list[Credential], passcode: str) -> tuple[Credential, int] | None:
        """The credential that made the passcode, and in which step."""
        now = self._clock.wall_us() // 1_000_000 // STEP_SECONDS
        for credential in credentials:
            for step in range(now, now - STEPS_BACK - 1, -1):
                if _same(self._made(credential, step), passcode):
                    return credential, step
        return None

    def _made(self, credential: Credential, step: int) -> bytes | None:
        """The passcode of a step; None where the secret is none."""
        try:
            secret = self._vault.open(credential.sealed)
            key = base64.b32decode(secret + b"=" * (-len(secret) % 8), casefold=True)
            # SHA-1 is what devices reckon with; as an HMAC it is sound.
            return TOTP(key, DIGITS, SHA1(), STEP_SECONDS).generate(step * STEP_SECONDS)  # noqa: S303
        except (UnreadableError, ValueError):
            return None

    async def _use(self, credential: Credential, step: int) -> None:
        """No passcode of the step, or one before it, is good from now on. Raises UnauthorizedError where it was not."""

        def used(before: Credential) -> Credential:
            if before.used_step >= step or before.sealed != credential.sealed:
                raise UnauthorizedError
            return replace(before, used_step=step)

        await self._administration.update(CREDENTIAL, lambda snapshot: snapshot.credentials, credential.id, used)


def _same(made: bytes | None, passcode: str) -> bool:
    return made is not None and hmac.compare_digest(made, passcode.encode("utf-8", "surrogatepass"))
