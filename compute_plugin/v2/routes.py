"""What answers which path, below `/v2.1`."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.flavors import access, extra_specs, flavors
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.groups import server_groups
from compute_plugin.v2.hosts import aggregate_actions, aggregates, hypervisors, old_hosts, services, zones
from compute_plugin.v2.keypairs import keypairs
from compute_plugin.v2.operating import (
    audit_log,
    extensions,
    external_events,
    limits,
    migrations,
    quota_classes,
    quota_sets,
    usage,
)
from compute_plugin.v2.proxies import (
    floating_ips,
    image_metadata,
    images,
    networks,
    security_group_rules,
    security_groups,
    volumes,
)
from compute_plugin.v2.servers import routes as server_routes
from gateway.rest.app import Handler, Routes

RESOURCES: Final = (
    flavors,
    access,
    extra_specs,
    keypairs,
    server_groups,
    aggregates,
    aggregate_actions,
    zones,
    services,
    hypervisors,
    old_hosts,
    limits,
    quota_sets,
    quota_classes,
    usage,
    migrations,
    audit_log,
    external_events,
    extensions,
    images,
    image_metadata,
    networks,
    floating_ips,
    security_groups,
    security_group_rules,
    volumes,
    server_routes,
)
"""Modules that have ROUTES."""


def routes() -> Routes[Call]:
    """Of all resources."""
    found: dict[str, dict[str, Handler[Call]]] = {}
    for resource in RESOURCES:
        for path, handlers in resource.ROUTES.items():
            found.setdefault(path, {}).update(handlers)
    return found
