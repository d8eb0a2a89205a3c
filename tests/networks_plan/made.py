"""Records as the API makes them, in one line each."""

from __future__ import annotations

import uuid
from typing import Any

from compute_plugin.networks.records.network import VLAN, VXLAN, Network, Pool, Subnet
from compute_plugin.networks.records.port import DHCP, FixedIp, Port
from compute_plugin.networks.records.qos import QosPolicy, QosRule
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import AddressGroup, SecurityGroup, SecurityGroupRule
from compute_plugin.networks.records.states import HostAddress, States
from compute_plugin.networks.records.trunk import SubPort, Trunk

PROJECT = "11111111111111111111111111111111"


def id_of(name: str) -> str:
    """The same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


class Made:
    """Records and states, and functions that add to them. Names stand for ids."""

    def __init__(self, records: Records | None = None) -> None:
        self.records = records if records is not None else Records()
        self.states = States()

    def host(self, name: str, address: str) -> None:
        self.states.hosts.put(HostAddress(id=name, address=address))

    def network(self, name: str, **more: Any) -> Network:
        fields: dict[str, Any] = {"mtu": 1450, "network_type": VXLAN, "segmentation_id": 100} | more
        made = Network(id=id_of(name), project_id=PROJECT, name=name, **fields)
        self.records.networks.put(made)
        return made

    def subnet(self, name: str, network: str, cidr: str, gateway: str | None, **more: Any) -> Subnet:
        fields = {
            "ip_version": 6 if ":" in cidr else 4,
            "pools": (Pool(cidr.partition("/")[0], cidr.partition("/")[0]),),
        } | more
        made = Subnet(
            id=id_of(name),
            project_id=PROJECT,
            network_id=id_of(network),
            cidr=cidr,
            gateway_ip=gateway,
            **fields,
        )
        self.records.subnets.put(made)
        return made

    def port(self, name: str, network: str, addresses: dict[str, str], **more: Any) -> Port:
        """`addresses`: by subnets."""
        groups = tuple(map(id_of, more.pop("groups", ())))
        count = len(self.records.ports)
        fields: dict[str, Any] = {
            "mac": f"fa:16:3e:00:{count >> 8:02x}:{count & 255:02x}",
            "device_owner": "compute:nova",
            "device_id": id_of(f"server {name}"),
            "security_group_ids": groups,
        } | more
        made = Port(
            id=id_of(name),
            project_id=PROJECT,
            network_id=id_of(network),
            fixed_ips=tuple(FixedIp(id_of(subnet), address) for subnet, address in addresses.items()),
            **fields,
        )
        self.records.ports.put(made)
        return made

    def dhcp(self, network: str, addresses: dict[str, str], **more: Any) -> Port:
        return self.port(f"dhcp of {network}", network, addresses, device_owner=DHCP, device_id="dhcp", **more)

    def group(self, name: str, **more: Any) -> SecurityGroup:
        made = SecurityGroup(id=id_of(name), project_id=PROJECT, name=name, **more)
        self.records.security_groups.put(made)
        return made

    def rule(self, name: str, group: str, direction: str, ethertype: str = "IPv4", **more: Any) -> SecurityGroupRule:
        if "remote_group" in more:
            more["remote_group_id"] = id_of(more.pop("remote_group"))
        if "address_group" in more:
            more["remote_address_group_id"] = id_of(more.pop("address_group"))
        made = SecurityGroupRule(
            id=id_of(name),
            project_id=PROJECT,
            security_group_id=id_of(group),
            direction=direction,
            ethertype=ethertype,
            **more,
        )
        self.records.rules.put(made)
        return made

    def trunk(self, name: str, parent: str, **tags: int) -> Trunk:
        """`tags`: by names of ports."""
        subs = tuple(SubPort(id_of(port), VLAN, tag) for port, tag in tags.items())
        made = Trunk(id=id_of(name), project_id=PROJECT, name=name, port_id=id_of(parent), sub_ports=subs)
        self.records.trunks.put(made)
        return made

    def policy(self, name: str, **rules: dict[str, Any]) -> str:
        """Of QoS; its id. `rules`: by kinds, with `_in` and `_out` behind them for directions."""
        policy = QosPolicy(id=id_of(name), project_id=PROJECT, name=name)
        self.records.qos_policies.put(policy)
        for kind, said in rules.items():
            way = "ingress" if kind.endswith("_in") else "egress" if kind.endswith("_out") else None
            more: dict[str, Any] = {"kind": kind.removesuffix("_in").removesuffix("_out"), "direction": way} | said
            self.records.qos_rules.put(
                QosRule(id=id_of(f"{name} {kind}"), project_id=PROJECT, policy_id=policy.id, **more)
            )
        return policy.id

    def address_group(self, name: str, *addresses: str) -> AddressGroup:
        made = AddressGroup(id=id_of(name), project_id=PROJECT, name=name, addresses=addresses)
        self.records.address_groups.put(made)
        return made

    def usual_group(self, name: str) -> None:
        """A group as each project has: everything out, members in."""
        self.group(name)
        for ethertype in ("IPv4", "IPv6"):
            self.rule(f"{name} out {ethertype}", name, "egress", ethertype)
            self.rule(f"{name} in {ethertype}", name, "ingress", ethertype, remote_group=name)
