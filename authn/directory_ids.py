"""From public ids back to a directory's own. There is no way but to have made them from each other before."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal, NamedTuple

import trio

from authn.backends.backend import DirectoryGroup, DirectoryUser
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
        self._scanning = trio.Lock()

    def remember(self, domain_id: str, kind: Kind, told: DirectoryUser | DirectoryGroup) -> None:
        """The id was told, so it may be asked for."""
        key = kind, told.public_id
        self._places[key] = Place(domain_id, told.id)
        self._places.move_to_end(key)
        if len(self._places) > REMEMBERED_MAX:
            self._places.popitem(last=False)

    def known(self, kind: Kind, public_id: str) -> Place | None:
        """Where it is, as far as this process remembers."""
        return self._places.get((kind, public_id))

    async def scan(self, domain_id: str, kind: Kind, public_id: str) -> Place | None:
        """Where it is, if anywhere in the domain. Raises DirectoryAwayError."""
        async with self._scanning:  # whoever waited may find what the one before has seen
            place = self.known(kind, public_id)
            if place is None:
                backend = self._backends.of(domain_id)
                listed = backend.users(limit=SCANNED_MAX) if kind == "user" else backend.groups(limit=SCANNED_MAX)
                for told in (await listed).records:
                    self.remember(domain_id, kind, told)
                place = self.known(kind, public_id)
            return place
