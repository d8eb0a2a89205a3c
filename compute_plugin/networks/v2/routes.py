"""Every path of the network API, and who answers it."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.v2.addressing.address_scopes import AddressScopes
from compute_plugin.networks.v2.addressing.subnetpools import SubnetPools
from compute_plugin.networks.v2.addressing.subnets import Subnets
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.frame.requests import Handler, routes_of
from compute_plugin.networks.v2.networks import network_ip_availabilities
from compute_plugin.networks.v2.networks.networks import Networks
from compute_plugin.networks.v2.networks.segments import Segments
from compute_plugin.networks.v2.operating import agent_routes, availability_zones, extensions, quotas, service_providers
from compute_plugin.networks.v2.operating.tags import tag_routes
from compute_plugin.networks.v2.ports.ports import Ports
from compute_plugin.networks.v2.qos import qos_routes, qos_rule_types
from compute_plugin.networks.v2.qos.qos_policies import QosPolicies
from compute_plugin.networks.v2.qos.qos_rules import (
    BandwidthLimits,
    DscpMarkings,
    MinimumBandwidths,
    MinimumPacketRates,
    PacketRateLimits,
)
from compute_plugin.networks.v2.routing import flavors, floatingip_pools
from compute_plugin.networks.v2.routing.conntrack_helpers import ConntrackHelpers
from compute_plugin.networks.v2.routing.flavors import Flavors, ServiceProfiles
from compute_plugin.networks.v2.routing.floating_ips import FloatingIps
from compute_plugin.networks.v2.routing.port_forwardings import PortForwardings
from compute_plugin.networks.v2.routing.routers import Routers
from compute_plugin.networks.v2.security import first_looks
from compute_plugin.networks.v2.security.address_groups import AddressGroups
from compute_plugin.networks.v2.security.default_rules import DefaultRules
from compute_plugin.networks.v2.security.security_group_rules import SecurityGroupRules
from compute_plugin.networks.v2.security.security_groups import SecurityGroups
from compute_plugin.networks.v2.sharing.rbac_policies import RbacPolicies
from compute_plugin.networks.v2.trunks import trunks
from compute_plugin.networks.v2.trunks.trunks import Trunks
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
    return found
