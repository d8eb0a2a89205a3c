"""Servers of three hosts with guests that really boot: they move while they run and while they are stopped, and are
built anew elsewhere when their host is lost. Each host is a machine made of namespaces, with a libvirt daemon of its
own that the others reach."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.machines import Machine, Process, Site, why_not
from tests.cluster.node import DRYSTONE, SERVE, Node
from tests.cluster.trial import SIGN_IN
from tests.guests import conftest as guests
from tests.guests.embedded import CONFIGURATION
from tests.guests.image import make
from tests.hypervisors.daemons import FOLDERS
from tests.process.program import Answer
from tests.process.server_tour import COMPUTE, GIB, Send, Tour, until

MISSING = guests.missing() or make.missing() or why_not() or ("" if shutil.which("libvirtd") else "no libvirtd")
pytestmark = [
    pytest.mark.process,
    pytest.mark.guest,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("guests"),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]
SETTINGS = """\
[compute]
hypervisor = "qemu:///system"
migration_uri = "qemu+tcp://%s/system"
"""
LIBVIRTD = """\
host_uuid = "{uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""


class Host:
    """A machine that runs servers."""

    def __init__(self, site: Site, number: int) -> None:
        self.machine: Machine = site.add(zone=number)
        self.name = f"n{number}"
        settings = self.machine.folder / "settings.toml"
        settings.write_text(SETTINGS)
        self.node = Node(self.machine, self.name, DRYSTONE, ("--identity-config", str(settings)))
        self._own_folders()
        self._daemon: Process = self.machine.process("libvirtd", "--listen")

    def _own_folders(self) -> None:
        """Of what is one of a kind on a machine."""
        self.machine.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.machine.run("mount", "-t", "sysfs", "sysfs", "/sys")
        # libvirt asks for the machine's name at each step of a migration, and names are asked for in vain elsewhere.
        names = self.machine.folder / "hosts"
        names.write_text(f"127.0.0.1 localhost\n{self.machine.address} {self.machine.name}\n")
        self.machine.run("mount", "--bind", str(names), "/etc/hosts")
        for path in FOLDERS:
            own = self.machine.folder / path.strip("/").replace("/", "-")
            own.mkdir()
            self.machine.run("mkdir", "-p", path)
            self.machine.run("mount", "--bind", str(own), path)
        etc = self.machine.folder / "etc-libvirt"
        (etc / "qemu.conf").write_text(CONFIGURATION)
        (etc / "libvirtd.conf").write_text(LIBVIRTD.format(uuid=uuid4(), address=self.machine.address))

    def device(self, name: str) -> str:
        folder = self.machine.folder / name
        folder.mkdir()
        return str(folder)

    def start(self) -> None:
        self._daemon.start()
        until(f"libvirtd of {self.name} answers", lambda: self.virsh("uri").returncode == 0)
        self.node.start()

    def virsh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.machine.entering(["virsh", "-c", f"qemu+tcp://{self.machine.address}/system", *arguments])
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def guests(self) -> list[str]:
        """By their servers' ids."""
        return self.virsh("list", "--uuid").stdout.split()

    def folders(self) -> list[str]:
        """Of guests, by their servers' ids."""
        return [folder.name for folder in (self.node.data / "guests").glob("*")]

    def reaches(self, address: str) -> bool:
        """Whether some network that is wired here leads to this address."""
        names = [line.split()[0] for line in self.machine.run("ip", "netns", "list").splitlines()]
        ping = ("ping", "-n", "-c", "1", "-W", "1", address)
        commands = [self.machine.entering(["ip", "netns", "exec", name, *ping]) for name in names]
        return any(subprocess.run(each, capture_output=True, check=False).returncode == 0 for each in commands)


def to_machine(machine: Machine) -> Send:
    """Requests to the node on it, from there."""

    def send(method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        options = [word for name, value in (headers or {}).items() for word in ("-H", f"{name}: {value}")]
        if body is not None:
            sent = machine.folder / "sent"
            sent.write_bytes(body)
            options += ["--data-binary", f"@{sent}"]
        url = f"http://{machine.address}:{SERVE}{path}"
        said = machine.run("curl", "-sS", "-X", method, "-w", "\n%{http_code}", *options, url)
        answer, _, status = said.rpartition("\n")
        return Answer(int(status), {}, answer.encode())

    return send


def signed_in(host: Host) -> str:
    """A token of the administrator."""
    exported = (host.node.data / "admin-openrc").read_text()
    password = re.findall(r"^export OS_PASSWORD=(.*)$", exported, re.MULTILINE)[0]
    address = f"{host.machine.address}:{SERVE}"
    return host.machine.run(sys.executable, "-c", SIGN_IN, address, password, "signed-in").split()[0]


@contextmanager
def cluster_of_hosts(folder: Path) -> Iterator[list[Host]]:
    """Three, with a device each, and a copy of everything on each."""
    with Site(folder) as site:
        hosts = [Host(site, number) for number in (1, 2, 3)]
        first = hosts[0]
        devices = [word for number in range(3) for word in ("--device", first.device(f"disk{number}"))]
        where = ("--name", first.name, "--listen", first.node.listens, "--zone", "1")
        first.node.typed("cluster", "init", *where, *devices, "--replicas", "3", "--registry", "embedded")
        first.start()
        for number, host in enumerate(hosts[1:], 2):
            host.node.join(first.node, "--zone", str(number))
            host.start()
            host.node.typed("device", "add", host.device("disk0"), "--weight", "3")
        for _ in range(2):  # a partition gives up one copy at a time
            hosts[-1].node.typed("ring", "apply")
            until("the ring is spread", lambda: is_settled(hosts))
        yield hosts


def is_settled(hosts: list[Host]) -> bool:
    for host in hosts:
        status = host.node.status()
        states = {device["state"] for device in status["devices"]}
        if len(status["devices"]) != 5 or states != {"ok"} or len(status["live_layouts"]) > 1:
            return False
    return True


class Moves:
    """One server, on its way from host to host."""

    def __init__(self, hosts: list[Host], tour: Tour, image: Path) -> None:
        self._hosts = hosts
        self._tour = tour
        path = f"{COMPUTE}/os-hypervisors"
        until("all hosts take servers", lambda: len(self._tour.ask("GET", path)["hypervisors"]) == len(hosts))
        lan, _ = tour.lan("10.0.0.0/24")
        tour.create("security_group", "/security-groups", name="open")
        self._open()
        self.id = tour.server(
            "goes", imageRef=tour.image(image), networks=[{"uuid": lan}], availability_zone="nova:n2",
            security_groups=[{"name": "open"}],
        )  # fmt: skip
        tour.says(self.id, r"boots=1\D")
        self.is_at("n2")

    def _states(self) -> dict[str, str]:
        services = self._tour.ask("GET", f"{COMPUTE}/os-services?binary=nova-compute")["services"]
        return {service["host"]: service["state"] for service in services}

    def _open(self) -> None:
        (group,) = self._tour.ask("GET", "/network/v2.0/security-groups?name=open")["security_groups"]
        rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"}
        self._tour.create("security_group_rule", "/security-group-rules", **rule)

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self._tour.ask("GET", f"{COMPUTE}/servers/{self.id}")["server"]
        return found

    def is_at(self, name: str) -> None:
        """Its guest runs at one host, and at no other; and its address is reached from there."""
        shown = self.shown()
        assert shown["OS-EXT-SRV-ATTR:host"] == name
        for host in self._hosts:
            assert host.guests() == ([self.id] if host.name == name else []), host.name
        assert [host.name for host in self._hosts if host.node.process.running and host.folders()] == [name]
        ((address,),) = ([one["addr"] for one in each] for each in shown["addresses"].values())
        there = next(host for host in self._hosts if host.name == name)
        until(f"{address} is reached at {name}", lambda: there.reaches(address))

    def works(self) -> None:
        """The guest that runs takes a volume, and gives it back."""
        volume = self._tour.volume(size=2)
        path = f"{COMPUTE}/servers/{self.id}/os-volume_attachments"
        self._tour.ask("POST", path, {"volumeAttachment": {"volumeId": volume}})
        self._tour.volume_is(volume, "in-use")
        self._tour.says(self.id, rf"disks=.*vdb:{2 * GIB}:{volume[:20]}")
        self._tour.ask("DELETE", f"{path}/{volume}")
        self._tour.volume_is(volume, "available")
        self._tour.ask("DELETE", f"/volume/v3/volumes/{volume}")

    def while_it_runs(self, target: str) -> None:
        self._tour.act(self.id, "os-migrateLive", {"host": target, "block_migration": "auto"})
        self.is_at(target)
        said = self._tour.log(self.id)
        assert "drystone-guest: hostname=" not in said.rpartition("boots=1 ")[2], "it was not booted anew"
        self.works()

    def while_it_is_stopped(self, target: str) -> None:
        self._tour.act(self.id, "migrate", {"host": target}, "VERIFY_RESIZE")
        self._tour.act(self.id, "confirmResize")
        self._tour.says(self.id, r"boots=2\D")
        self.is_at(target)

    def when_its_host_is_lost(self) -> None:
        lost = next(host for host in self._hosts if host.name == self.shown()["OS-EXT-SRV-ATTR:host"])
        lost.machine.crash()
        until(f"{lost.name} is known to be lost", lambda: self._states()[lost.name] == "down")
        self._tour.act(self.id, "evacuate", {}, "SHUTOFF")
        self._tour.act(self.id, "os-start")
        self._tour.says(self.id, r"boots=3\D")
        self.is_at(self.shown()["OS-EXT-SRV-ATTR:host"])
        lost.start()
        until(f"{lost.name} is back", lambda: self._states()[lost.name] == "up")
        self.is_at(self.shown()["OS-EXT-SRV-ATTR:host"])
        self.works()

    def delete(self) -> None:
        self._tour.delete(self.id)
        for host in self._hosts:
            assert host.guests() == []
            assert host.folders() == []
        assert "server-" not in self._hosts[0].node.typed("volume", "list")


def test_a_server_goes_from_host_to_host(tmp_path: Path) -> None:
    image = make.make_image(tmp_path)
    (tmp_path / "site").mkdir()
    with cluster_of_hosts(tmp_path / "site") as hosts:
        first = hosts[0]
        moves = Moves(hosts, Tour(to_machine(first.machine), signed_in(first)), image)
        moves.while_it_runs("n3")
        moves.while_it_runs("n1")
        moves.while_it_is_stopped("n2")
        moves.when_its_host_is_lost()
        moves.delete()
