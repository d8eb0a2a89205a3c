"""From public ids back to a directory's own. There is no way but to have made them from each other before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import trio

from authn.backends.backend import DirectoryAwayError, DirectoryGroup, DirectoryUser
from authn.domain_backends import DomainBackends

REMEMBERED_MAX: Final = 200_000
"""Ids that are remembered, some 300 bytes each; those seen last."""

SCANNED_MAX: Final = 200_000
"""Users, or groups, of one directory that are looked through for an id."""

Kind = Literal["user", "group"]


class Place(NamedTuple):
    """Where somebody is: a domain with a directory, and the id there."""

    domain_id: str
    local_id: str


class DirectoryIds:
    """What was told lately, in memory; what was not is looked for in whole directories, one after the other."""

    def __init__(self, backends: DomainBackends) -> None:
        self._backends = backends
        self._places: OrderedDict[tuple[Kind, str], Place] = OrderedDict()
        self._scanning: dict[str, trio.Lock] = {}

    def remember(self, domain_id: str, kind: Kind, told: DirectoryUser | DirectoryGroup) -> None:
        """The id was told, so it may be asked for."""
        key = kind, told.public_id
        self._places[key] = Place(domain_id, told.id)
        self._places.move_to_end(key)
        if len(self._places) > REMEMBERED_MAX:
            self._places.popitem(last=False)

    async def find(self, kind: Kind, public_id: str, domain_ids: Iterable[str]) -> Place | None:
        """Where it is: as this process remembers, or in one of those domains. Raises DirectoryAwayError where it may be
        in a directory that is away."""
        place = self._places.get((kind, public_id))
        away: DirectoryAwayError | None = None
        if place is not None:
            return place
        for domain_id in domain_ids:
            try:
                place = await self._scan(domain_id, kind, public_id)
            except DirectoryAwayError as error:
                away = error
            if place is not None:
                return place
        if away is not None:
            raise away
        return None

    async def _scan(self, domain_id: str, kind: Kind, public_id: str) -> Place | None:
        async with self._scanning.setdefault(domain_id, trio.Lock()):
            if (kind, public_id) not in self._places:  # whoever waited may find what the one before has seen
                backend = self._backends.of(domain_id)
                listed = backend.users(limit=SCANNED_MAX) if kind == "user" else backend.groups(limit=SCANNED_MAX)
                for told in (await listed).records:
                    self.remember(domain_id, kind, told)
            return self._places.get((kind, public_id))
