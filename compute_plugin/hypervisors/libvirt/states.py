"""What libvirt says of all guests at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import libvirt

from compute_plugin.hypervisors.interface import GuestState, Power
from compute_plugin.hypervisors.libvirt import marks

_POWERS: Final = {
    libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.SHUTDOWN,  # it ends just now
    libvirt.VIR_DOMAIN_SHUTOFF: Power.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: Power.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.SUSPENDED,
}


def read_states(connection: Any, servers: dict[tuple[str, int], bool]) -> dict[str, GuestState]:
    """Those of servers, by id. `servers` is what was found out before, and becomes what is known now: libvirt is asked
    once of each domain whether it is one. Blocks; raises libvirtError."""
    found: dict[str, GuestState] = {}
    known: dict[tuple[str, int], bool] = {}
    for domain, state, reason in _running(connection):
        key = (domain.UUIDString(), domain.ID())
        known[key] = servers[key] if key in servers else marks.is_ours(domain)
        if known[key]:
            found[key[0]] = _state(domain, state_of(state, reason))
    servers.clear()
    servers.update(known)
    return found


def _running(connection: Any) -> Iterator[tuple[Any, int, int]]:
    """Domains, with libvirt's state and reason. QEMU's driver says it of all at once, even where one hangs."""
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    try:
        for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, flags):
            yield domain, stats.get("state.state", 0), stats.get("state.reason", 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            try:
                state, reason = domain.state()
            except libvirt.libvirtError as gone:
                if gone.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                continue
            yield domain, state, reason


def state_of(state: int, reason: int) -> GuestState:
    """Of libvirt's numbers."""
    power = _POWERS.get(state, Power.NOSTATE)
    return GuestState(power, state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR)


def _state(domain: Any, state: GuestState) -> GuestState:
    if state.power is Power.PAUSED and not state.waits and marks.is_starting(domain):
        return GuestState(Power.NOSTATE)
    return state
