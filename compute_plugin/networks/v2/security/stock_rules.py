"""The rules that new security groups begin with: what stock has, as an administrator changed it.

Those that stock has are no records, but they have ids, so that they can be shown and deleted. One that was deleted has
a record with its id (`GONE`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import EGRESS, INGRESS, DefaultRule

PARENT: Final = "PARENT"
"""In place of a group's id: the group that the rule is made in."""
GONE: Final = "gone"
"""The name of records that say that a stock rule was deleted: rules have no names."""


def _let_out(id_: str, ethertype: str) -> DefaultRule:
    return DefaultRule(
        id=id_,
        project_id="",
        description="Legacy default SG rule for egress traffic",
        direction=EGRESS,
        ethertype=ethertype,
        used_in_default=True,
    )


def _let_members_in(id_: str, ethertype: str) -> DefaultRule:
    return DefaultRule(
        id=id_,
        project_id="",
        description="Legacy default SG rule for ingress traffic",
        direction=INGRESS,
        ethertype=ethertype,
        remote_group_id=PARENT,
        used_in_default=True,
        used_in_others=False,
    )


STOCK: Final = {
    one.id: one
    for one in (
        _let_out("6ac0a2a4-0a5b-4b07-9b6e-6b2c6f3f0e01", "IPv4"),
        _let_out("6ac0a2a4-0a5b-4b07-9b6e-6b2c6f3f0e02", "IPv6"),
        _let_members_in("6ac0a2a4-0a5b-4b07-9b6e-6b2c6f3f0e03", "IPv4"),
        _let_members_in("6ac0a2a4-0a5b-4b07-9b6e-6b2c6f3f0e04", "IPv6"),
    )
}


def held_rules(records: Records) -> Iterator[DefaultRule]:
    """All that there are now."""
    yield from (one for one in STOCK.values() if records.default_rules.get(one.id) is None)
    yield from (one for one in records.default_rules if one.name != GONE)


def held_rule(records: Records, id_: str) -> DefaultRule | None:
    """One of them."""
    found = records.default_rules.get(id_) or STOCK.get(id_)
    return found if found is not None and found.name != GONE else None


def gone(rule: DefaultRule) -> DefaultRule:
    """That a stock rule was deleted."""
    return replace(rule, name=GONE)
