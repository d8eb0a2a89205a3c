"""Why a host cannot have a server: one function for each reason, by the names of Nova's filters. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.grouping import ServerGroup
from compute_plugin.records.server import Server
from compute_plugin.scheduling.hosts import Host

NUMBER: Final = frozenset({"=", "==", "!=", ">=", "<=", ">", "<"})


@dataclass(frozen=True, slots=True)
class Request:
    """A place that is looked for."""

    server: Server
    flavor: Flavor
    image_properties: Mapping[str, str]
    group: ServerGroup | None
    members: Sequence[Server]
    """Of the group, the server itself not among them."""
    zone: str = ""
    host: str = ""
    """That alone will do; "" for any."""
    others_than: frozenset[str] = frozenset()
    """Hosts that will not do."""
    local_gib: int = 0
    """That its disks which are no volumes are to take more than they do."""
    can: frozenset[str] = frozenset()
    """What the hypervisor has to be able to."""


Filter = Callable[[Host, Request], str]
"""Why not, in words; "" where it can."""


def _named(host: Host, request: Request) -> str:
    if request.host and host.name != request.host:
        return f"{request.host} was asked for"
    return "it is where the server is" if host.name in request.others_than else ""


def _up(host: Host, request: Request) -> str:
    if host.note is not None and host.note.forced_down:
        return "an administrator said that it is down"
    if host.note is not None and host.note.disabled:
        return f"it is disabled: {host.note.disabled_reason or 'no reason was given'}"
    return "; ".join(host.state.problems)


def _zone(host: Host, request: Request) -> str:
    return f"it is in zone {host.zone}" if request.zone and request.zone != host.zone else ""


def _cpu(host: Host, request: Request) -> str:
    free = host.vcpus - host.vcpus_used
    if request.flavor.vcpus > host.vcpus:
        return f"{request.flavor.vcpus} VCPUs are more than its {host.vcpus}"
    return f"{free} of {host.vcpus} VCPUs are free" if request.flavor.vcpus > free else ""


def _ram(host: Host, request: Request) -> str:
    free = host.ram_mib - host.ram_used_mib
    return f"{free} of {host.ram_mib} MiB are free" if request.flavor.ram > free else ""


def _disk(host: Host, request: Request) -> str:
    free = host.disk_gib - host.store.used_gib
    # Where a host is lost more may be claimed than is left: who wants no more goes elsewhere all the same.
    return f"{free} of {host.disk_gib} GiB are free" if request.local_gib > max(free, 0) else ""


def _image(host: Host, request: Request) -> str:
    wanted = request.image_properties
    arch = wanted.get("hw_architecture") or wanted.get("architecture") or ""
    if arch and arch != str(host.state.cpu.get("arch") or arch):
        return f"it is no {arch}"
    kind = wanted.get("img_hv_type") or wanted.get("hypervisor_type") or ""
    same = {kind.lower(), "kvm" if kind.lower() == "qemu" else kind.lower()}
    return f"it runs no {kind}" if kind and host.state.kind.lower() not in same else ""


def _able(host: Host, request: Request) -> str:
    lacking = sorted(request.can - frozenset(host.state.can))
    return f"{host.state.kind} cannot {', '.join(lacking)}" if lacking else ""


def _extra_specs(host: Host, request: Request) -> str:
    """`aggregate_instance_extra_specs:NAME` of a flavor: that some aggregate of the host has it."""
    prefix = "aggregate_instance_extra_specs:"
    for name, wanted in request.flavor.extra_specs.items():
        if not name.startswith(prefix):
            continue
        held = [one.metadata.get(name.removeprefix(prefix)) for one in host.aggregates]
        if not any(one is not None and _matches(one, wanted) for one in held):
            return f"none of its aggregates has {name.removeprefix(prefix)} {wanted}"
    return ""


def _matches(held: str, wanted: str) -> bool:
    """In the words of Nova's extra specs: an operator and a value, or the value."""
    first, _, rest = wanted.strip().partition(" ")
    if first == "<in>":
        return rest.strip() in held
    if first == "<or>":
        return held in [one.strip() for one in rest.split("<or>")]
    if first in NUMBER and rest:
        try:
            one, other = float(held), float(rest)
        except ValueError:
            return False
        return {
            "=": one >= other, "==": one == other, "!=": one != other, ">=": one >= other, "<=": one <= other,
            ">": one > other, "<": one < other,
        }[first]  # fmt: skip
    return held == wanted


def _tenants(host: Host, request: Request) -> str:
    """`filter_tenant_id` of an aggregate: its hosts are for these projects alone."""
    held = [one.metadata["filter_tenant_id"] for one in host.aggregates if "filter_tenant_id" in one.metadata]
    if held and not any(request.server.project_id in one.replace(",", " ").split() for one in held):
        return "it is for other projects"
    return ""


def _hints(host: Host, request: Request) -> str:
    hints, here = request.server.hints, {one.id for one in host.servers}
    if (apart := _ids(hints.get("different_host"))) & here:
        return f"it has {', '.join(sorted(apart & here))}"
    same = _ids(hints.get("same_host"))
    if same and not same & here:
        return f"it has none of {', '.join(sorted(same))}"
    near = hints.get("build_near_host_ip")
    if isinstance(near, str) and host.state.address:
        try:
            block = ipaddress.ip_network(f"{near}{hints.get('cidr', '/24')}", strict=False)
            inside = ipaddress.ip_address(host.state.address) in block
        except ValueError:
            return f"{near}{hints.get('cidr', '/24')} is no network"
        if not inside:
            return f"{host.state.address} is not in {block}"
    return ""


def _query(host: Host, request: Request) -> str:
    """Nova's JsonFilter: such as `[">=", "$free_ram_mb", 1024]`."""
    said = request.server.hints.get("query")
    if said is None:
        return ""
    try:
        query = json.loads(said) if isinstance(said, str) else said
        return "" if _holds(query, _facts(host)) else "the query does not hold"
    except (ValueError, TypeError, LookupError, RecursionError):
        return "the query is none"


def _facts(host: Host) -> dict[str, Any]:
    return {
        "free_ram_mb": host.ram_mib - host.ram_used_mib,
        "free_disk_mb": (host.disk_gib - host.store.used_gib) * 1024,
        "vcpus_total": host.vcpus,
        "vcpus_used": host.vcpus_used,
        "hypervisor_hostname": host.name,
        "host": host.name,
        "hypervisor_type": host.state.kind,
        "num_instances": len(host.servers),
    }


def _holds(query: Any, facts: Mapping[str, Any]) -> bool:
    if not isinstance(query, list):
        return bool(query)
    operator, *rest = query
    if operator == "and":
        return all(_holds(one, facts) for one in rest)
    if operator == "or":
        return any(_holds(one, facts) for one in rest)
    if operator == "not":
        return not _holds(rest[0], facts)
    values = [facts[one[1:]] if isinstance(one, str) and one[:1] == "$" and one[1:] in facts else one for one in rest]
    first, others = values[0], values[1:]
    compared: Mapping[str, Callable[[Any], bool]] = {
        "=": lambda one: bool(first == one),
        "<": lambda one: bool(first < one),
        ">": lambda one: bool(first > one),
        "<=": lambda one: bool(first <= one),
        ">=": lambda one: bool(first >= one),
        "in": lambda one: bool(first == one),
    }
    found = [compared[operator](one) for one in others]
    return any(found) if operator == "in" else all(found)


def _group(host: Host, request: Request) -> str:
    group = request.group
    if group is None:
        return ""
    here = sum(1 for one in request.members if any(at == host.name for at, _ in one.claims))
    if group.policy == "anti-affinity" and here >= max(group.max_per_host, 1):
        return "a server of its group is there"
    elsewhere = any(one.host and one.host != host.name for one in request.members)
    if group.policy == "affinity" and elsewhere and not here:
        return "its group is on another host"
    return ""


def _ids(said: Any) -> frozenset[str]:
    if isinstance(said, str):
        return frozenset({said})
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()


FILTERS: Final = MappingProxyType[str, Filter](
    {
        "HostFilter": _named,
        "ComputeFilter": _up,
        "AvailabilityZoneFilter": _zone,
        "VCPUFilter": _cpu,
        "RamFilter": _ram,
        "DiskFilter": _disk,
        "ImagePropertiesFilter": _image,
        "ComputeCapabilitiesFilter": _able,
        "AggregateInstanceExtraSpecsFilter": _extra_specs,
        "AggregateMultiTenancyIsolation": _tenants,
        "HintsFilter": _hints,
        "JsonFilter": _query,
        "ServerGroupFilter": _group,
    }
)
"""In the order in which they are asked: the first that refuses is the reason."""
