"""What a guest has used, by libvirt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import libvirt

from compute_plugin.hypervisors.interface import Usage
from compute_plugin.hypervisors.libvirt.elements import parsed

_DISK: Final = ("rd.bytes", "rd.reqs", "wr.bytes", "wr.reqs")
_NIC: Final = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")
_KINDS: Final = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


def read_usage(connection: Any, domain: Any, uptime_s: int) -> Usage:
    """Blocks; raises libvirtError."""
    root = parsed(domain.XMLDesc(0))
    macs: dict[str, str] = {}
    for card in root.iterfind("devices/interface"):
        tap, mac = card.find("target"), card.find("mac")
        if tap is not None and mac is not None:
            macs[tap.get("dev", "")] = mac.get("address", "")
    return parse_usage(_statistics(connection, domain, tuple(macs)), macs, uptime_s)


def _statistics(connection: Any, domain: Any, taps: tuple[str, ...]) -> Mapping[str, Any]:
    """By libvirt's names. Drivers that do not say all at once say what they can."""
    try:
        ((_, stats),) = connection.domainListGetStats([domain], _KINDS, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        _state, maximum, used, _vcpus, cpu_ns = domain.info()
        found: dict[str, Any] = {"cpu.time": cpu_ns, "balloon.current": maximum, "balloon.rss": used}
        found["net.count"] = len(taps)
        for number, tap in enumerate(taps):
            found[f"net.{number}.name"] = tap
            values = zip(_NIC, domain.interfaceStats(tap), strict=True)
            found |= {f"net.{number}.{name}": value for name, value in values}
        return found
    return dict(stats)


def parse_usage(stats: Mapping[str, Any], macs: Mapping[str, str], uptime_s: int) -> Usage:
    """Of libvirt's statistics, and the addresses of cards by their taps."""
    vcpus = tuple(int(stats.get(f"vcpu.{number}.time", 0)) for number in range(stats.get("vcpu.maximum", 0)))
    memory = int(stats.get("balloon.current", 0))
    # Only a guest with a driver for it says what it does not use; else all that its process has taken is in use.
    used = memory - int(stats["balloon.unused"]) if "balloon.unused" in stats else int(stats.get("balloon.rss", 0))
    disks: dict[str, tuple[int, int, int, int, int]] = {}
    for number in range(stats.get("block.count", 0)):
        first, second, third, fourth = (int(stats.get(f"block.{number}.{name}", 0)) for name in _DISK)
        disks[str(stats[f"block.{number}.name"])] = (
            first,
            second,
            third,
            fourth,
            int(stats.get(f"block.{number}.errors", -1)),
        )
    nics: dict[str, tuple[int, int, int, int, int, int, int, int]] = {}
    for number in range(stats.get("net.count", 0)):
        mac = macs.get(str(stats.get(f"net.{number}.name", "")))
        if mac is not None:
            a, b, c, d, e, f, g, h = (int(stats.get(f"net.{number}.{name}", 0)) for name in _NIC)
            nics[mac] = (a, b, c, d, e, f, g, h)
    return Usage(
        cpu_ns=vcpus or (int(stats.get("cpu.time", 0)),),
        memory_mib=memory >> 10,
        memory_used_mib=min(used, memory) >> 10,
        disks=disks,
        nics=nics,
        uptime_s=uptime_s,
    )
