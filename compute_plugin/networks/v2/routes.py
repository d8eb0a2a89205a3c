"""Every path of the network API, and who answers it."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.v2 import (
    agent_routes,
    availability_zones,
    extensions,
    first_looks,
    flavors,
    floatingip_pools,
    large_groups,
    network_ip_availabilities,
    qos_routes,
    qos_rule_types,
    quotas,
    service_providers,
    trunks,
)
from compute_plugin.networks.v2.address_groups import AddressGroups
from compute_plugin.networks.v2.address_scopes import AddressScopes
from compute_plugin.networks.v2.call import Call
from compute_plugin.networks.v2.collection import Collection
from compute_plugin.networks.v2.conntrack_helpers import ConntrackHelpers
from compute_plugin.networks.v2.default_rules import DefaultRules
from compute_plugin.networks.v2.flavors import Flavors, ServiceProfiles
from compute_plugin.networks.v2.floating_ips import FloatingIps
from compute_plugin.networks.v2.networks import Networks
from compute_plugin.networks.v2.port_forwardings import PortForwardings
from compute_plugin.networks.v2.ports import Ports
from compute_plugin.networks.v2.qos_policies import QosPolicies
from compute_plugin.networks.v2.qos_rules import (
    BandwidthLimits,
    DscpMarkings,
    MinimumBandwidths,
    MinimumPacketRates,
    PacketRateLimits,
)
from compute_plugin.networks.v2.rbac_policies import RbacPolicies
from compute_plugin.networks.v2.requests import Handler, routes_of
from compute_plugin.networks.v2.routers import Routers
from compute_plugin.networks.v2.security_group_rules import SecurityGroupRules
from compute_plugin.networks.v2.security_groups import SecurityGroups
from compute_plugin.networks.v2.segments import Segments
from compute_plugin.networks.v2.subnetpools import SubnetPools
from compute_plugin.networks.v2.subnets import Subnets
from compute_plugin.networks.v2.tags import tag_routes
from compute_plugin.networks.v2.trunks import Trunks
from gateway.rest.app import Routes

COLLECTIONS: Final[tuple[Collection[Any], ...]] = (
    Networks(),
    Subnets(),
    Ports(),
    SubnetPools(),
    AddressScopes(),
    SecurityGroups(),
    SecurityGroupRules(),
    DefaultRules(),
    AddressGroups(),
    Routers(),
    ConntrackHelpers(),
    FloatingIps(),
    PortForwardings(),
    RbacPolicies(),
    QosPolicies(),
    BandwidthLimits(),
    DscpMarkings(),
    MinimumBandwidths(),
    MinimumPacketRates(),
    PacketRateLimits(),
    Trunks(),
    Segments(),
    Flavors(),
    ServiceProfiles(),
)


def routes() -> Routes[Call]:
    """All of it."""
    found: dict[str, dict[str, Handler]] = {
        **extensions.ROUTES,
        **availability_zones.ROUTES,
        **flavors.ROUTES,
        **floatingip_pools.ROUTES,
        **qos_routes.routes(),
        **qos_rule_types.ROUTES,
        **trunks.ROUTES,
        **network_ip_availabilities.ROUTES,
        **quotas.ROUTES,
        **service_providers.ROUTES,
        **agent_routes.routes(),
        **tag_routes(COLLECTIONS),
    }
    for kind in COLLECTIONS:
        found.update(routes_of(kind))
    found.update(first_looks.routes())
    found.update(large_groups.routes())
    return found
