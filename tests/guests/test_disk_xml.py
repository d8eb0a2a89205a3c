"""The XML of a volume's disk: as a text, and as libvirt's schema judges it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compute_plugin.hypervisors.interface import GuestDisk
from compute_plugin.hypervisors.libvirt.disk_xml import disk_xml
from store.core.errors import InvalidError

SOCKET = "/var/lib/drystone/nbd.sock"

POLICY = 'cache="none" error_policy="stop" rerror_policy="stop" discard="unmap" detect_zeroes='

PLAIN = f"""\
<disk type="network" device="disk">
  <driver name="qemu" type="raw" {POLICY}"unmap" />
  <source protocol="nbd" name="web">
    <host transport="unix" socket="/var/lib/drystone/nbd.sock" />
  </source>
  <target dev="vda" bus="virtio" />
</disk>"""

FULL = f"""\
<disk type="network" device="disk">
  <driver name="qemu" type="raw" {POLICY}"off" />
  <source protocol="nbd" name="a&amp;b&quot;&lt;c&gt;">
    <host transport="unix" socket="/var/lib/drystone/nbd.sock" />
  </source>
  <target dev="sdb" bus="scsi" />
  <shareable />
  <readonly />
  <serial>0123456789abcdef_.+-</serial>
  <boot order="2" />
</disk>"""

CDROM = """\
<disk type="file" device="cdrom">
  <driver name="qemu" type="raw" />
  <source file="/srv/guests/a&amp;b/config.iso" />
  <target dev="hda" bus="ide" />
  <readonly />
</disk>"""

DISKS = {
    PLAIN: GuestDisk("vda", "web", SOCKET),
    FULL: GuestDisk(
        "sdb", 'a&b"<c>', SOCKET, bus="scsi", serial="0123456789abcdef_.+-", read_only=True, boot=2, shareable=True
    ),
    CDROM: GuestDisk("hda", file="/srv/guests/a&b/config.iso", bus="ide", device="cdrom"),
}


@pytest.mark.parametrize("text", DISKS)
def test_as_text(text: str) -> None:
    assert disk_xml(DISKS[text]) == text


@pytest.mark.skipif(shutil.which("virt-xml-validate") is None, reason="there is no virt-xml-validate")
@pytest.mark.parametrize("text", DISKS)
def test_libvirts_schema_takes_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(
        "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os>"
        f"<devices>{text}</devices></domain>"
    )
    judged = subprocess.run(["virt-xml-validate", str(file), "domain"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"target": "sda"}, "use vda for virtio"),
        ({"target": "vda", "bus": "scsi"}, "sda for scsi"),
        ({"target": "vdA'/>"}, "use vda"),
        ({"bus": "ide"}, "hda for ide"),
        ({"bus": "floppy"}, "no bus"),
        ({"device": "cdrom"}, "no 'cdrom' of bus virtio"),
        ({"device": "lun"}, "no 'lun'"),
        ({"export": ""}, "either an export"),
        ({"file": "/f"}, "either an export"),
        ({"export": "", "file": "f"}, "absolute path"),
        ({"export": "", "file": "/f\n"}, "control characters"),
        ({"export": "a\x00b"}, "control characters"),
        ({"export": "a\ud800"}, "control characters"),
        ({"socket": "nbd.sock"}, "absolute path"),
        ({"socket": "/\n"}, "control characters"),
        ({"socket": "/" + "d" * 107}, "symbolic link"),
        ({"serial": "s" * 21}, "up to 20"),
        ({"serial": "a,b"}, "letters, digits"),
        ({"boot": 0}, "from 1"),
    ],
)
def test_what_no_disk_can_be(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        disk_xml(GuestDisk(**{"export": "web", "socket": SOCKET, "target": "vda", **wrong}))


def test_the_longest_path_is_taken() -> None:
    assert "d" * 106 in disk_xml(GuestDisk("vda", "web", "/" + "d" * 106))
