"""Who may do what with routers, floating addresses and port forwardings."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, MANAGER, MEMBER, PARENT_MEMBER, PARENT_READER, READER

ROUTER_LINES: Final = {
    MEMBER: (
        "create_router",
        "create_router:external_gateway_info",
        "create_router:external_gateway_info:network_id",
        "create_router:tags",
        "update_router",
        "update_router:external_gateway_info",
        "update_router:external_gateway_info:network_id",
        "update_router:tags",
        "delete_router",
        "delete_router:tags",
        "add_router_interface",
        "remove_router_interface",
        "add_extraroutes",
        "remove_extraroutes",
        "add_external_gateways",
        "add_external_gateways:external_gateways",
        "add_external_gateways:external_gateways:network_id",
        "update_external_gateways",
        "update_external_gateways:external_gateways",
        "update_external_gateways:external_gateways:network_id",
        "remove_external_gateways",
        "remove_external_gateways:external_gateways",
        "create_floatingip",
        "create_floatingip:tags",
        "update_floatingip",
        "update_floatingip:tags",
        "delete_floatingip",
        "delete_floatingip:tags",
    ),
    MANAGER: ("create_floatingip:floating_ip_address",),
    READER: (
        "get_router",
        "get_router:tags",
        "get_floatingip",
        "get_floatingip:tags",
        "get_floatingip_pool",
    ),
    ADMIN: (
        "create_router:distributed",
        "create_router:ha",
        "create_router:external_gateway_info:enable_snat",
        "create_router:external_gateway_info:external_fixed_ips",
        "get_router:distributed",
        "get_router:ha",
        "update_router:distributed",
        "update_router:ha",
        "update_router:external_gateway_info:enable_snat",
        "update_router:external_gateway_info:external_fixed_ips",
        "add_external_gateways:external_gateways:enable_snat",
        "add_external_gateways:external_gateways:external_fixed_ips",
        "update_external_gateways:external_gateways:enable_snat",
        "update_external_gateways:external_gateways:external_fixed_ips",
    ),
    PARENT_MEMBER: (
        "create_floatingip_port_forwarding",
        "update_floatingip_port_forwarding",
        "delete_floatingip_port_forwarding",
        "create_router_conntrack_helper",
        "update_router_conntrack_helper",
        "delete_router_conntrack_helper",
    ),
    PARENT_READER: ("get_floatingip_port_forwarding", "get_router_conntrack_helper"),
}
