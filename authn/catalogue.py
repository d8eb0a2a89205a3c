"""Which endpoints a project is told of. Pure."""

from __future__ import annotations

import json

from authn.keys import ENDPOINT_GROUP_OF_PROJECT, ENDPOINT_OF_PROJECT
from authn.records import Endpoint, EndpointGroup
from authn.snapshot import IdentitySnapshot


def members(snapshot: IdentitySnapshot, group: EndpointGroup) -> list[Endpoint]:
    """The endpoints that have all that the group's filters ask for."""
    wanted = json.loads(group.filters)
    return [
        endpoint
        for endpoint in snapshot.endpoints
        if all(
            value == held
            for name, held in (
                ("service_id", endpoint.service_id),
                ("interface", endpoint.interface),
                ("region_id", endpoint.region),
                ("enabled", endpoint.enabled),
            )
            if (value := wanted.get(name)) is not None
        )
    ]


def chosen_endpoints(snapshot: IdentitySnapshot, project_id: str) -> set[str] | None:
    """The ids of the endpoints that were chosen for a project; None where none were: then it is told of all (as stock
    keystone's `return_all_endpoints_if_no_filter` has it)."""
    chosen = set(snapshot.links.others(ENDPOINT_OF_PROJECT, project_id))
    filtered = bool(chosen)
    for id_ in snapshot.links.others(ENDPOINT_GROUP_OF_PROJECT, project_id):
        group = snapshot.endpoint_groups.get(id_)
        if group is not None:
            filtered = True
            chosen |= {endpoint.id for endpoint in members(snapshot, group)}
    return chosen if filtered else None
