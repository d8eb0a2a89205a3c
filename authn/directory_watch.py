"""`DirectoryWatch`: tokens end when a directory no longer lets their users in, without asking it at each request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import structlog
import trio

from authn.administration import Administration
from authn.backends.backend import DirectoryAwayError
from authn.errors import UnauthorizedError
from authn.records import USER, User
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.token_format import Token
from store.core.clock import Clock
from store.core.errors import ConflictError, NotFoundError, RetryableError

LOOK_SECONDS: Final = 300
"""A user who has tokens is looked at again after so long."""

ROUND_SECONDS: Final = 30
"""How often it is seen who is due."""

_log: Final = structlog.get_logger(__name__)


class _Seen(NamedTuple):
    """Tokens that end together: one user's, with the same groups of the directory."""

    user_id: str
    user_epoch: int
    groups: tuple[str, ...]


@dataclass(slots=True)
class _Entry:
    due: float
    """When they are looked at again (trio's clock)."""
    ends_s: int
    """When the last of the tokens ends by itself."""


class DirectoryWatch:
    """What this process has issued or seen, until it ends. Keep `run` running."""

    def __init__(self, administration: Administration, shadows: Shadows, clock: Clock) -> None:
        self._administration = administration
        self._shadows = shadows
        self._clock = clock
        self._entries: dict[_Seen, _Entry] = {}
        self._some = trio.Event()

    def saw(self, token: Token, user: User) -> None:
        """The token holds now."""
        if not user.directory_id:
            return
        seen = _Seen(token.user_id, token.user_epoch, token.directory_groups)
        entry = self._entries.get(seen)
        if entry is None:
            age_s = max(0.0, self._clock.wall_us() / 1_000_000 - token.issued_s)
            due = trio.current_time() + max(0.0, LOOK_SECONDS - age_s)
            self._entries[seen] = _Entry(due, token.expires_s)
            self._some.set()
        else:
            entry.ends_s = max(entry.ends_s, token.expires_s)

    async def run(self) -> None:
        """Look at who is due, again and again; each directory by itself, so that one that is away holds up no other."""
        while True:
            if not self._entries:
                self._some = trio.Event()
                await self._some.wait()
            await trio.sleep(ROUND_SECONDS)
            by_domain: dict[str, list[_Seen]] = {}
            for seen, user in self._due():
                by_domain.setdefault(user.domain_id, []).append(seen)
            async with trio.open_nursery() as nursery:
                for domain_id, all_seen in by_domain.items():
                    nursery.start_soon(self._look_at, domain_id, all_seen)

    def _due(self) -> list[tuple[_Seen, User]]:
        """Those to be looked at; whose tokens have ended is forgotten."""
        snapshot, now = self._administration.snapshot, trio.current_time()
        now_s = self._clock.wall_us() / 1_000_000
        found = []
        for seen, entry in list(self._entries.items()):
            user = snapshot.users.get(seen.user_id)
            if user is None or user.epoch != seen.user_epoch or entry.ends_s <= now_s:
                del self._entries[seen]
            elif entry.due <= now:
                found.append((seen, user))
        return found

    async def _look_at(self, domain_id: str, all_seen: list[_Seen]) -> None:
        for seen in all_seen:
            try:
                if not await self._still_holds(seen):
                    await self._end(seen)
            except DirectoryAwayError as error:
                _log.warning("tokens stay although their users cannot be looked at", domain=domain_id, error=str(error))
                return  # at the next round
            except (RetryableError, ConflictError) as error:
                _log.warning("a user's tokens could not be ended yet", user_id=seen.user_id, error=str(error))
                continue
            if seen in self._entries:
                self._entries[seen].due = trio.current_time() + LOOK_SECONDS

    async def _still_holds(self, seen: _Seen) -> bool:
        user = self._administration.snapshot.users.get(seen.user_id)
        if user is None:
            return True  # nothing of theirs does
        try:
            return set(seen.groups) <= await self._shadows.groups_held(user)
        except UnauthorizedError:
            return False

    async def _end(self, seen: _Seen) -> None:
        def edit(before: User) -> User:
            return replace(before, epoch=before.epoch + 1) if before.epoch == seen.user_epoch else before

        try:
            await self._administration.update(USER, _users, seen.user_id, edit)
        except NotFoundError:
            return
        _log.info("a user's tokens were ended, as their directory says", user_id=seen.user_id)


def _users(snapshot: IdentitySnapshot) -> Table[User]:
    return snapshot.users
