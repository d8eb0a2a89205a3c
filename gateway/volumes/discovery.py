"""What there is: extensions, filters, availability zones."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.volumes.call import Call, from_minor
from store.core.errors import NotFoundError

RESOURCE_FILTERS: Final = 33

EXTENSIONS: Final = (
    ("os-admin-actions", "AdminActions", "2012-08-25"),
    ("os-availability-zone", "AvailabilityZones", "2013-06-27"),
    ("backups", "Backups", "2012-12-12"),
    ("capabilities", "Capabilities", "2015-08-31"),
    ("os-extended-services", "ExtendedServices", "2014-01-10"),
    ("os-extended-snapshot-attributes", "ExtendedSnapshotAttributes", "2012-06-19"),
    ("os-hosts", "Hosts", "2011-06-29"),
    ("qos-specs", "Qos_specs_manage", "2013-08-02"),
    ("os-quota-class-sets", "QuotaClasses", "2012-03-12"),
    ("os-quota-sets", "Quotas", "2011-08-08"),
    ("OS-SCH-HNT", "SchedulerHints", "2013-04-18"),
    ("scheduler-stats", "Scheduler_stats", "2014-09-07"),
    ("os-services", "Services", "2012-10-28"),
    ("os-snapshot-actions", "SnapshotActions", "2013-07-16"),
    ("os-types-extra-specs", "TypesExtraSpecs", "2011-08-24"),
    ("os-types-manage", "TypesManage", "2011-08-24"),
    ("os-used-limits", "UsedLimits", "2013-10-03"),
    ("os-volume-actions", "VolumeActions", "2012-05-31"),
    ("os-volume-encryption-metadata", "VolumeEncryptionMetadata", "2013-07-10"),
    ("os-vol-host-attr", "VolumeHostAttribute", "2011-11-03"),
    ("os-vol-image-meta", "VolumeImageMetadata", "2012-12-07"),
    ("os-vol-mig-status-attr", "VolumeMigStatusAttribute", "2013-08-08"),
    ("os-vol-tenant-attr", "VolumeTenantAttribute", "2011-11-03"),
    ("os-volume-transfer", "VolumeTransfer", "2013-05-29"),
    ("os-volume-type-access", "VolumeTypeAccess", "2014-06-26"),
    ("encryption", "VolumeTypeEncryption", "2013-07-01"),
)
"""Alias, name and the day of those of stock cinder that are served."""

FILTERS: Final = {
    "volume": [
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size",
        "created_at", "updated_at", "consumes_quota",
    ],
    "backup": ["name", "status", "volume_id"],
    "snapshot": ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"],
    "group": ["name"],
    "group_snapshot": ["name", "status", "group_id"],
    "attachment": ["volume_id", "status", "instance_id", "attach_status"],
    "message": ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"],
    "pool": ["name", "volume_type"],
    "volume_type": ["is_public", "extra_specs"],
}  # fmt: skip


async def list_extensions(call: Call) -> Response:
    return answer({"extensions": [_extension(*one) for one in EXTENSIONS]})


async def show_extension(call: Call) -> Response:
    for one in EXTENSIONS:
        if one[0] == call.path("alias"):
            return answer({"extension": _extension(*one)})
    raise NotFoundError("There is no such extension.")


async def list_zones(call: Call) -> Response:
    return answer({"availabilityZoneInfo": [{"zoneName": call.service.zone, "zoneState": {"available": True}}]})


async def list_filters(call: Call) -> Response:
    """Of all kinds, or of the one that is asked for."""
    wanted = call.query.get("resource")
    found = {name: filters for name, filters in FILTERS.items() if wanted in (None, name)}
    return answer({"resource_filters": [{"resource": name, "filters": filters} for name, filters in found.items()]})


ROUTES: Final[Routes[Call]] = {
    "/extensions": {"GET": list_extensions},
    "/extensions/{alias}": {"GET": show_extension},
    "/os-availability-zone": {"GET": list_zones},
    "/resource_filters": {"GET": from_minor(RESOURCE_FILTERS, list_filters)},
}


def _extension(alias: str, name: str, day: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": name,
        "namespace": "",
        "description": f"As stock cinder's {name}.",
        "updated": f"{day}T00:00:00+00:00",
        "links": [],
    }
