"""What QoS policies say, in the words of nft: how much may pass, and what is written into packets.

What is more than a limit lets through is dropped. Limits are objects of the kernel, one for each port, direction and
kind, to which a map leads from the port's link. Their names say what they are, since the kernel changes none: so
another limit is another object, and one element of a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.plugged import PluggedPort
from compute_plugin.networks.plan.ruleset import Chain, Limit, Map
from compute_plugin.networks.records.qos import BANDWIDTH_LIMIT, DSCP_MARKING, PACKET_RATE_LIMIT, QosRule
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import EGRESS, INGRESS

LIMITED: Final = 'counter name "limited" drop'
BYTES_MOST: Final = 10_000_000_000
PACKETS_MOST: Final = 100_000_000
"""A second; who may send more has no limit: nothing here is so fast, and the kernel's numbers end soon after."""
BURST_MOST: Final = (1 << 32) - 1
BURST_LEAST: Final = 64 * 1024
"""Of bytes: the largest frame that a server hands over at once, to be cut up later."""
USUAL_BURST: Final = 0.8
"""Of a second, where a rule says nothing: as stock Neutron."""
KINDS: Final = (("bytes", BANDWIDTH_LIMIT), ("packets", PACKET_RATE_LIMIT))


@dataclass(frozen=True, slots=True)
class Shaping:
    """What is to be added to `table bridge drystone`."""

    limits: tuple[Limit, ...] = ()
    maps: tuple[Map, ...] = ()
    chains: tuple[Chain, ...] = ()
    sent: tuple[str, ...] = ()
    """Rules for what comes from servers."""
    got: tuple[str, ...] = ()
    """Rules for what goes to them."""


NOTHING: Final = Shaping()


def shaping_of(records: Records, ports: Iterable[PluggedPort]) -> Shaping:
    """Of servers' ports: each has its own policy, or else the one of its network."""
    if not len(records.qos_rules):
        return NOTHING
    held = [(one, rules) for one in ports if (rules := _rules_of_port(records, one))]
    limits: list[Limit] = []
    maps: dict[str, dict[str, str]] = {}
    marks: dict[str, int] = {}
    for port, rules in held:
        link = f'"{port.link}"'
        for direction, kind, limit in limits_of(rules, names.checked(port.port.id)):
            limits.append(limit)
            maps.setdefault(map_name(direction, kind), {})[link] = f'"{limit.name}"'
        mark = _mark(rules)
        if mark is not None:
            marks[link] = mark
    made = [Map(name, "type ifname : limit", elements) for name, elements in sorted(maps.items())]
    sent, got = _rules("iifname", EGRESS, maps), _rules("oifname", INGRESS, maps)
    if not marks:
        return Shaping(tuple(limits), tuple(made), (), sent, got)
    made.append(Map("marks", "type ifname : verdict", {link: f"jump dscp-{mark}" for link, mark in marks.items()}))
    chains = [Chain(f"dscp-{one}", (f"ip dscp set {one}", f"ip6 dscp set {one}")) for one in sorted({*marks.values()})]
    return Shaping(tuple(limits), tuple(made), tuple(chains), (*sent, "iifname vmap @marks"), got)


def limits_of(rules: Iterable[QosRule], who: str) -> Iterator[tuple[str, str, Limit]]:
    """Directions, kinds (`bytes`, `packets`) and limits. `who`: whose they are, for their names."""
    for rule in rules:
        for kind, of in KINDS:
            rate = _rate(rule) if rule.kind == of else None
            if rate is None or rule.direction not in (EGRESS, INGRESS):
                continue
            most, burst = rate
            unit = " bytes" if kind == "bytes" else ""
            told = f"rate over {most}{unit}/second burst {burst} {kind}"
            yield rule.direction, kind, Limit(f"{rule.direction}-{kind}-{most}-{burst}-{who}", told)


def map_name(direction: str, kind: str) -> str:
    return f"{direction}_{kind}"


def rules_of(records: Records, policy: str | None) -> list[QosRule]:
    """Of a policy; [] for none."""
    return records.qos_rules.by("policy", policy) if policy is not None else []


def _rules_of_port(records: Records, one: PluggedPort) -> list[QosRule]:
    if one.port.qos_policy_id is not None:
        return rules_of(records, one.port.qos_policy_id)
    network = records.networks.get(one.port.network_id)
    return rules_of(records, network.qos_policy_id if network is not None else None)


def _rules(link: str, direction: str, maps: Iterable[str]) -> tuple[str, ...]:
    each = [map_name(direction, kind) for kind, _ in KINDS]
    return tuple(f"limit name {link} map @{one} {LIMITED}" for one in each if one in maps)


def _mark(rules: Iterable[QosRule]) -> int | None:
    return next((one.dscp_mark for one in rules if one.kind == DSCP_MARKING and one.dscp_mark is not None), None)


def _rate(rule: QosRule) -> tuple[int, int] | None:
    """In bytes or packets a second, and how many at once; None for what is no limit. The kernel lets a second's worth
    of bytes through at once besides the burst, of packets the burst alone."""
    if rule.max_kbps is not None:
        most, asked = rule.max_kbps * 125, (rule.max_burst_kbps or 0) * 125
        if not 0 < most <= BYTES_MOST:
            return None
        return most, min(max(asked, BURST_LEAST, most) - most, BURST_MOST)
    most, asked = (rule.max_kpps or 0) * 1000, (rule.max_burst_kpps or 0) * 1000
    if not 0 < most <= PACKETS_MOST:
        return None
    return most, min(asked or int(most * USUAL_BURST), BURST_MOST)
