"""Servers that are containers, over the real program. Run in a network namespace and with a /run of its own.

usage: container_tour FOLDER IMAGE
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.process.program import running
from tests.process.server_tour import COMPUTE, Tour, reached, run, to_program, unreached, until

SETTINGS = """\
[compute]
hypervisor = "lxc:///system"
"""
SAID = r"drystone-container: hostname=.* boots={}\D"


def told(tour: Tour, image: str, lan: str) -> str:
    """It has the address that its port has, and the metadata service says who it is."""
    server = tour.server("box", imageRef=image, networks=[{"uuid": lan}])
    said = tour.says(server, SAID.format(1))[0]
    address = tour.ask("GET", f"{COMPUTE}/servers/{server}")["server"]["addresses"]["lan"][0]["addr"]
    for part in ("hostname=box ", f"uuid={server} ", "source=metadata ", f"address={address} "):
        assert part in said, (part, said)
    assert "memory=512" in tour.says(server, r"memory=\d+")[0], "it has the memory of its flavor"
    return server


def ruled(tour: Tour, server: str) -> None:
    """It is stopped, started and made to wait; what it wrote is there."""
    tour.act(server, "pause", None, "PAUSED")
    tour.act(server, "unpause")
    tour.act(server, "os-stop", None, "SHUTOFF")
    assert "drystone-container: ends" in tour.log(server), "its first process was asked to end"
    tour.act(server, "os-start")
    tour.says(server, SAID.format(2))
    tour.act(server, "reboot", {"type": "HARD"})
    tour.says(server, SAID.format(3))
    tour.act(server, "reboot", {"type": "SOFT"})
    tour.says(server, SAID.format(4))


def refused(tour: Tour, server: str) -> None:
    """What a container cannot is said at once, and it runs on."""
    volume = tour.volume()
    attach = {"volumeAttachment": {"volumeId": volume}}
    path = f"{COMPUTE}/servers/{server}"
    for where, body in (
        (f"{path}/action", {"suspend": None}),
        (f"{path}/action", {"rescue": {}}),
        (f"{path}/os-volume_attachments", attach),
        (f"{path}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}),
    ):
        tour.refused("POST", where, body)
    tour.volume_is(volume, "available")
    tour.ask("DELETE", f"/volume/v3/volumes/{volume}")
    tour.settled(server, "ACTIVE")


def copied(tour: Tour, server: str) -> None:
    """An image of it is a container like it."""
    copy = str(tour.act(server, "createImage", {"name": "copy"})["image_id"])
    until("the image is there", lambda: tour.ask("GET", f"/image/v2/images/{copy}")["status"] == "active")
    other = tour.server("copy", imageRef=copy)
    tour.says(other, SAID.format(5))
    tour.delete(other)
    tour.ask("DELETE", f"/image/v2/images/{copy}")


def loop_devices() -> set[str]:
    """Of all of the machine: each has a number and a file."""
    return set(run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines())


def main(folder: str, image_file: str) -> None:
    settings = Path(folder).with_suffix(".toml")
    settings.write_text(SETTINGS)
    before = loop_devices()
    with running(Path(folder), "--identity-config", str(settings), servers=True) as program:
        tour = Tour(to_program(program), program.token)
        until("a host takes servers", lambda: bool(tour.ask("GET", f"{COMPUTE}/os-hypervisors")["hypervisors"]))
        (host,) = tour.ask("GET", f"{COMPUTE}/os-hypervisors/detail")["hypervisors"]
        assert host["hypervisor_type"] == "LXC"
        image = tour.image(Path(image_file))
        lan, subnet = tour.lan("10.0.0.0/24")
        server = told(tour, image, lan)
        way = reached(tour, server, lan, subnet)
        ruled(tour, server)
        refused(tour, server)
        copied(tour, server)
        tour.act(server, "rebuild", {"imageRef": image})
        tour.says(server, SAID.format(1))
        tour.delete(server)
        unreached(tour, lan, subnet, way)
        assert run("virsh", "-c", "lxc:///system", "list", "--all", "--name").strip() == ""
        assert "server-" not in program.command("volume", "list").stdout
        assert list((Path(folder) / "guests").iterdir()) == []
        assert list(Path("/run/drystone/roots").iterdir()) == []
        assert loop_devices() <= before


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
