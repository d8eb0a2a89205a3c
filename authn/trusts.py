"""Trusts that are made from trusts: what the whole chain allows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from authn.records.credentials import Trust
from authn.snapshot import IdentitySnapshot

REDELEGATIONS_MAX: Final = 3
"""Stock keystone's bound of how often a trust is handed on."""


def pedigree(snapshot: IdentitySnapshot, trust: Trust) -> list[Trust] | None:
    """The trust and those that it was made from, the first of all last; None where one of them is gone."""
    chain = [trust]
    while chain[-1].redelegated_trust_id:
        parent = snapshot.trusts.get(chain[-1].redelegated_trust_id)
        if parent is None or parent in chain:
            return None
        chain.append(parent)
    return chain


def concerned(chain: Iterable[Trust]) -> Iterator[str]:
    """The ids of all that what a chain of trusts allows depends on."""
    for trust in chain:
        yield from (trust.id, trust.trustor_user_id, trust.trustee_user_id)


def made_from(snapshot: IdentitySnapshot, id_: str) -> Iterator[Trust]:
    """The trusts that were made from one, at whatever remove, nearest first."""
    for trust in snapshot.trusts:
        if trust.redelegated_trust_id == id_:
            yield trust
            yield from made_from(snapshot, trust.id)
