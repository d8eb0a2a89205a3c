"""Every path of the volume API, and who answers it. Each is served with the project's id in it and without.

Whoever adds a kind of thing adds its routes here, its operations are in `policy`, its tasks in `work`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rest.app import Routes
from gateway.volumes import default_types, discovery, type_parts, types, volume_create, volumes
from gateway.volumes.call import Call, Handler, from_minor, in_project
from gateway.volumes.volume_metadata import VOLUME_METADATA

SUMMARY = 12


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
            **VOLUME_METADATA.routes("/volumes/{volume_id}/metadata"),
        }
    )


def both(paths: Mapping[str, Mapping[str, Handler]]) -> Routes[Call]:
    """With the project's id and without."""
    named = {
        f"/v3/{{project_id}}{path}": {method: in_project(handler) for method, handler in handlers.items()}
        for path, handlers in paths.items()
    }
    return {**named, **{f"/v3{path}": handlers for path, handlers in paths.items()}}
