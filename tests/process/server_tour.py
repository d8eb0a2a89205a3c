"""Servers over the real program, with guests that really boot. Run in a network namespace and with a /run of its own.

usage: server_tour FOLDER IMAGE
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from tests.process.program import Answer, Client, Program, running

PATIENCE_S = 240.0
GIB = 1 << 30
COMPUTE, VOLUME, IMAGE, NETWORK = "/compute/v2.1", "/volume/v3", "/image/v2", "/network/v2.0"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFR1ps/cNXVIiqrW9w3gBwV+uKtcyqoGlkAuXKPr9GnK tour"
VERSIONS = {"OpenStack-API-Version": "compute 2.96, volume 3.70"}


class Send(Protocol):
    """One request: method, path, body, headers."""

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


def to_program(program: Program) -> Send:
    def send(method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        with closing(Client(program)) as client:
            return client.ask(method, path, body, headers)

    return send


class Tour:
    def __init__(self, send: Send, token: str) -> None:
        self._send = send
        self.token = token

    def ask(self, method: str, path: str, body: Any = None, type_: str = "application/json") -> Any:
        """Of any service; what it answers."""
        answer = self._sent(method, path, body, type_)
        assert answer.status < 300, (method, path, answer)
        return json.loads(answer.body) if answer.body else None

    def refused(self, method: str, path: str, body: Any) -> Answer:
        answer = self._sent(method, path, body, "application/json")
        assert answer.status in (400, 409, 501), (method, path, body, answer)
        return answer

    def _sent(self, method: str, path: str, body: Any, type_: str) -> Answer:
        headers = {"X-Auth-Token": self.token, "Content-Type": type_, **VERSIONS}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self._send(method, path, sent, headers)

    def gone(self, path: str) -> bool:
        return self._send("GET", path, None, {"X-Auth-Token": self.token, **VERSIONS}).status == 404

    # -- networks and images -------------------------------------------------------------------------------------

    def create(self, kind: str, path: str, **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("POST", f"{NETWORK}{path}", {kind: asked})[kind]
        return found

    def lan(self, cidr: str) -> tuple[str, str]:
        """A network and its subnet."""
        network = self.create("network", "/networks", name="lan")["id"]
        subnet = self.create("subnet", "/subnets", network_id=network, ip_version=4, cidr=cidr)["id"]
        return network, subnet

    def image(self, path: Path) -> str:
        asked = {"name": "guest", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        id_ = str(self.ask("POST", f"{IMAGE}/images", asked)["id"])
        self.ask("PUT", f"{IMAGE}/images/{id_}/file", path.read_bytes(), "application/octet-stream")
        return id_

    # -- servers -------------------------------------------------------------------------------------------------

    def order(self, name: str, **asked: Any) -> str:
        body = {"name": name, "flavorRef": "1", "networks": "none", **asked}
        return str(self.ask("POST", f"{COMPUTE}/servers", {"server": body})["server"]["id"])

    def server(self, name: str, **asked: Any) -> str:
        """Once it is there."""
        id_ = self.order(name, **asked)
        self.settled(id_, "ACTIVE")
        return id_

    def settled(self, id_: str, status: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal found
            found = self.ask("GET", f"{COMPUTE}/servers/{id_}")["server"]
            assert found["status"] != "ERROR" or status == "ERROR", found
            return bool(found["status"] == status and found["OS-EXT-STS:task_state"] is None)

        until(f"{id_} is {status}", holds)
        return found

    def act(self, id_: str, action: str, arguments: Any = None, status: str = "ACTIVE") -> Any:
        answer = self.ask("POST", f"{COMPUTE}/servers/{id_}/action", {action: arguments})
        self.settled(id_, status)
        return answer

    def log(self, id_: str) -> str:
        body: dict[str, Any] = {"os-getConsoleOutput": {}}
        return str(self.ask("POST", f"{COMPUTE}/servers/{id_}/action", body)["output"])

    def says(self, id_: str, pattern: str) -> re.Match[str]:
        """Wait until the guest has said that since it began."""
        found: re.Match[str] | None = None

        def holds() -> bool:
            nonlocal found
            found = re.search(pattern, self.log(id_))
            return found is not None

        try:
            until(f"the guest says {pattern}", holds, 1.0)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {self.log(id_)[-3000:]}") from None
        assert found is not None
        return found

    def volume(self, **asked: Any) -> str:
        id_ = str(self.ask("POST", f"{VOLUME}/volumes", {"volume": {"size": 1, **asked}})["volume"]["id"])
        self.volume_is(id_, "available")
        return id_

    def volume_is(self, id_: str, status: str) -> None:
        until(
            f"volume {id_} is {status}",
            lambda: self.ask("GET", f"{VOLUME}/volumes/{id_}")["volume"]["status"] == status,
        )

    def delete(self, *servers: str) -> None:
        for id_ in servers:
            self.ask("DELETE", f"{COMPUTE}/servers/{id_}")
        for id_ in servers:
            until(f"{id_} is gone", lambda id_=id_: self.gone(f"{COMPUTE}/servers/{id_}"))  # type: ignore[misc]


def until(said: str, holds: Callable[[], bool], pause: float = 0.2) -> None:
    begun = time.monotonic()
    end = begun + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"not so after {PATIENCE_S} s: {said}"
        time.sleep(pause)
    print(f"{time.monotonic() - begun:6.1f} s until {said}", flush=True)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pings(address: str) -> bool:
    command = ("ping", "-n", "-c", "1", "-W", "1", address)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def greets(address: str) -> bool:
    """Whether it answers at the port of SSH."""
    try:
        with socket.create_connection((address, 22), timeout=2) as made:
            return made.recv(64).startswith(b"SSH-2.0-dropbear")
    except OSError:
        return False


def told(tour: Tour, image: str, lan: str) -> str:
    """A server is told of itself by its config drive, and another one by the network."""
    tour.ask("POST", f"{COMPUTE}/os-keypairs", {"keypair": {"name": "tour", "type": "ssh", "public_key": KEY}})
    script = base64.b64encode(b"#!/bin/busybox sh\nhostname > /kept/told\n").decode()
    common: dict[str, Any] = {"imageRef": image, "networks": [{"uuid": lan}], "key_name": "tour"}
    first = tour.server("web", config_drive=True, user_data=script, **common)
    second = tour.server("meta", user_data=script, **common)
    for id_, name, source in ((first, "web", "config-drive"), (second, "meta", "metadata")):
        said = tour.says(id_, r"drystone-guest: hostname=.*")[0]
        address = tour.ask("GET", f"{COMPUTE}/servers/{id_}")["server"]["addresses"]["lan"][0]["addr"]
        for part in (f"hostname={name} ", f"source={source} ", f"key={KEY.split()[1]} ", f"address={address} "):
            assert part in said, (part, said)
        assert f"uuid={id_} " in said
        assert "user-data=0 boots=1" in said
        assert f"disks=vda:{GIB}:" in said, "the flavor's disk, of an image that is smaller"
    tour.delete(second)
    return first


def reached(tour: Tour, server: str, lan: str, subnet: str) -> tuple[str, str, str]:
    """It is reached from outside by a floating address, as far as its security groups let it."""
    wire = {"provider:network_type": "flat", "provider:physical_network": "public", "router:external": True}
    outside = tour.create("network", "/networks", name="outside", **wire)["id"]
    tour.create("subnet", "/subnets", network_id=outside, ip_version=4, cidr="172.24.4.0/24", enable_dhcp=False)
    router = tour.create("router", "/routers", external_gateway_info={"network_id": outside})["id"]
    tour.ask("PUT", f"{NETWORK}/routers/{router}/add_router_interface", {"subnet_id": subnet})
    (port,) = tour.ask("GET", f"{NETWORK}/ports?device_id={server}")["ports"]
    wanted = {"floating_network_id": outside, "port_id": port["id"]}
    floating = tour.create("floatingip", "/floatingips", **wanted)
    address = floating["floating_ip_address"]
    until("its port is wired", lambda: tour.ask("GET", f"{NETWORK}/ports/{port['id']}")["port"]["status"] == "ACTIVE")
    assert not pings(address), "its group lets nobody in"
    group = tour.create("security_group", "/security-groups", name="open")["id"]
    for rule in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
        asked = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", **rule}
        tour.create("security_group_rule", "/security-group-rules", **asked)
    tour.act(server, "addSecurityGroup", {"name": "open"})
    until("it answers pings", lambda: pings(address))
    until("it answers at port 22", lambda: greets(address))
    shown = tour.ask("GET", f"{COMPUTE}/servers/{server}")["server"]["addresses"]["lan"]
    assert address in {one["addr"] for one in shown}
    return router, floating["id"], outside


def unreached(tour: Tour, lan: str, subnet: str, way: tuple[str, str, str]) -> None:
    """What `reached` has made goes again, and the network. `way`: as that gave it."""
    router, floating, outside = way
    tour.ask("DELETE", f"{NETWORK}/floatingips/{floating}")
    tour.ask("PUT", f"{NETWORK}/routers/{router}/remove_router_interface", {"subnet_id": subnet})
    tour.ask("DELETE", f"{NETWORK}/routers/{router}")
    for network in (lan, outside):
        tour.ask("DELETE", f"{NETWORK}/networks/{network}")


def plugged(tour: Tour, server: str) -> None:
    """A volume comes to a guest that runs, grows no less than it is, and goes."""
    volume = tour.volume(size=2)
    asked = {"volumeAttachment": {"volumeId": volume}}
    tour.ask("POST", f"{COMPUTE}/servers/{server}/os-volume_attachments", asked)
    tour.volume_is(volume, "in-use")
    tour.says(server, rf"drystone-guest: disks=.*vdb:{2 * GIB}:{volume[:20]}")
    tour.ask("DELETE", f"{COMPUTE}/servers/{server}/os-volume_attachments/{volume}")
    tour.volume_is(volume, "available")
    tour.says(server, r"vdb(?s:.*)drystone-guest: disks=vda:[^,\n]*\n")
    tour.ask("DELETE", f"{VOLUME}/volumes/{volume}")


def mended(tour: Tour, server: str) -> None:
    """It is booted anew, mended from another disk, and made anew."""
    tour.act(server, "reboot", {"type": "HARD"})
    tour.says(server, r"boots=2")
    tour.act(server, "rescue", {}, "RESCUE")
    tour.says(server, rf"disks=vda:[^,]*,vdb:{GIB}:.* boots=1\D")
    tour.act(server, "unrescue")
    tour.says(server, r"boots=3")


def grown(tour: Tour, server: str) -> None:
    """It gets a larger disk; what is in it stays."""
    bigger = {"name": "bigger", "id": "bigger", "ram": 512, "disk": 2, "vcpus": 1}
    tour.ask("POST", f"{COMPUTE}/flavors", {"flavor": bigger})
    tour.act(server, "resize", {"flavorRef": "bigger"}, "VERIFY_RESIZE")
    tour.says(server, rf"disks=vda:{2 * GIB}:.* boots=4")
    tour.act(server, "confirmResize")


def copied(tour: Tour, server: str, image: str) -> None:
    """An image of it boots, and so do a volume of an image and one of a snapshot; all go on where they were copied."""
    copy = str(tour.act(server, "createImage", {"name": "copy"})["image_id"])
    until("the image is there", lambda: tour.ask("GET", f"{IMAGE}/images/{copy}")["status"] == "active")
    of_copy = tour.server("of-copy", imageRef=copy, flavorRef="bigger")
    volume = tour.volume(imageRef=image)
    snapshot = tour.ask(
        "POST", f"{VOLUME}/snapshots", {"snapshot": {"volume_id": volume, "name": "before", "force": True}}
    )["snapshot"]["id"]
    until(
        "the snapshot is there",
        lambda: tour.ask("GET", f"{VOLUME}/snapshots/{snapshot}")["snapshot"]["status"] == "available",
    )
    root = {"boot_index": 0, "destination_type": "volume", "delete_on_termination": True}
    of_volume = tour.server("of-volume", block_device_mapping_v2=[{**root, "source_type": "volume", "uuid": volume}])
    of_snapshot = tour.server(
        "of-snapshot",
        block_device_mapping_v2=[{**root, "source_type": "snapshot", "uuid": snapshot, "volume_size": 1}],
    )
    tour.says(of_copy, r"boots=5")
    tour.says(of_volume, r"boots=1")
    tour.says(of_snapshot, r"boots=1")
    tour.ask("DELETE", f"{VOLUME}/snapshots/{snapshot}")
    tour.delete(of_copy, of_snapshot)
    until("the snapshot is gone", lambda: tour.gone(f"{VOLUME}/snapshots/{snapshot}"))
    tour.delete(of_volume)
    until("its volume went with it", lambda: tour.gone(f"{VOLUME}/volumes/{volume}"))
    tour.ask("DELETE", f"{IMAGE}/images/{copy}")


def rebuilt(tour: Tour, server: str, image: str) -> None:
    """It begins anew from the image, and is called otherwise."""
    tour.act(server, "rebuild", {"imageRef": image, "name": "anew"})
    tour.says(server, r"boots=1\D")
    assert tour.ask("GET", f"{COMPUTE}/servers/{server}")["server"]["name"] == "anew"


def apart(tour: Tour, program: Program, server: str, image: str) -> None:
    """Another project has a network with the same addresses, and a server with the very address of ours."""
    identity = "/identity/v3"
    project = tour.ask("POST", f"{identity}/projects", {"project": {"name": "other"}})["project"]["id"]
    (user,) = tour.ask("GET", f"{identity}/users?name={program.settings()['OS_USERNAME']}")["users"]
    for name in ("member", "reader", "admin"):
        (role,) = tour.ask("GET", f"{identity}/roles?name={name}")["roles"]
        tour.ask("PUT", f"{identity}/projects/{project}/users/{user['id']}/roles/{role['id']}")
    own, address = tour.token, tour.ask("GET", f"{COMPUTE}/servers/{server}")["server"]["addresses"]["lan"][0]["addr"]
    program.sign_in("other")
    tour.token = program.token
    network, _ = tour.lan("10.0.0.0/24")
    other = tour.server("same", imageRef=image, networks=[{"uuid": network, "fixed_ip": address}])
    said = tour.says(other, r"drystone-guest: hostname=.*")[0]
    assert f"uuid={other} " in said, "it is told of itself, and not of the one with its address"
    assert f"address={address} " in said
    tour.delete(other)
    tour.ask("DELETE", f"{NETWORK}/networks/{network}")
    tour.token = own
    tour.ask("DELETE", f"{identity}/projects/{project}")


def main(folder: str, image_file: str) -> None:
    with running(Path(folder), servers=True) as program:
        tour = Tour(to_program(program), program.token)
        until("a host takes servers", lambda: bool(tour.ask("GET", f"{COMPUTE}/os-hypervisors")["hypervisors"]))
        image = tour.image(Path(image_file))
        lan, subnet = tour.lan("10.0.0.0/24")
        server = told(tour, image, lan)
        way = reached(tour, server, lan, subnet)
        plugged(tour, server)
        program.stop()
        program.start()
        tour.token = program.token
        address = tour.ask("GET", f"{NETWORK}/floatingips/{way[1]}")["floatingip"]["floating_ip_address"]
        assert greets(address), "guests run on while nobody serves, and find their volumes again"
        apart(tour, program, server, image)
        assert greets(address), "of two with one address each is reached as before"
        mended(tour, server)
        grown(tour, server)
        copied(tour, server, image)
        rebuilt(tour, server, image)
        tour.delete(server)
        unreached(tour, lan, subnet, way)
        assert tour.ask("GET", f"{NETWORK}/ports")["ports"] == []
        assert "tap" not in run("ip", "-br", "link")
        assert run("virsh", "-c", "qemu:///system", "list", "--all", "--name").strip() == ""
        listed = program.command("volume", "list").stdout
        assert "server-" not in listed, listed
        assert list((Path(folder) / "guests").iterdir()) == []


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
