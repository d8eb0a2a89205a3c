"""The fence of routers: a table of its own, by which nothing that a router sends passes without the host's lease.

Links of routers are shut but for those that are said here: `alone` are open for good, since no other host could take
their routers; `held` are open as long as `lease` has an element, which the kernel takes away by itself when nobody puts
it there anew. The table outlives agents, so none of it is in `table bridge drystone`, which each agent makes anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.plan.names import ROUTER_SPACES
from compute_plugin.networks.plan.wiring import LegPlug

TABLE: Final = "drystone_fence"
LEASE: Final = "lease"
_AT: Final = f"bridge {TABLE}"
_SHUT: Final = 'counter name "not_held" drop comment "this host may not have the router any more"'


LINKS: Final = ("dsr-", "dsg-")
"""How the names of routers' links begin."""


@dataclass(frozen=True, slots=True)
class Members:
    """Names of links of the host."""

    held: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()


def members(legs: Mapping[str, LegPlug], claimed: AbstractSet[str], contested: AbstractSet[str]) -> Members:
    """`claimed`: routers that are this host's with the lease that it has now; `contested`: those that another host
    could take."""
    held: set[str] = set()
    alone: set[str] = set()
    for link, leg in legs.items():
        router = leg.space.removeprefix(ROUTER_SPACES)
        if router in claimed:
            (held if router in contested else alone).add(link)
    return Members(frozenset(held), frozenset(alone))


def script(wanted: Members) -> str:
    """For `nft -f -`. The lease stays as it is."""
    return "".join(f"{line}\n" for line in _script(wanted))


def _script(wanted: Members) -> Iterator[str]:
    yield f"add table {_AT}"
    yield f"add counter {_AT} not_held"
    yield f"add set {_AT} {LEASE} {{ type iface_type; flags timeout; }}"
    yield from (f"add set {_AT} {name} {{ type ifname; }}" for name in ("held", "alone"))
    yield f"add chain {_AT} legs"
    yield f"add chain {_AT} frames {{ type filter hook prerouting priority -310; policy accept; }}"
    yield from (f"flush chain {_AT} {name}" for name in ("legs", "frames"))
    yield from (f'add rule {_AT} frames iifname "{links}*" jump legs' for links in LINKS)
    yield f"add rule {_AT} legs iifname @alone return"
    yield f"add rule {_AT} legs iifname != @held {_SHUT}"
    yield f"add rule {_AT} legs meta iiftype != @{LEASE} {_SHUT}"
    yield from _filled("held", wanted.held)
    yield from _filled("alone", wanted.alone)


def _filled(name: str, links: Iterable[str]) -> Iterator[str]:
    yield f"flush set {_AT} {name}"
    told = ", ".join(f'"{link}"' for link in sorted(links))
    if told:
        yield f"add element {_AT} {name} {{ {told} }}"
