"""The pictures in docs/networks.md are those of the plan. GOLDEN=write draws it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

from compute_plugin.networks.plan.desired import desired
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.picture import picture
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE
from compute_plugin.networks.records.router import FloatingIp, Router
from compute_plugin.networks.records.states import RouterPlace
from compute_plugin.networks.trace.packet import Packet
from compute_plugin.networks.trace.picture import picture as way_picture
from compute_plugin.networks.trace.question import Answers, question
from compute_plugin.networks.trace.walk import walk
from tests.networks_plan.made import PROJECT, Made, id_of
from tests.networks_plan.planned import planned_host

DOCUMENT = Path(__file__).parents[2] / "docs" / "networks.md"
ONE = Host(name="one", address="192.0.2.1", wires={"public": "eth1"})
TWO = Host(name="two", address="192.0.2.2", wires={"public": "eth1"})


def two_hosts() -> Made:
    """Two servers on two hosts, on one network; a router on the first, with a floating address of the second server."""
    made = Made()
    made.host("one", "192.0.2.1")
    made.host("two", "192.0.2.2")
    made.network("lan", segmentation_id=7)
    made.subnet("lan4", "lan", "10.0.0.0/24", "10.0.0.1")
    made.network("ext", mtu=1500, network_type="flat", physical_network="public", segmentation_id=None, external=True)
    made.subnet("ext4", "ext", "203.0.113.0/24", "203.0.113.1", enable_dhcp=False)
    made.usual_group("default")
    made.dhcp("lan", {"lan4": "10.0.0.2"})
    made.port("a", "lan", {"lan4": "10.0.0.11"}, host="one", groups=("default",))
    made.port("b", "lan", {"lan4": "10.0.0.12"}, host="two", groups=("default",))
    router = Router(id=id_of("r"), project_id=PROJECT, gateway_network_id=id_of("ext"), gateway_port_id=id_of("gw"))
    made.records.routers.put(router)
    made.port("leg", "lan", {"lan4": "10.0.0.1"}, device_owner=ROUTER_INTERFACE, device_id=router.id)
    made.port("gw", "ext", {"ext4": "203.0.113.2"}, device_owner=ROUTER_GATEWAY, device_id=router.id)
    made.records.floating_ips.put(
        FloatingIp(
            id=id_of("fip"),
            project_id=PROJECT,
            network_id=id_of("ext"),
            floating_port_id=id_of("fip port"),
            address="203.0.113.50",
            port_id=id_of("b"),
            fixed_ip="10.0.0.12",
            router_id=router.id,
        )
    )
    made.states.routers.put(RouterPlace(id=router.id, host="one"))
    return made


def place(name: str) -> re.Match[str]:
    """Of a picture in the document, behind the line that names it."""
    found = re.search(rf"<!-- picture: {name} -->\n```mermaid\n(.*?)```\n", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None, f"docs/networks.md has no picture {name}"
    return found


def is_drawn(name: str, drawn: str) -> None:
    """Whether the document has it so."""
    if os.environ.get("GOLDEN") == "write":
        text, at = DOCUMENT.read_text(), place(name)
        DOCUMENT.write_text(text[: at.start(1)] + drawn + text[at.end(1) :])
    assert place(name)[1] == drawn


def test_the_wiring_of_two_hosts_is_drawn() -> None:
    made = two_hosts()
    is_drawn("wiring", picture([(host.name, desired(made.records, made.states, host)) for host in (ONE, TWO)]))


def drawn_way(packet: Packet, host: str = "one") -> str:
    made = two_hosts()
    seen = {one.name: planned_host(one.name, desired(made.records, made.states, one)) for one in (ONE, TWO)}
    way = walk(seen, {"192.0.2.1": "one", "192.0.2.2": "two"}, host, packet, Answers(made.records))
    assert way.end, way
    return way_picture(way)


def test_the_way_out_is_drawn() -> None:
    """From a server on the other host to a machine outside, from its floating address."""
    asked = question(two_hosts().records, id_of("b"), "198.51.100.7", "tcp", 443)
    is_drawn("way out", drawn_way(asked.packet, asked.host))


def test_the_way_in_is_drawn() -> None:
    """From outside to the floating address."""
    gateway = two_hosts().records.ports.require(id_of("gw"))
    packet = Packet(
        source_mac="02:00:00:00:00:01",
        target_mac=gateway.mac,
        source="198.51.100.7",
        target="203.0.113.50",
        protocol=6,
        source_port=40_000,
        target_port=80,
        incoming="eth1",
    )
    is_drawn("way in", drawn_way(packet))
