"""Extra specs that nova knows, and what each may be. Pure.

Names in a namespace of nova's that nova does not know are wrong; those in another are the operator's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from store.core.errors import InvalidError

Check = Callable[[str], bool]

NAMESPACES: Final = re.compile(
    r"accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota"
    r"|resources[a-zA-Z0-9_-]{0,64}|trait[a-zA-Z0-9_-]{0,64}|vmware"
)

_FLAGS: Final = frozenset({"1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no"})


def _flag(value: str) -> bool:
    return value.strip().lower() in _FLAGS


def _any(value: str) -> bool:
    return True


def _number(least: int | None = None, most: int | None = None) -> Check:
    def check(value: str) -> bool:
        if not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            return False
        return (least is None or int(value) >= least) and (most is None or int(value) <= most)

    return check


def _of(*choices: str) -> Check:
    return lambda value: value in choices


def _like(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


_CPUS: Final = r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*"

KNOWN: Final[tuple[tuple[re.Pattern[str], Check], ...]] = tuple(
    (re.compile(name), check)
    for name, check in (
        (r"hw:(cpu_realtime|hide_hypervisor_id|locked_memory|boot_menu|vif_multiqueue_enabled)", _flag),
        (r"hw:(mem_encryption|pmu|virtio_packed_ring|ephemeral_encryption)|hide_hypervisor_id", _flag),
        (r"hw:(cpu_realtime_mask|cpu_dedicated_mask|numa_cpus\.\d+)", _like(_CPUS)),
        (r"hw:cpu_policy", _of("dedicated", "shared", "mixed")),
        (r"hw:cpu_thread_policy", _of("prefer", "isolate", "require")),
        (r"hw:emulator_threads_policy", _of("isolate", "share")),
        (r"hw:mem_page_size", _like(r"large|small|any|\d+([kKMGT]i?)?(b|bit|B)?")),
        (r"hw:(numa_nodes|numa_mem\.\d+|cpu_(sockets|cores|threads))", _number(1)),
        (r"hw:cpu_max_(sockets|cores|threads)", _number()),
        (r"hw:pci_numa_affinity_policy", _of("required", "preferred", "legacy", "socket")),
        (r"hw:mem_encryption_model", _of("amd-sev", "amd-sev-es")),
        (r"hw:(pmem|maxphysaddr_mode|input_bus|video_model|sound_model|usb_model|viommu_model)", _any),
        (r"hw:maxphysaddr_bits", _number(0)),
        (r"hw:serial_port_count", _number(0)),
        (r"hw:redirected_usb_ports", _number(0, 15)),
        (r"hw:tpm_model", _of("tpm-tis", "tpm-crb")),
        (r"hw:tpm_version", _of("1.2", "2.0")),
        (r"hw:tpm_secret_security", _of("user", "host", "deployment")),
        (r"hw:watchdog_action", _of("none", "pause", "poweroff", "reset", "disabled")),
        (r"hw:ephemeral_encryption_format", _of("luks", "plain", "luksv2")),
        (r"hw_rng:allowed", _flag),
        (r"hw_rng:rate_(bytes|period)|hw_video:ram_max_mb", _number(0)),
        (r"os:secure_boot", _of("required", "disabled", "optional")),
        (r"group_policy", _of("none", "isolate")),
        (r"quota:(cpu|memory|disk_io|vif)_(limit|reservation)", _number()),
        (r"quota:(cpu|memory|disk_io|vif)_shares_level", _of("custom", "high", "normal", "low")),
        (r"quota:(cpu|memory|disk_io|vif)_shares_share", _number(0)),
        (r"quota:(cpu_shares|cpu_period)", _number(0)),
        (r"quota:cpu_quota", _number()),
        (r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?", _number(0)),
        (r"quota:vif_(inbound|outbound)_(average|burst|peak)", _number(0)),
        (r"resources[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+", _number(0)),
        (r"trait[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+", _of("required", "forbidden")),
        (r"(accel:device_profile|pci_passthrough:alias|vmware:(hw_version|storage_policy))", _any),
        (r"(aggregate_instance_extra_specs|capabilities):.+", _any),
    )
)


def require_known(name: str, value: str) -> None:
    """Raises InvalidError for what cannot be meant."""
    for pattern, check in KNOWN:
        if pattern.fullmatch(name):
            if check(value):
                return
            raise InvalidError(f"Validation failed; '{value}' cannot be the value of extra spec '{name}'.")
    if ":" in name and NAMESPACES.fullmatch(name.partition(":")[0]):
        raise InvalidError(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.")
