"""Containers whose root is a volume, or a partition of one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from compute_plugin.hypervisors.interface import Can, GuestDisk, GuestState, HypervisorError, Power, UnsupportedError
from compute_plugin.hypervisors.libvirt.link import Link
from compute_plugin.hypervisors.lxc.driver import LxcHypervisor, lxc_hypervisor
from compute_plugin.hypervisors.lxc.roots import Roots, linux_partition
from store.core.errors import ConflictError, InvalidError, RetryableError
from tests.guests.container.make import make_root, missing
from tests.hypervisors.daemons import daemon
from tests.hypervisors.worlds import MIB, PATIENCE, LibvirtWorld, libvirt_world

MISSING = missing() or ("" if os.geteuid() == 0 else "takes root")
pytestmark = [pytest.mark.guest, pytest.mark.timeout(300), pytest.mark.xdist_group("guests")]

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
trap 'echo "container ends"; exit 0' TERM
echo "container starts"
echo starts >> /starts
echo "starts=$(wc -l < /starts) memory=$(free -m | awk '/Mem/ { print $2 }')"
echo "nics=$(ls /sys/class/net | sort | tr '\\n' ' ')"
touch /kept
while :; do sleep 0.2; done
"""


def partitioned(content: bytes) -> bytes:
    """The same in the first partition of a disk."""
    table = bytearray(MIB)
    sectors = len(content) // 512
    table[446:462] = bytes.fromhex("00feffff83feffff") + (2048).to_bytes(4, "little") + sectors.to_bytes(4, "little")
    table[510:512] = b"\x55\xaa"
    return bytes(table) + content


def test_the_largest_partition_with_linux_is_the_root() -> None:
    table = "2048 100 0xc\n4096 500 0x83\n8192 900 0fc63daf-8483-4772-8e79-3d69d8477de4\n"
    assert linux_partition(table) == (8192 * 512, 900 * 512)
    assert linux_partition("2048 100 0xc\n") is None
    assert linux_partition("") is None


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
async def test_a_root_is_released_when_nobody_has_it_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does it some time after a container was ended. What is mounted twice loses what was written."""
    roots, place = Roots(str(tmp_path / "roots")), tmp_path / "place"
    place.mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    make_root(tmp_path)
    disk = GuestDisk("vda", file=str(tmp_path / "link/root.ext4"))  # the kernel knows it by another path
    device = await roots.attach("one", disk)
    subprocess.run(["mount", device, str(place)], check=True)
    (place / "written").write_text("late")
    monkeypatch.setattr("compute_plugin.hypervisors.lxc.roots.MOUNT_SECONDS", 0.1)
    for _ in range(2):
        with pytest.raises(HypervisorError, match=f"still mounted somewhere: {device}"):
            await roots.attach("one", disk)
    monkeypatch.undo()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(roots.release, "one")
        subprocess.run(["umount", str(place)], check=True)
    assert list((tmp_path / "roots").iterdir()) == []
    device = await roots.attach("one", disk)
    subprocess.run(["mount", device, str(place)], check=True)
    assert (place / "written").read_text() == "late"
    subprocess.run(["umount", str(place)], check=True)
    for _ in range(2):
        await roots.release("one")
    assert (
        f"{tmp_path}/root.ext4"
        not in subprocess.run(["losetup", "--list"], check=True, capture_output=True, text=True).stdout
    )


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("whole", [True, False])
async def test_containers(root: Path, tmp_path: Path, whole: bool) -> None:
    content = make_root(tmp_path, INIT).read_bytes()
    folder = root / uuid4().hex[:6]
    with daemon(folder, "umount /sys/fs/cgroup/unified 2>/dev/null || true;") as libvirtd:
        await libvirtd.until_up()
        uri = libvirtd.uri.replace("qemu+unix", "lxc+unix")
        async with (
            lxc_hypervisor(Link(uri), Roots(str(folder / "roots"))) as hypervisor,
            libvirt_world(root, content if whole else partitioned(content), hypervisor) as world,
        ):
            await live(world, hypervisor, folder)


async def live(world: LibvirtWorld, hypervisor: LxcHypervisor, folder: Path) -> None:
    guest = replace(world.guest("box", taps=1), memory_mib=64)
    disk = guest.disks[0]
    with pytest.raises(InvalidError, match="one disk"):
        await hypervisor.start(replace(guest, disks=(disk, disk)))
    with pytest.raises(RetryableError, match="no server of volumes"):
        await hypervisor.start(replace(guest, disks=(replace(disk, socket="/nonexistent"),)))
    assert list((folder / "roots").glob("*")) == []
    async with hypervisor.changes() as changes:
        for _ in range(2):
            await hypervisor.start(guest)
        assert await hypervisor.guests() == {guest.id: GuestState(Power.RUNNING)}
        assert await changes.next() == guest.id
        await until_said(hypervisor, guest.folder, b"nics=")
        said = await hypervisor.console_log(guest.folder)
        assert b"container starts" in said
        assert b"starts=1" in said
        assert b"eth0" in said
        usage = await hypervisor.usage(guest.id)
        assert (usage.memory_mib, set(usage.nics)) == (64, {guest.nics[0].mac})
        for _ in range(2):
            await hypervisor.pause(guest.id)
        assert await hypervisor.guests() == {guest.id: GuestState(Power.PAUSED)}
        with pytest.raises(ConflictError):
            await hypervisor.reboot(guest.id, 1)
        for _ in range(2):
            await hypervisor.unpause(guest.id)
        assert not await hypervisor.reboot(guest.id, 1)
        with pytest.raises(UnsupportedError):
            await hypervisor.save(guest.id, "/nonexistent")
        assert Can.SUSPEND not in hypervisor.can
        await hypervisor.stop(guest.id, PATIENCE)
        with trio.fail_after(PATIENCE):
            while await hypervisor.guests():
                await changes.next()
    assert b"container ends" in await hypervisor.console_log(guest.folder)
    assert list((folder / "roots").glob("*")) == []
    await hypervisor.start(guest)  # what it wrote is in its volume
    await until_said(hypervisor, guest.folder, b"nics=")
    assert b"starts=2" in await hypervisor.console_log(guest.folder)
    await hypervisor.stop(guest.id, 0)


async def until_said(hypervisor: LxcHypervisor, folder: str, text: bytes) -> None:
    """A file that grows tells nobody of it."""
    with trio.fail_after(PATIENCE):
        while text not in await hypervisor.console_log(folder):
            await trio.sleep(0.05)
