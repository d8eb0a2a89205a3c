"""What may be done with aggregates that are zones: a host is in one, and servers do not change theirs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compute_plugin.records.grouping import Aggregate
from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import ZONE
from compute_plugin.v2.hosts.rows import servers_on

Refusal = Callable[[str], Exception]
"""Makes an error of a reason."""


def require_one_zone(records: Records, aggregate: Aggregate, zone: str, hosts: Iterable[str], refuse: Refusal) -> None:
    """Raises what `refuse` makes where one of the hosts is in another zone by another aggregate."""
    others = {
        other.metadata[ZONE]
        for host in hosts
        for other in records.aggregates.by("host", host)
        if other.id != aggregate.id and other.metadata.get(ZONE, zone) != zone
    }
    if others:
        raise refuse(f"One or more hosts already in availability zone(s) {sorted(others)}")


def require_no_servers(records: Records, hosts: Iterable[str], refuse: Refusal) -> None:
    """Of hosts whose zone is to become another."""
    if any(servers_on(records, host) for host in hosts):
        raise refuse("One or more hosts contain instances in this zone")


def require_same_zone(records: Records, aggregate: Aggregate, host: str, refuse: Refusal, *, added: bool) -> None:
    """A host that has servers stays in its zone, whether it is added to an aggregate or taken out of it."""
    here = aggregate.metadata.get(ZONE)
    count = len(servers_on(records, host))
    if not here or not count:
        return
    others = [one.metadata.get(ZONE) for one in records.aggregates.by("host", host) if one.id != aggregate.id]
    elsewhere = next((one for one in others if one), None)
    if here != elsewhere:
        before, after = (elsewhere, here) if added else (here, elsewhere)
        raise refuse(
            f"The availability zone of the host would change from '{before}' to '{after}', but the host already has "
            f"{count} instance(s), whose zone cannot change. Move them away first"
        )
