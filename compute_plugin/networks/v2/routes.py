"""Every path of the network API, and who answers it."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.v2 import extensions, first_looks
from compute_plugin.networks.v2.address_groups import AddressGroups
from compute_plugin.networks.v2.call import Call
from compute_plugin.networks.v2.collection import Collection
from compute_plugin.networks.v2.default_rules import DefaultRules
from compute_plugin.networks.v2.networks import Networks
from compute_plugin.networks.v2.ports import Ports
from compute_plugin.networks.v2.requests import Handler, routes_of
from compute_plugin.networks.v2.security_group_rules import SecurityGroupRules
from compute_plugin.networks.v2.security_groups import SecurityGroups
from compute_plugin.networks.v2.subnets import Subnets
from gateway.rest.app import Routes

COLLECTIONS: Final[tuple[Collection[Any], ...]] = (
    Networks(),
    Subnets(),
    Ports(),
    SecurityGroups(),
    SecurityGroupRules(),
    DefaultRules(),
    AddressGroups(),
)


def routes() -> Routes[Call]:
    """All of it."""
    found: dict[str, dict[str, Handler]] = {**extensions.ROUTES}
    for kind in COLLECTIONS:
        found.update(routes_of(kind))
    found.update(first_looks.routes())
    return found
