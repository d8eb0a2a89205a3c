"""How much may pass a router's gateway: limits of floating addresses, and of the router's own address outside.

IPv4 alone, as with translation. What comes is counted before its target is translated, what goes after its source was:
so both are by the address outside.
"""

from __future__ import annotations

from collections.abc import Iterable

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.qos import KINDS, limits_of, map_name, rules_of
from compute_plugin.networks.plan.ruleset import Chain, Hook, Limit, Map
from compute_plugin.networks.records.qos import QosRule
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.security import EGRESS, INGRESS

Limiting = tuple[tuple[Chain, ...], tuple[Map, ...], tuple[Limit, ...]]
NOTHING: Limiting = ((), (), ())


def limiting(records: Records, router: Router, link: str, own: Iterable[str]) -> Limiting:
    """`link`: the gateway's in the router's namespace; `own`: the router's addresses outside."""
    held = [(router.id, address, _rules(records, router.qos_policy_id, router.gateway_network_id)) for address in own]
    for floating in records.floating_ips.by("router", router.id):
        found = _rules(records, floating.qos_policy_id, floating.network_id)
        held.append((floating.id, floating.address, found))
    limits: dict[str, Limit] = {}
    maps: dict[str, dict[str, str]] = {}
    for id_, address, rules in held:
        for direction, kind, limit in limits_of(rules, names.checked(id_)):
            limits[limit.name] = limit
            maps.setdefault(map_name(direction, kind), {})[address] = f'"{limit.name}"'
    if not limits:
        return NOTHING
    chains = (
        Chain("limited_in", _each(f'iifname "{link}" limit name ip daddr', INGRESS, maps), _hook("prerouting", -140)),
        Chain("limited_out", _each(f'oifname "{link}" limit name ip saddr', EGRESS, maps), _hook("postrouting", 150)),
    )
    made = tuple(Map(name, "type ipv4_addr : limit", elements) for name, elements in sorted(maps.items()))
    return chains, made, tuple(limits.values())


def _rules(records: Records, policy: str | None, network: str | None) -> list[QosRule]:
    """Of its own policy, or else the one of the network outside."""
    outside = records.networks.get(network) if network is not None else None
    return rules_of(records, policy or (outside.qos_policy_id if outside is not None else None))


def _each(what: str, direction: str, maps: Iterable[str]) -> tuple[str, ...]:
    each = [map_name(direction, kind) for kind, _ in KINDS]
    return tuple(f"{what} map @{one} drop" for one in each if one in maps)


def _hook(at: str, priority: int) -> Hook:
    return Hook("filter", at, priority)
