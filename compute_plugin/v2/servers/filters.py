"""What lists of servers are filtered and sorted by. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import re2

from compute_plugin.lifecycle.status import STATUSES, status_of, task_state
from compute_plugin.networks.records.records import Records as NetworkRecords
from compute_plugin.records.server import Server, VmState
from compute_plugin.v2.servers.addresses import addresses_of
from store.core.errors import InvalidError

PATTERN_MAX: Final = 255

Test = Callable[[Server], bool]

EVERYBODY: Final = frozenset(
    {
        "reservation_id", "name", "status", "image", "flavor", "ip", "ip6", "changes-since", "changes-before",
        "all_tenants", "tags", "tags-any", "not-tags", "not-tags-any", "locked", "metadata", "availability_zone",
        "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state", "task_state",
        "vm_state", "progress", "user_id",
    }
)  # fmt: skip
"""What anybody may filter by; the rest is overlooked where they say it."""
ADMINS: Final = frozenset(
    {
        "host", "node", "hypervisor_hostname", "deleted", "project_id", "tenant_id", "uuid", "instance_name",
        "hostname", "display_description", "description", "display_name", "launch_index", "root_device_name",
        "kernel_id", "ramdisk_id", "soft_deleted", "disk_config", "access_ip_v4", "access_ip_v6", "auto_disk_config",
        "cleaned", "locked_by", "reservation_id", "block_device_mapping", "services", "metadata", "system_metadata",
        "info_cache", "security_groups", "pci_devices", "user_id", "image_ref",
    }
)  # fmt: skip

_TEXTS: Final[Mapping[str, Callable[[Server], Any]]] = {
    "reservation_id": lambda one: one.reservation_id,
    "image": lambda one: one.image_id,
    "image_ref": lambda one: one.image_id,
    "flavor": lambda one: one.flavor.id,
    "host": lambda one: one.host,
    "node": lambda one: one.host,
    "hypervisor_hostname": lambda one: one.host,
    "project_id": lambda one: one.project_id,
    "tenant_id": lambda one: one.project_id,
    "user_id": lambda one: one.user_id,
    "uuid": lambda one: one.id,
    "key_name": lambda one: one.key_name or "",
    "availability_zone": lambda one: one.zone,
    "vm_state": lambda one: str(one.state),
    "power_state": lambda one: str(one.power),
    "task_state": lambda one: task_state(one) or "",
    "progress": lambda one: str(one.progress),
    "launch_index": lambda one: str(one.index),
    "kernel_id": lambda one: one.image_properties.get("kernel_id", ""),
    "ramdisk_id": lambda one: one.image_properties.get("ramdisk_id", ""),
}
_PATTERNS: Final[Mapping[str, Callable[[Server], str]]] = {
    "name": lambda one: one.name,
    "display_name": lambda one: one.name,
    "hostname": lambda one: one.hostname,
    "description": lambda one: one.description or "",
    "display_description": lambda one: one.description or "",
    "instance_name": lambda one: f"instance-{one.number:08x}",
}
SORTS: Final[Mapping[str, Callable[[Server], Any]]] = {
    "access_ip_v4": lambda one: one.access4,
    "access_ip_v6": lambda one: one.access6,
    "auto_disk_config": lambda one: one.auto_disk,
    "availability_zone": lambda one: one.zone,
    "config_drive": lambda one: one.config_drive,
    "created_at": lambda one: one.created_us,
    "display_description": lambda one: one.description or "",
    "display_name": lambda one: one.name,
    "host": lambda one: one.host,
    "hostname": lambda one: one.hostname,
    "image_ref": lambda one: one.image_id,
    "instance_type_id": lambda one: one.flavor.id,
    "kernel_id": lambda one: one.image_properties.get("kernel_id", ""),
    "key_name": lambda one: one.key_name or "",
    "launch_index": lambda one: one.index,
    "launched_at": lambda one: one.launched_us,
    "locked": lambda one: bool(one.locked),
    "locked_by": lambda one: one.locked,
    "node": lambda one: one.host,
    "power_state": lambda one: one.power,
    "progress": lambda one: one.progress,
    "project_id": lambda one: one.project_id,
    "ramdisk_id": lambda one: one.image_properties.get("ramdisk_id", ""),
    "root_device_name": lambda one: one.disks[0].target if one.disks else "",
    "task_state": lambda one: task_state(one) or "",
    "terminated_at": lambda one: one.terminated_us,
    "updated_at": lambda one: one.updated_us,
    "user_id": lambda one: one.user_id,
    "uuid": lambda one: one.id,
    "vm_state": lambda one: str(one.state),
}


def by_statuses(asked: Sequence[str]) -> Test:
    """Of these statuses; of none where no server can have them."""
    wanted = {one.upper() for one in asked}
    return lambda server: status_of(server) in wanted


def are_statuses(asked: Sequence[str]) -> bool:
    """Whether each is the status of some server."""
    return all(one.upper() in STATUSES for one in asked)


def by_address(networks: NetworkRecords, asked: str, version: int) -> Test:
    """An address of which a part is so. Raises InvalidError."""
    search = pattern("ip", asked)
    return lambda server: any(
        one.version == version and one.kind == "fixed" and search(one.text) for one in addresses_of(networks, server)
    )


def by_tags(name: str, asked: str) -> Test:
    wanted = {one for one in asked.split(",") if one}
    return {
        "tags": lambda server: wanted <= set(server.tags),
        "tags-any": lambda server: bool(wanted & set(server.tags)),
        "not-tags": lambda server: not wanted <= set(server.tags),
        "not-tags-any": lambda server: not wanted & set(server.tags),
    }[name]


def by_text(name: str, asked: str) -> Test | None:
    """What has to be equal, or of which a part has to be; None where there is nothing of that name."""
    if name in _PATTERNS:
        search, held = pattern(name, asked), _PATTERNS[name]
        return lambda server: bool(search(held(server)))
    if name in _TEXTS:
        text = _TEXTS[name]
        return lambda server: str(text(server)).lower() == asked.lower()
    if name == "config_drive":
        wanted = asked.lower() in ("true", "1", "yes", "on")
        return lambda server: server.config_drive is wanted
    return None


def is_deleted(server: Server) -> bool:
    return server.state is VmState.SOFT_DELETED


def pattern(name: str, asked: str) -> Callable[[str], Any]:
    """A regular expression that is looked for. RE2 takes no longer than the text is long, whoever wrote it. Raises
    InvalidError."""
    if len(asked) > PATTERN_MAX:
        raise InvalidError(f"Invalid input for query parameters {name}: at most {PATTERN_MAX} characters.")
    try:
        found: Callable[[str], Any] = re2.compile(asked, _OPTIONS).search
    except re2.error:
        found = re2.compile(re.escape(asked), _OPTIONS).search
    return found


_OPTIONS: Final = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
