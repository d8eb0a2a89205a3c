"""Every path of the volume API, and who answers it. Each is served with the project's id in it and without.

Whoever adds a kind of thing adds its routes here, its operations are in `policy`, its tasks in `work`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.rest.app import Routes
from gateway.volumes import (
    attach_actions,
    attachments,
    backup_actions,
    backups,
    default_types,
    discovery,
    group_actions,
    group_snapshots,
    group_types,
    groups,
    image_actions,
    managing,
    messages,
    past_actions,
    qos,
    quota_sets,
    services,
    snapshot_actions,
    snapshots,
    transfers,
    type_parts,
    types,
    volume_actions,
    volume_create,
    volumes,
)
from gateway.volumes.actions import acting
from gateway.volumes.call import Call, Handler, from_minor, in_project, known
from gateway.volumes.volume_metadata import SNAPSHOT_METADATA, VOLUME_METADATA

SUMMARY: Final = 12
ACTIONS: Final = {**attach_actions.TABLE, **volume_actions.TABLE, **image_actions.TABLE, **past_actions.TABLE}
"""Of volumes."""


def routes() -> Routes[Call]:
    """All of it."""
    return both(
        {
            **discovery.ROUTES,
            **types.ROUTES,
            **type_parts.ROUTES,
            **default_types.ROUTES,
            "/volumes": {"GET": volumes.list_volumes, "POST": volume_create.create_volume},
            "/volumes/detail": {"GET": volumes.list_volumes_detail},
            "/volumes/summary": {"GET": from_minor(SUMMARY, volumes.summarize)},
            "/volumes/{volume_id}": {
                "GET": volumes.show_volume,
                "PUT": volumes.update_volume,
                "DELETE": volumes.delete_volume,
            },
            "/volumes/{volume_id}/action": {"POST": acting(ACTIONS)},
            **VOLUME_METADATA.routes("/volumes/{volume_id}/metadata"),
            **snapshots.ROUTES,
            **snapshot_actions.ROUTES,
            **SNAPSHOT_METADATA.routes("/snapshots/{snapshot_id}/metadata"),
            "/snapshot/{snapshot_id}/metadata/{key}": {"GET": SNAPSHOT_METADATA.show},
            **attachments.ROUTES,
            **quota_sets.ROUTES,
            **services.ROUTES,
            **managing.ROUTES,
            **messages.ROUTES,
            **qos.ROUTES,
            **transfers.ROUTES,
            **group_types.ROUTES,
            **groups.ROUTES,
            **group_actions.ROUTES,
            **group_snapshots.ROUTES,
            **backups.ROUTES,
            **backup_actions.ROUTES,
        }
    )


def both(paths: Mapping[str, Mapping[str, Handler]]) -> Routes[Call]:
    """With the project's id and without. Nobody without a token is told anything."""
    named = {
        f"/v3/{{project_id}}{path}": {method: in_project(handler) for method, handler in handlers.items()}
        for path, handlers in paths.items()
    }
    bare = {
        f"/v3{path}": {method: known(handler) for method, handler in handlers.items()}
        for path, handlers in paths.items()
    }
    return {**named, **bare}
