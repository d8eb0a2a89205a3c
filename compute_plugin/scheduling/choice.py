"""The choice of a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from compute_plugin.scheduling.filters import FILTERS, Request
from compute_plugin.scheduling.hosts import Host
from store.core.errors import DrystoneError

CALLED: Final = "No valid host was found."


class NoHostError(DrystoneError):
    """No host can have a server: the message says why, host by host. `refused` are the reasons by host."""

    def __init__(self, refused: dict[str, tuple[str, str]]) -> None:
        """`refused`: the filter and its reason."""
        self.refused = refused
        said = "; ".join(f"{host}: {filter_}: {why}" for host, (filter_, why) in sorted(refused.items()))
        super().__init__(f"{CALLED} {said or 'There is no host.'}")


def choose(hosts: Iterable[Host], request: Request) -> Host:
    """The host that is best for it. Raises NoHostError."""
    refused: dict[str, tuple[str, str]] = {}
    able: list[Host] = []
    for host in hosts:
        found = next(((name, why) for name, one in FILTERS.items() if (why := one(host, request))), None)
        if found is None:
            able.append(host)
        else:
            refused[host.name] = found
    if not able:
        raise NoHostError(refused)
    return max(able, key=lambda one: (_together(one, request), _room(one), one.name))


def _room(host: Host) -> float:
    """The share of memory that is free, less as more of its servers are on their way: they spread."""
    busy = sum(1 for one in host.servers if one.transition is not None)
    return (host.ram_mib - host.ram_used_mib) / max(host.ram_mib, 1) - 0.01 * busy


def _together(host: Host, request: Request) -> int:
    """What soft policies of groups would rather."""
    if request.group is None:
        return 0
    here = sum(1 for one in request.members if any(at == host.name for at, _ in one.claims))
    return {"soft-affinity": here, "soft-anti-affinity": -here, "anti-affinity": -here}.get(request.group.policy, 0)
