"""The image of the test guest, booted as a disk and as a kernel, with a config drive."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from compute_plugin.hypervisors.interface import Guest, GuestDisk
from compute_plugin.hypervisors.kvm.driver import qemu_hypervisor
from compute_plugin.hypervisors.libvirt.link import Link
from tests.guests import embedded
from tests.guests.image.make import make_parts
from tests.hypervisors.conftest import image
from tests.hypervisors.worlds import LibvirtWorld, libvirt_world

pytestmark = [
    pytest.mark.guest,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("guests"),
    pytest.mark.skipif(shutil.which("genisoimage") is None, reason="there is no genisoimage"),
]
SAYS = r"drystone-guest: (hostname=.*)\r?\n"


@pytest.fixture
async def world(root: Path) -> AsyncIterator[LibvirtWorld]:
    async with (
        qemu_hypervisor(Link(embedded.uri())) as hypervisor,
        libvirt_world(root, image(), hypervisor) as made,
    ):
        yield made


def config_drive(folder: Path, id_: str) -> str:
    latest = folder / "drive/openstack/latest"
    latest.mkdir(parents=True)
    keys = {"mine": "ssh-ed25519 AAAAC3Nz me@here\n"}
    (latest / "meta_data.json").write_text(json.dumps({"uuid": id_, "hostname": "web-1", "public_keys": keys}))
    (latest / "user_data").write_text("#!/bin/sh\necho my own words\nexit 3\n")
    made = folder / "config.iso"
    command = ["genisoimage", "-quiet", "-V", "config-2", "-r", "-J", "-o", str(made), str(folder / "drive")]
    subprocess.run(command, check=True)
    return str(made)


async def said(world: LibvirtWorld, guest: Guest) -> dict[str, str]:
    found = await world.says(guest, SAYS)
    return dict(part.split("=", 1) for part in found[1].split())


@pytest.mark.parametrize("bus", ["ide", "scsi"])
async def test_with_a_config_drive(world: LibvirtWorld, tmp_path: Path, bus: str) -> None:
    """User data runs once for each server."""
    guest = world.guest(f"drive-{bus}")
    drive = GuestDisk("hdd" if bus == "ide" else "sdz", file=config_drive(tmp_path, guest.id), bus=bus, device="cdrom")
    guest = replace(guest, disks=(*guest.disks, drive))
    for boots, ran in (("1", "3"), ("2", "before")):
        await world.hypervisor.start(guest)
        found = await said(world, guest)
        assert found["disks"].startswith(f"vda:{len(image())}:")
        del found["disks"]
        assert found == {
            "hostname": "web-1",
            "uuid": guest.id,
            "source": "config-drive",
            "key": "AAAAC3Nz",
            "address": "",
            "user-data": ran,
            "boots": boots,
        }
        log = await world.hypervisor.console_log(guest.folder)
        assert (b"my own words" in log) == (ran == "3")
        await world.hypervisor.stop(guest.id, 0)


async def test_as_kernel_ramdisk_and_disk(world: LibvirtWorld, tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    guest = world.guest("parts")
    world.exports[guest.disks[0].export].content[:] = parts.root.read_bytes()
    guest = replace(guest, kernel=str(parts.kernel), ramdisk=str(parts.ramdisk), command_line=parts.command_line)
    await world.hypervisor.start(guest)
    found = await said(world, guest)
    assert found["source"] == "none"
    assert found["disks"].startswith(f"vda:{parts.root.stat().st_size}:")
    assert found["boots"] == "1"
