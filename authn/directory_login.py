"""Who is behind a name and a password of a directory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from authn.backends.backend import DirectoryAwayError, DirectoryUser, IdentityBackend
from authn.errors import UnauthorizedError
from authn.fair_line import Caller, FairLine
from authn.records import User
from authn.shadows import Shadows
from authn.throttle import LoginSource, Throttle
from store.core.errors import RetryableError

REFUSAL_SECONDS: Final = 0.5
"""No refusal comes sooner: that somebody does not exist is found out quicker than that a password is wrong."""

AT_ONCE: Final = 4
"""Logins that one directory is asked about at a time, fewer than it has connections: others want to be answered."""

WAITING_MAX: Final = 64
"""Strangers in line for one directory, and familiar ones in theirs."""

NAMES_MAX: Final = 10_000
"""Names that are remembered with whose they are."""

_NAME_CHARACTERS: Final = 300
"""Of a name that is remembered; no user's is as long."""

_Find = Callable[[IdentityBackend], Awaitable[DirectoryUser | None]]

_log: Final = structlog.get_logger(__name__)


class DirectoryLogin:
    """Asks directories. Refusals are all alike; one that is away is a RetryableError which says nothing of it, since
    strangers ask here."""

    def __init__(self, shadows: Shadows, throttle: Throttle, unknown: Throttle) -> None:
        """`unknown` counts names that directories do not have. A look-up costs little, so many are soon tried, and must
        not make forgotten what `throttle` counts."""
        self._shadows = shadows
        self._throttle = throttle
        self._unknown = unknown
        self._lines: dict[str, FairLine] = {}
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()

    def serves(self, domain_id: str) -> bool:
        """Whether the domain's users are in a directory."""
        return self._shadows.backends.serves(domain_id)

    def counted_as(self, domain_id: str, name: str) -> str:
        """What wrong passwords of a name are counted by: the user's id where it is known, since directories take many
        spellings for the same name."""
        return self._names.get((domain_id, name), f"{domain_id}/{name}"[:_NAME_CHARACTERS])

    async def by_name(self, domain_id: str, name: str, password: str, address: str) -> User:
        """The user, stored. Raises UnauthorizedError, RetryableError."""

        async def find(backend: IdentityBackend) -> DirectoryUser | None:
            told = await backend.user_by_name(name)
            if told is not None:
                self._remember(domain_id, name, told.public_id)
            return told

        return await self._verify(domain_id, self.counted_as(domain_id, name), find, password, address)

    async def by_record(self, record: User, password: str, address: str) -> User:
        """The user of a record that is stored. Raises UnauthorizedError, RetryableError."""

        async def find(backend: IdentityBackend) -> DirectoryUser | None:
            told = await backend.user(record.directory_id)
            return told if told is not None and told.public_id == record.id else None

        return await self._verify(record.domain_id, record.id, find, password, address)

    async def _verify(self, domain_id: str, counted: str, find: _Find, password: str, address: str) -> User:
        earliest = trio.current_time() + REFUSAL_SECONDS
        try:
            return await self._judged(domain_id, LoginSource(address, counted), find, password)
        except UnauthorizedError:
            await trio.sleep_until(earliest)
            raise
        except DirectoryAwayError as error:
            _log.warning("a login waits for a directory that is away", domain=domain_id, error=str(error))
            raise RetryableError("the domain's directory is away") from error

    async def _judged(self, domain_id: str, source: LoginSource, find: _Find, password: str) -> User:
        backends = self._shadows.backends
        if not backends.serves(domain_id):
            raise UnauthorizedError
        self._require_admitted(source)
        line = self._lines.setdefault(domain_id, FairLine(AT_ONCE, WAITING_MAX))
        async with line.turn(Caller(*source, familiar=self._throttle.is_familiar(source))):
            backend = backends.of(domain_id)
            found = await find(backend)
            if found is None:
                self._unknown.failed(source)
                raise UnauthorizedError
            source = LoginSource(source.address, found.public_id)
            self._require_admitted(source)  # others have failed meanwhile, and whose name it is is known only now
            told = await backend.authenticate(found.id, password)
        if told is None:
            self._throttle.failed(source)
            raise UnauthorizedError
        user = await self._shadows.keep_user(domain_id, told)
        if not user.enabled or not self._shadows.domain_enabled(domain_id):
            raise UnauthorizedError
        self._throttle.succeeded(source)
        return user

    def _require_admitted(self, source: LoginSource) -> None:
        if not (self._throttle.admits(source) and self._unknown.admits(source)):
            raise UnauthorizedError

    def _remember(self, domain_id: str, name: str, public_id: str) -> None:
        self._names[domain_id, name] = public_id
        self._names.move_to_end((domain_id, name))
        if len(self._names) > NAMES_MAX:
            self._names.popitem(last=False)
