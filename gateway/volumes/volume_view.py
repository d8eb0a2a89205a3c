"""A volume as clients see it, by microversion."""

from __future__ import annotations

from typing import Any, Final

from gateway.rest.times import shown_us
from gateway.volumes.call import Call
from gateway.volumes.listing import Row
from gateway.volumes.records import Volume
from gateway.volumes.standing import Standing
from gateway.volumes.status import attach_status
from gateway.volumes.type_records import VolumeType

GROUP: Final = 13
PROVIDER: Final = 21
SHARED_TARGETS: Final = 48
CLUSTER: Final = 61
TYPE_ID: Final = 63
CONSUMES_QUOTA: Final = 65


def summary(call: Call, volume: Volume) -> Row:
    """What short lists say of it."""
    return {"id": volume.id, "name": volume.name, "links": links(call, "volumes", volume.id)}


def links(call: Call, plural: str, id_: str) -> list[dict[str, str]]:
    """To a thing, with and without a version."""
    return [
        {"rel": "self", "href": f"{call.base}/{plural}/{id_}"},
        {"rel": "bookmark", "href": f"{call.bookmark}/{plural}/{id_}"},
    ]


class VolumeViews:
    """For one request: what its caller may see, and the names of types."""

    def __init__(self, call: Call, types: dict[str, VolumeType], *, admin: bool, host_names: bool) -> None:
        """`host_names`: whether the hosts of attachments are told."""
        self._call = call
        self._types = types
        self._admin = admin
        self._host_names = host_names

    @classmethod
    async def of(cls, call: Call) -> VolumeViews:
        types = {one.id: one for one in await call.service.types.every()}
        roles = (await call.credentials()).get("roles", ())
        admin = await call.is_admin()
        assert isinstance(roles, frozenset | tuple)
        return cls(call, types, admin=admin, host_names=admin or "service" in roles)

    def changed(self, now: Standing) -> Row:
        """What is told to whoever made or changed it: as in stock cinder without what its extensions say."""
        call, volume = self._call, now.volume
        type_ = self._types.get(volume.type_id)
        shown: dict[str, Any] = {
            "id": volume.id,
            "status": now.status,
            "size": volume.size,
            "availability_zone": volume.zone,
            "created_at": shown_us(volume.created_us),
            "updated_at": shown_us(volume.updated_us),
            "name": volume.name,
            "description": volume.description,
            "volume_type": type_.name if type_ is not None else volume.type_id,
            "snapshot_id": volume.snapshot_id,
            "source_volid": volume.source_id,
            "metadata": self._metadata(volume),
            "links": links(call, "volumes", volume.id),
            "user_id": volume.user_id,
            "bootable": str(volume.bootable).lower(),
            "encrypted": False,
            "replication_status": None,
            "consistencygroup_id": None,
            "multiattach": volume.multiattach,
            "attachments": self._attachments(volume),
        }
        if self._admin:
            shown["migration_status"] = None
        return shown | self._newer(volume, type_)

    def detail(self, now: Standing) -> Row:
        """All of it, as it is shown and listed."""
        volume = now.volume
        more: Row = {"os-vol-tenant-attr:tenant_id": volume.project_id}
        if volume.image:
            more["volume_image_metadata"] = volume.image
        if self._admin:
            more |= {
                "os-vol-host-attr:host": host_of(self._call, self._types.get(volume.type_id)),
                "os-vol-mig-status-attr:migstat": None,
                "os-vol-mig-status-attr:name_id": None,
            }
        return self.changed(now) | more

    def _newer(self, volume: Volume, type_: VolumeType | None) -> Row:
        """Fields that came with a microversion."""
        call = self._call
        shown: Row = {}
        if call.since(GROUP):
            shown["group_id"] = volume.group_id
        if call.since(PROVIDER) and self._admin:
            shown["provider_id"] = None
        if call.since(SHARED_TARGETS):
            shown["shared_targets"] = False
            shown["service_uuid"] = None
        if call.since(CLUSTER) and self._admin:
            shown["cluster_name"] = None
        if call.since(TYPE_ID):
            shown["volume_type_id"] = volume.type_id
            shown["volume_type"] = type_.name if type_ is not None else None
        if call.since(CONSUMES_QUOTA):
            shown["consumes_quota"] = True
        return shown

    def _metadata(self, volume: Volume) -> dict[str, str]:
        """With what stock cinder lets clients see among it."""
        shown = dict(volume.metadata)
        if volume.readonly is not None:
            shown["readonly"] = str(volume.readonly)
        modes = [one.mode for one in volume.attachments if one.state == "attached" and one.mode]
        return shown | ({"attached_mode": modes[0]} if modes else {})

    def _attachments(self, volume: Volume) -> list[Row]:
        return [
            {
                "id": volume.id,
                "attachment_id": one.id,
                "volume_id": volume.id,
                "server_id": one.server_id,
                "host_name": one.host if self._host_names else None,
                "device": one.mountpoint,
                "attached_at": shown_us(one.attached_us),
            }
            for one in volume.attachments
            if one.state == "attached"
        ]

    def row(self, now: Standing) -> Row:
        """What lists are filtered and ordered by; `_` is what it is of, `_shown` what `detail` says of that."""
        detail = self.detail(now)
        return detail | {
            "_": now,
            "_shown": detail,
            "display_name": now.volume.name,
            "project_id": now.volume.project_id,
            "attach_status": attach_status(now.volume),
            "volume_type_id": now.volume.type_id,
            "group_id": now.volume.group_id,
            "glance_metadata": now.volume.image,
            "consumes_quota": True,
            "use_quota": True,
            "bootable": now.volume.bootable,
            "migration_status": None,
        }


def host_of(call: Call, type_: VolumeType | None) -> str:
    """What administrators know as the host of a volume: host, back end and pool."""
    types = call.service.types
    policy = types.default_policy if type_ is None else types.policy_of(type_)
    return call.service.places.pool(policy)
