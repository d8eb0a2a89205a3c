"""The object layer over a store in memory, and a few who ask."""

from __future__ import annotations

from random import Random

from authn.identity import Identity
from gateway.objects.access.caller import AccessRules, Anonymous, User, rights_of
from gateway.objects.layer import ObjectLayer
from store.core.entropy import Random as Entropy
from store.objects.model import Container
from tests.twins.clock import ManualClock
from tests.twins.objects import MemoryStore

HOME = "AUTH_home"
RULES = AccessRules(("AUTH",), frozenset(), frozenset({"member"}), frozenset({"reader"}), "reselleradmin")


class SeededRandom(Entropy):
    """Random bytes that are the same each time."""

    def __init__(self) -> None:
        self._random = Random(1)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def user(name: str, project: str, *roles: str) -> User:
    """Somebody with these roles in a project."""
    return User(rights_of(Identity(f"{name}-id", name, project, f"{project}-name", frozenset(roles), 4e9), RULES))


def owner() -> User:
    return user("olga", "home", "member")


def stranger() -> User:
    return user("sven", "away", "member")


def nobody() -> Anonymous:
    return Anonymous(RULES)


class Cloud:
    """A layer, its store, and one container of the owner's."""

    def __init__(self) -> None:
        self.clock = ManualClock(tick_us=10)
        self.store = MemoryStore(self.clock)
        self.layer = ObjectLayer.over(self.store, self.clock, SeededRandom())

    async def container(self, name: str = "c", notes: dict[str, str | None] | None = None) -> Container:
        """A container, made or with these notes changed."""
        await self.store.put_account(HOME, {})
        await self.layer.store.put_container(HOME, name, notes or {})
        return await self.layer.container(owner(), HOME, name, reading=True)
