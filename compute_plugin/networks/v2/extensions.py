"""The extensions that are served: clients look for these names before they use what is behind them."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.v2.answers import answer
from compute_plugin.networks.v2.call import Call
from compute_plugin.networks.v2.requests import Handler

EXTENSIONS: Final = {
    "address-group": "Address group",
    "availability_zone": "Availability Zone",
    "external-net": "Neutron external network",
    "filter-validation": "Filter parameters validation",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "rbac-address-group": "Add address_group type to RBAC",
    "rbac-security-groups": "Add security_group type to network RBAC",
    "revision-if-match": "If-Match constraints based on revision_number",
    "security-group": "security-group",
    "security-groups-default-rules": "Default rules for security groups",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "security-groups-remote-address-group": "Remote address group id field for security group rules",
    "security-groups-rules-belongs-to-default-sg": "Security group rule belongs to the default security group",
    "security-groups-shared-filtering": "Security group filtering on the shared field",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "vlan-transparent": "Vlantransparent",
}
"""The alias, and its name."""
UPDATED: Final = "2026-11-30T00:00:00-00:00"


def _shown(alias: str) -> dict[str, object]:
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": UPDATED, "links": []}


async def list_extensions(call: Call) -> Response:
    return answer({"extensions": [_shown(alias) for alias in EXTENSIONS]})


async def show_extension(call: Call) -> Response:
    alias = call.path("alias")
    if alias not in EXTENSIONS:
        raise MissingError("ExtensionNotFound", f"Extension with alias {alias[:255]} does not exist")
    return answer({"extension": _shown(alias)})


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/v2.0/extensions": {"GET": list_extensions},
    "/v2.0/extensions/{alias}": {"GET": show_extension},
}
