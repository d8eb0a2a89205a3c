"""Requests that nobody means well, at every route of the network API: `python -m tests.networks_api.hostile_routes`.

Bodies begin as something plausible for the route and are spoilt in places; ids are of what is there, or of nothing.
Whatever is asked, nothing is answered with a 500, and all records fit together (`whole`) after it.
"""

from __future__ import annotations

import random
import resource
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import quote

import trio

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import EVERYBODY
from compute_plugin.networks.v2.routes import COLLECTIONS, routes
from compute_plugin.networks.v2.security.stock_rules import STOCK
from tests.gateway_rest import hostile
from tests.networks_api.cloud import Cloud
from tests.networks_api.whole import require_whole

TOKENS: Final = (
    *("admin@ops", "admin@blue", "admin@blue", "admin@red", "manager@blue", "member@blue", "member@blue", "member@red"),
    *("reader@blue", "service", "no"),
)
PROJECT: Final = "5f0c0b1d-9d3e-4f0f-8a51-0d6f8f7a0001"
"""An id as rbac policies want one."""
NOISE: Final = (*hostile.NOISE, "10.0.0.300", "::1%eth0", "1" * 5000, ["x"] * 500, "0.0.0.0/0", 1.0, False, "\x00")
QUERIES: Final = (
    *("", "", "", "limit=1", "limit=x", "limit=-1", "marker=none", "sort_key=name", "sort_key=fixed_ips&sort_dir=asc"),
    *("sort_key=tags", "sort_key=id&sort_dir=up", "sort_key=nope", "fields=id&fields=nope", "fields=", "tags=a,b"),
    *("not-tags-any=", "fixed_ips=ip_address=10.0.0.1", "fixed_ips=x", "nope=1", "name=\ud800", "%ff=%00", "shared=1"),
    *("project_id=red", "tenant_id=red", "router:external=maybe", "limit=1&page_reverse=true&marker=x", "id=a&id=b"),
    *("binding:host_id=h", "device_owner=", "status=ACTIVE", "sort_key=status&sort_key=qos_policy_id", "ip_version=5"),
    *("sort_key=trunk_details", "sort_key=external_gateway_info", "sort_key=binding:host_id", "network_id=none"),
)
MATCHES: Final = ("", "", "", "revision_number=0", "revision_number=x", "*", "=" * 300)
CIDRS: Final = ("10.0.0.0/24", "10.0.1.0/29", "2001:db8::/64", "203.0.113.0/28", "10.9.0.0/16", "2001:db8:1::/64")
ADDRESSES: Final = ("10.0.0.1", "10.0.0.5", "203.0.113.3", "2001:db8::1", "2001:db8::f816:3eff:fe00:1", "10.0.1.2")
OWNERS: Final = (
    *("", "compute:nova", "network:dhcp", "network:router_interface", "network:router_gateway", "network:floatingip"),
)


class Drawn:
    """Requests of a seed."""

    def __init__(self, seed: int, tokens: tuple[str, ...] = TOKENS) -> None:
        self.random = random.Random(seed)
        self._tokens = tokens
        self._paths = [(method, path) for path, handlers in routes().items() for method in handlers]
        self._kinds = {kind.path: kind for kind in COLLECTIONS}
        self.ids: dict[str, list[str]] = {}
        """By the kind's name in the registry."""

    def see(self, records: Records) -> None:
        """What is there now."""
        self.ids = {table.kind.name: [one.id for one in table] for table in records.tables()}
        self.ids["default-rule"] += list(STOCK)
        self.ids["quota"] += ["blue", "red"]

    def request(self) -> tuple[str, str, Any, str, dict[str, str]]:
        """Method, path with query, body, token, headers."""
        method, pattern = self.random.choice(self._paths)
        if method == "DELETE" and self.random.random() < 0.6:
            method, pattern = self.random.choice([one for one in self._paths if one[0] in ("POST", "PUT")])
        kind = self._kind_of(pattern)
        known = {"id": self.ids.get(kind[0], []), "parent_id": self.ids.get(kind[1], [])}
        known |= {"tag": ["a", "b"], "alias": ["router"], "type": ["dscp_marking"]}
        known |= {"profile_id": self.ids.get("service-profile", []), "network_id": [], "router_id": []}
        path = hostile.path_of(self.random, pattern.removeprefix("/v2.0"), known)
        query = self.random.choice(QUERIES) if method == "GET" or self.random.random() < 0.1 else ""
        path += f"?{quote(query.encode('utf-8', 'replace').decode(), safe='=&%:')}" if query else ""
        body = None if method in ("GET", "DELETE") else self._body(pattern)
        headers = {"If-Match": self.random.choice(MATCHES)} if self.random.random() < 0.2 else {}
        return method, path, body, self.random.choice(self._tokens), headers

    def _kind_of(self, pattern: str) -> tuple[str, str]:
        """The names in the registry of what the path names by `id` and by `parent_id`."""
        records = Records()
        below = pattern.removeprefix("/v2.0")
        found = [kind for path, kind in self._kinds.items() if below.startswith(path)]
        if not found:
            return ("agent-settings" if "agents" in pattern else "qos-rule" if "alias" in pattern else "quota"), ""
        kind = max(found, key=lambda one: len(one.path))
        above = getattr(kind, "above", None)
        return kind.table(records).kind.name, above.table(records).kind.name if above is not None else ""

    # -- bodies --------------------------------------------------------------------------------------------------

    def _body(self, pattern: str) -> Any:
        below = pattern.removeprefix("/v2.0")
        kind = self._kinds.get(below.removesuffix("/{id}"))
        body: Any
        if kind is not None:
            names = [one for one in kind.attributes if (one.create if "{id}" not in below else one.update)]
            if "{id}" in below:
                names = self.random.sample(names, min(len(names), self.random.choice((1, 1, 2, 5))))
            inner = {one.name: self._value(one.name) for one in names if self._is_said(one)}
            body = {kind.singular: inner}
            if self.random.random() < 0.1:
                body = {kind.plural: [inner, dict(inner)]}
        else:
            body = self._of_action()
        return hostile.spoilt(self.random, body) if self.random.random() < 0.4 else body

    def _is_said(self, attribute: Any) -> bool:
        if attribute.name in ("tenant_id", "project_id"):
            return self.random.random() < 0.05
        needed = {"cidr", "internal_port", "external_port", "target_tenant", "metainfo", "name"}
        return repr(attribute.default).startswith("<object") or self.random.random() < (
            0.9 if attribute.name in needed else 0.25
        )

    def _of_action(self) -> dict[str, Any]:
        gateway = {"network_id": self._id("network")}
        found: dict[str, Any] = {
            "router": {"routes": self._value("routes"), "external_gateways": [gateway]},
            "addresses": [self.random.choice(CIDRS)],
            "prefixes": [self.random.choice(CIDRS)],
            "network_id": self._id("network"),
            "sub_ports": self._value("sub_ports"),
            "tags": self.random.choice((["a"], ["a", "b"], [], [str(one) for one in range(51)])),
            "service_profile": {"id": self._id("service-profile")},
            "quota": {self.random.choice(("port", "network", "floatingip")): self.random.choice((0, 5, 100, -1))},
            "agent": {"admin_state_up": False},
        }
        chosen = self.random.choice(("subnet_id", "port_id"))
        return {chosen: self._value(chosen)} if self.random.random() < 0.4 else found

    def _id(self, kind: str) -> str:
        known = self.ids.get(kind)
        return self.random.choice(known) if known and self.random.random() < 0.95 else PROJECT

    def _value(self, name: str) -> Any:
        choice, address = self.random.choice, self.random.choice(ADDRESSES)
        if name in _BY_KIND:
            return self._id(_BY_KIND[name])
        made: dict[str, Any] = {
            "security_groups": [self._id("security-group")],
            "service_profiles": [self._id("service-profile")],
            "fixed_ips": choice(([{"subnet_id": self._id("subnet")}], [{"ip_address": address}], [])),
            "external_fixed_ips": [{"ip_address": address}],
            "external_gateway_info": choice((None, {"network_id": self._id("network")})),
            "sub_ports": [
                {"port_id": self._id("port"), "segmentation_type": "vlan", "segmentation_id": choice((1, 2, 5000))}
            ],
            "allowed_address_pairs": [{"ip_address": choice((*CIDRS, address))}],
            "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": choice(("9000", None))}],
            "routes": choice(([], [{"destination": "192.0.2.0/24", "nexthop": address}])),
            "host_routes": [{"destination": "192.0.2.0/24", "nexthop": address}],
            "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.20"}],
            "device_owner": choice(OWNERS),
            "device_id": choice(("", self._id("router"), self._id("floating-ip"), f"dhcp-{self._id('network')}")),
            "object_id": self._id(choice(("network", "security-group", "qos-policy", "subnetpool", "address-group"))),
            "object_type": choice(("network", "security_group", "qos_policy", "subnetpool", "address_group")),
            "action": choice(("access_as_shared", "access_as_external")),
            "cidr": choice(CIDRS),
            "gateway_ip": choice((None, address)),
            "prefixes": [choice(CIDRS)],
            "addresses": [choice(CIDRS)],
            "remote_ip_prefix": choice(CIDRS),
            "mac_address": f"fa:16:3e:00:00:0{self.random.randrange(4)}",
            "ip_version": choice((4, 6)),
            "ipv6_ra_mode": choice((None, "slaac")),
            "ipv6_address_mode": choice((None, "slaac", "dhcpv6-stateful")),
            "segmentation_id": 7,
            "dscp_mark": 26,
            "tags": ["a"],
        }
        return made.get(name, choice(_PLAIN.get(name, (True, False, "n", 5, None))))


_BY_KIND: Final = {
    "network_id": "network",
    "floating_network_id": "network",
    "subnet_id": "subnet",
    "port_id": "port",
    "internal_port_id": "port",
    "security_group_id": "security-group",
    "remote_group_id": "security-group",
    "remote_address_group_id": "address-group",
    "subnetpool_id": "subnetpool",
    "qos_policy_id": "qos-policy",
    "address_scope_id": "address-scope",
    "flavor_id": "flavor",
}
_PLAIN: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("name", "description"), ("n", "", "m")),
    **dict.fromkeys(("target_tenant", "target_project"), (EVERYBODY, PROJECT)),
    **dict.fromkeys(("tenant_id", "project_id"), ("blue", "red")),
    **dict.fromkeys(("floating_ip_address", "fixed_ip_address", "internal_ip_address"), ADDRESSES),
    **dict.fromkeys(("external_port", "internal_port"), (80, 443)),
    **dict.fromkeys(("external_port_range", "internal_port_range"), ("80:81", "7:3", None)),
    "direction": ("ingress", "egress"),
    "protocol": ("tcp", "udp", "icmp", None),
    "helper": ("ftp", "tftp"),
    "port": (21, 69),
    "service_type": ("L3_ROUTER_NAT",),
    "driver": ("",),
    "metainfo": ("x",),
    "binding:host_id": ("", "h"),
    "binding:profile": ({}, {"a": 1}),
    "binding:vnic_type": ("normal",),
    "dns_name": ("", "a"),
    "dns_domain": ("", "a.b."),
    "hints": (None,),
    "mtu": (1400, 0, 1200),
    "prefixlen": (None, 24, 30),
    "default_quota": (None, 5),
    "dns_nameservers": (["10.0.0.9"],),
    "service_types": ([], ["compute:nova"]),
    "segment_id": (None,),
    "availability_zone_hints": ([], ["nova"]),
    "provider:network_type": (None, "vxlan", "flat"),
    "provider:physical_network": (None, "w"),
    "provider:segmentation_id": (None, 7),
    "network_type": ("vxlan",),
    "physical_network": (None,),
    "distributed": (False,),
    "ha": (False,),
    "use_default_subnetpool": (False, False, True),
    **dict.fromkeys(("min_prefixlen", "max_prefixlen", "default_prefixlen"), (None, 24, 28)),
    **dict.fromkeys(("port_range_min", "port_range_max"), (None, 80)),
}


async def furnish(cloud: Cloud) -> None:
    """Something of every kind, of several projects."""
    outside = await cloud.network("admin@ops", **{"router:external": True})
    said = {"network_id": outside["id"], "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False}
    await cloud.create("subnet", "/subnets", "admin@ops", **said)
    for token, cidr in (("member@blue", "10.0.0.0/24"), ("member@red", "10.1.0.0/24")):
        network = await cloud.network(token)
        inner = await cloud.create("subnet", "/subnets", token, network_id=network["id"], ip_version=4, cidr=cidr)
        gateway = {"network_id": outside["id"]}
        router = await cloud.create("router", "/routers", token, external_gateway_info=gateway)
        await cloud.ask("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": inner["id"]}, token)
        port = await cloud.create("port", "/ports", token, network_id=network["id"])
        floating = {"floating_network_id": outside["id"], "port_id": port["id"]}
        await cloud.create("floatingip", "/floatingips", token, **floating)
        other = await cloud.create("floatingip", "/floatingips", token, floating_network_id=outside["id"])
        second = await cloud.create("port", "/ports", token, network_id=network["id"])
        forwarding = {"protocol": "tcp", "internal_port": 80, "external_port": 80, "internal_port_id": second["id"]}
        forwarding["internal_ip_address"] = second["fixed_ips"][0]["ip_address"]
        await cloud.create("port_forwarding", f"/floatingips/{other['id']}/port_forwardings", token, **forwarding)
        helper = {"protocol": "tcp", "port": 21, "helper": "ftp"}
        await cloud.create("conntrack_helper", f"/routers/{router['id']}/conntrack_helpers", token, **helper)
        parent = await cloud.create("port", "/ports", token, network_id=network["id"])
        await cloud.create("trunk", "/trunks", token, port_id=parent["id"])
        group = await cloud.create("security_group", "/security-groups", token, name="g")
        addresses = await cloud.create("address_group", "/address-groups", token, addresses=["192.0.2.0/24"])
        rule = {"direction": "ingress", "security_group_id": group["id"], "remote_address_group_id": addresses["id"]}
        await cloud.create("security_group_rule", "/security-group-rules", token, **rule)
        scope = await cloud.create("address_scope", "/address-scopes", token, name="s", ip_version=4)
        pool = {"name": "p", "prefixes": ["10.9.0.0/16"], "address_scope_id": scope["id"]}
        await cloud.create("subnetpool", "/subnetpools", token, **pool)
        manager = token.replace("member", "manager")
        policy = await cloud.create("policy", "/qos/policies", manager, name="q")
        path = f"/qos/policies/{policy['id']}/bandwidth_limit_rules"
        await cloud.create("bandwidth_limit_rule", path, manager, max_kbps=1000)
        rbac = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared"}
        await cloud.create("rbac_policy", "/rbac-policies", token, **rbac, target_tenant=PROJECT)
    profile = await cloud.create("service_profile", "/service_profiles", "admin@ops", metainfo="x")
    said = {"name": "f", "service_type": "L3_ROUTER_NAT", "service_profiles": [profile["id"]]}
    await cloud.create("flavor", "/flavors", "admin@ops", **said)


async def attack(seed: int, requests: int, every: int = 10_000) -> Counter[int]:
    """How often which status was answered. Raises AssertionError for one of 500 and more, and where records do not fit
    together any more."""
    statuses: Counter[int] = Counter()
    async with trio.open_nursery() as nursery:
        cloud, drawn, began = Cloud(), Drawn(seed), time.monotonic()
        await nursery.start(cloud.service.run)
        await furnish(cloud)
        for number in range(requests):
            if number % 20 == 0:
                drawn.see(cloud.service.store.records)
            if number % 1000 == 999:
                await furnish_again(cloud)
            method, path, body, token, headers = drawn.request()
            answer = await cloud.ask(method, path, body, token, headers)
            statuses[answer.status] += 1
            said = f"seed {seed}, {number}: {token} {method} {path} {body}: {answer.status} {answer.body[:300]!r}"
            assert answer.status < 500, said
            assert token != "no" or answer.status in (401, 404, 405), said
            if answer.status >= 400:
                assert {"type", "message", "detail"} == answer.json["NeutronError"].keys(), said
            elif method != "GET":
                try:
                    require_whole(cloud.service.store.records)
                except AssertionError as error:
                    raise AssertionError(f"{said}: {error}") from error
            if (number + 1) % every == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"{number + 1} requests, {time.monotonic() - began:.0f} s, peak {peak} MiB, {dict(statuses)}")
        nursery.cancel_scope.cancel()
    return statuses


async def furnish_again(cloud: Cloud) -> None:
    """As far as quotas and what was done meanwhile allow."""
    try:
        await furnish(cloud)
    except (AssertionError, KeyError, IndexError):
        return


if __name__ == "__main__":
    hostile.command(__doc__, attack)
