"""The tour of networks, over the real program. Run in a network namespace of its own, with a /run of its own.

usage: network_tour FOLDER
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.process.program import Client, Program, running

PATIENCE_S = 60.0
GUESTS = "tour-guest-"


class Tour:
    def __init__(self, program: Program) -> None:
        self._program = program

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Of the network API; what it answers."""
        with closing(Client(self._program)) as client:
            sent = None if body is None else json.dumps(body).encode()
            answer = client.ask(method, f"/network/v2.0{path}", sent, {"X-Auth-Token": self._program.token})
        assert answer.status < 300, (method, path, answer)
        return json.loads(answer.body) if answer.body else None

    def create(self, kind: str, path: str, **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("POST", path, {kind: asked})[kind]
        return found

    def trace(self, *arguments: str) -> tuple[bool, str]:
        """Whether it arrives, and what was said."""
        done = self._program.command("network", "trace", *arguments)
        return done.returncode == 0, done.stdout


def run(*command: str, check: bool = True) -> bool:
    return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def until(said: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"not so after {PATIENCE_S} s: {said}"
        time.sleep(0.1)


def plug(port: dict[str, Any], gateway: str) -> None:
    """A namespace stands for the server."""
    space, link = GUESTS + port["name"], f"tap{port['id'][:11]}"
    run("ip", "netns", "add", space)
    run(
        "ip",
        "link",
        "add",
        link,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        space,
        "address",
        port["mac_address"],
    )
    run("ip", "link", "set", link, "up")
    run("ip", "-n", space, "link", "set", "eth0", "up")
    run("ip", "-n", space, "address", "add", f"{port['fixed_ips'][0]['ip_address']}/24", "dev", "eth0")
    run("ip", "-n", space, "route", "add", "default", "via", gateway)


def pings(space: str, address: str) -> bool:
    within = ("ip", "netns", "exec", space) if space else ()
    return run(*within, "ping", "-n", "-c", "1", "-W", "1", address, check=False)


def is_clean() -> bool:
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    spaces = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    return "ds" not in links and "drystone-" not in spaces


def main(folder: str) -> None:
    with running(Path(folder)) as program:
        tour = Tour(program)
        lan = tour.create("network", "/networks", name="lan")
        inside = tour.create("subnet", "/subnets", network_id=lan["id"], ip_version=4, cidr="10.0.0.0/24")
        wire = {"provider:network_type": "flat", "provider:physical_network": "public", "router:external": True}
        outside = tour.create("network", "/networks", name="outside", **wire)
        cidr = {"ip_version": 4, "cidr": "172.24.4.0/24", "enable_dhcp": False}
        tour.create("subnet", "/subnets", network_id=outside["id"], **cidr)
        router = tour.create("router", "/routers", external_gateway_info={"network_id": outside["id"]})
        tour.ask("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": inside["id"]})
        group = tour.create("security_group", "/security-groups", name="web")
        rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"}
        echo = tour.create("security_group_rule", "/security-group-rules", **rule)
        asked = {"network_id": lan["id"], "security_groups": [group["id"]], "binding:host_id": platform.node()}
        ports = [tour.create("port", "/ports", name=name, **asked) for name in ("a", "b")]
        for port in ports:
            plug(port, inside["gateway_ip"])
        addresses = [port["fixed_ips"][0]["ip_address"] for port in ports]
        until("b answers a", lambda: pings(f"{GUESTS}a", addresses[1]))
        until("b is ACTIVE", lambda: tour.ask("GET", f"/ports/{ports[1]['id']}")["port"]["status"] == "ACTIVE")
        wanted = {"floating_network_id": outside["id"], "port_id": ports[1]["id"]}
        floating = tour.create("floatingip", "/floatingips", **wanted)
        reached = floating["floating_ip_address"]
        until("b answers outside", lambda: pings("", reached))
        until("a reaches b by its floating address", lambda: pings(f"{GUESTS}a", reached))
        assert tour.trace("a", "b") == (True, tour.trace("a", "b")[1])
        assert tour.trace("a", reached)[0]
        arrives, said = tour.trace("a", "b", "--protocol", "tcp", "--port", "22")
        assert not arrives, said
        assert "dropped" in said, said
        shown = program.command("network", "show")
        assert "4 ports wired, 1 routers" in shown.stdout, shown
        assert "spoofed_mac" in program.command("network", "show", "--drops").stdout
        program.stop()
        assert pings(f"{GUESTS}a", addresses[1]), "what is wired goes on while nobody runs"
        program.start()
        tour.ask("DELETE", f"/security-group-rules/{echo['id']}")
        until("b answers a no more", lambda: not pings(f"{GUESTS}a", addresses[1]))
        assert program.command("network", "clear", "--yes").returncode != 0, "a cloud runs"
        tour.ask("DELETE", f"/floatingips/{floating['id']}")
        tour.ask("PUT", f"/routers/{router['id']}/remove_router_interface", {"subnet_id": inside["id"]})
        tour.ask("DELETE", f"/routers/{router['id']}")
        for port in ports:
            run("ip", "netns", "del", GUESTS + port["name"])
            tour.ask("DELETE", f"/ports/{port['id']}")
        for network in (lan, outside):
            tour.ask("DELETE", f"/networks/{network['id']}")
        until("nothing is left", is_clean)
        router = tour.create("router", "/routers")
        inside = tour.create("network", "/networks", name="again")
        asked = {"network_id": inside["id"], "ip_version": 4, "cidr": "10.0.1.0/24"}
        subnet = tour.create("subnet", "/subnets", **asked)
        tour.ask("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
        until("a router is wired", lambda: not is_clean())
        program.stop()
        assert program.command("network", "clear", "--yes").returncode == 0
        assert is_clean()
        assert not subprocess.run(["nft", "list", "tables"], capture_output=True, check=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
