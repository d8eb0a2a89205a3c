"""Parts of drivers that need no hypervisor."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from compute_plugin.hypervisors.console_log import LAST_BYTES, read_console_log
from compute_plugin.hypervisors.daemon import not_ours
from compute_plugin.hypervisors.interface import GuestDisk, GuestNic
from compute_plugin.hypervisors.kvm import probe
from compute_plugin.hypervisors.kvm.domain_xml import Host, domain_xml
from compute_plugin.hypervisors.kvm.moved_xml import moved_xml
from compute_plugin.hypervisors.kvm.topology import topology
from compute_plugin.hypervisors.libvirt.elements import checked, one_line
from compute_plugin.hypervisors.libvirt.inventory import parse_cpu
from compute_plugin.hypervisors.libvirt.marks import RUN, ToDo
from compute_plugin.hypervisors.libvirt.nic_xml import nic_xml
from compute_plugin.hypervisors.libvirt.usage import parse_usage
from store.core.errors import ConflictError, InvalidError
from tests.hypervisors.scenes import HOSTILE, everything, plain, q35_efi

EMULATED = Host()


def test_the_last_of_a_console_is_read(tmp_path: Path) -> None:
    assert read_console_log(str(tmp_path)) == b""
    log = tmp_path / "console.log"
    log.write_bytes(b"end")
    assert read_console_log(str(tmp_path)) == b"end"
    (tmp_path / "console.log.0").write_bytes(b"x" * LAST_BYTES + b"before the ")
    found = read_console_log(str(tmp_path))
    assert len(found) == LAST_BYTES
    assert found.endswith(b"xbefore the end")
    log.write_bytes(b"a" * 10 + b"b" * LAST_BYTES)
    assert read_console_log(str(tmp_path)) == b"b" * LAST_BYTES


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="there is no QEMU")
def test_the_sector_of_the_probe_counts_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """In emulation, with all the time it wants; and one that hangs is given up."""
    monkeypatch.setattr(probe, "SECONDS", 120)
    assert probe.boots("tcg")
    monkeypatch.setattr(probe, "SECONDS", 1)
    monkeypatch.setattr(probe, "_SECTOR", b"\xeb\xfe")
    assert not probe.boots("tcg")


@pytest.mark.parametrize(
    ("vcpus", "wanted", "found"),
    [
        (4, {}, (4, 1, 1)),
        (4, {"hw_cpu_sockets": "1"}, (1, 4, 1)),
        (8, {"hw_cpu_cores": "2", "hw_cpu_threads": "2"}, (2, 2, 2)),
        (8, {"hw_cpu_sockets": "3"}, (8, 1, 1)),
        (8, {"hw_cpu_max_sockets": "2"}, (2, 4, 1)),
        (6, {"hw_cpu_max_sockets": "1", "hw_cpu_max_cores": "2"}, (1, 2, 3)),
    ],
)
def test_arrangements_of_processors(vcpus: int, wanted: dict[str, str], found: tuple[int, int, int]) -> None:
    assert topology(vcpus, wanted, {}) == found
    assert topology(vcpus, {}, {name.replace("hw_", "hw:", 1): value for name, value in wanted.items()}) == found


def test_the_flavor_comes_before_the_image_in_arrangements() -> None:
    assert topology(4, {"hw_cpu_sockets": "4"}, {"hw:cpu_sockets": "2"}) == (2, 2, 1)
    with pytest.raises(InvalidError, match="within the limits"):
        topology(4, {"hw_cpu_max_sockets": "1"}, {"hw:cpu_max_cores": "1", "hw:cpu_max_threads": "2"})
    for wrong in ("0", "-1", "x", "1e3", "99999999"):
        with pytest.raises(InvalidError, match="number from 1"):
            topology(4, {"hw_cpu_sockets": wrong}, {})


@pytest.mark.parametrize(
    ("properties", "specs", "why"),
    [
        ({"hw_machine_type": "pc'/>"}, {}, "no machine"),
        ({"hw_firmware_type": "coreboot"}, {}, "bios or uefi"),
        ({"hw_video_model": "voodoo"}, {}, "hw_video_model"),
        ({"hw_rng_model": "egd"}, {}, "hw_rng_model"),
        ({"hw_watchdog_action": "explode"}, {}, "hw_watchdog_action"),
        ({}, {"hw:cpu_policy": "dedicated"}, "no processors are set apart"),
        ({}, {"quota:cpu_shares": "many"}, "is a number"),
        ({}, {"hw_rng:rate_bytes": "1'"}, "is a number"),
    ],
)
def test_what_no_guest_can_have(properties: dict[str, str], specs: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        domain_xml(replace(plain(), properties=properties, extra_specs=specs), EMULATED)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "a b"}, "letters, digits"),
        ({"id": "x"}, "UUID"),
        ({"vcpus": 0}, "processor"),
        ({"folder": "guests"}, "absolute path"),
        ({"folder": "/" + "f" * 100}, "symbolic link"),
        ({"kernel": "/k\n"}, "control characters"),
        ({"kernel": "/k", "command_line": "a\x00"}, "control characters"),
    ],
)
def test_what_no_guest_can_be(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        domain_xml(replace(plain(), **wrong), EMULATED)  # type: ignore[arg-type]


def test_a_device_of_chance_is_left_out_where_the_flavor_forbids_it() -> None:
    assert "<rng" not in domain_xml(replace(plain(), extra_specs={"hw_rng:allowed": "false"}), EMULATED)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"tap": "a/b"}, "no tap"),
        ({"tap": ".."}, "no tap"),
        ({"tap": "t" * 16}, "no tap"),
        ({"mac": "fa:16:3e:00:00"}, "no address"),
        ({"mac": "01:00:5e:00:00:01"}, "no address"),
        ({"mtu": 1}, "68 to"),
        ({"model": "ne2000"}, "no network card"),
    ],
)
def test_what_no_card_can_be(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        nic_xml(replace(GuestNic("tap0", "fa:16:3e:00:00:01"), **wrong))  # type: ignore[arg-type]


def test_one_that_goes_on_elsewhere_keeps_its_places_and_has_new_sockets() -> None:
    """`<address>` is what libvirt has put into the XML of one that runs."""
    guest = everything()
    running = domain_xml(guest, EMULATED)
    for ours, libvirts in (
        ('<target dev="sda" bus="scsi" />', '<target dev="sda" bus="scsi" /><address type="drive" unit="7" />'),
        ('<graphics type="vnc">', '<graphics type="vnc" port="-1" autoport="yes" listen="127.0.0.1">'),
        (f'<listen type="socket" socket="{guest.folder}/vnc.sock" />', '<listen type="address" address="127.0.0.1" />'),
    ):
        assert ours in running
        running = running.replace(ours, libvirts)
    there = replace(
        guest,
        folder="/srv/other",
        disks=tuple(replace(disk, socket="/n.sock") if disk.export else disk for disk in guest.disks),
        nics=tuple(replace(nic, tap=f"{nic.tap}x") for nic in guest.nics),
    )
    root = ElementTree.fromstring(moved_xml(running, there, EMULATED, ToDo.RENEW))
    assert {host.get("socket") for host in root.iterfind("devices/disk/source/host")} == {"/n.sock"}
    assert [target.get("dev") for target in root.iterfind("devices/interface/target")] == ["tap0x", "tap1x"]
    assert root.find("devices/disk/address[@unit='7']") is not None
    assert root.find("devices/serial/source[@path='/srv/other/serial.sock']") is not None
    (screen,) = root.findall("devices/graphics")
    assert screen.attrib == {"type": "vnc"}
    assert [listen.attrib for listen in screen] == [{"type": "socket", "socket": "/srv/other/vnc.sock"}]
    run = root.find(f"metadata/{{{RUN}}}run")
    assert run is not None
    assert run.attrib == {"to-do": "renew"}
    for wrong in (replace(there, disks=there.disks[1:]), replace(there, nics=())):
        with pytest.raises(ConflictError, match="is to go on with"):
            moved_xml(running, wrong, EMULATED, ToDo.RENEW)
    other = (GuestDisk("sda", file="/f", bus="scsi"), *there.disks[1:])
    with pytest.raises(ConflictError, match="another kind"):
        moved_xml(running, replace(there, disks=other), EMULATED, ToDo.RENEW)
    efi = moved_xml(domain_xml(q35_efi(), EMULATED), replace(q35_efi(), folder="/srv/other"), EMULATED, ToDo.START)
    assert "/srv/other/nvram.fd" in efi


def test_text_of_people() -> None:
    assert one_line(HOSTILE) == "</title><devices><x a='&\"]]> end"
    assert one_line(" a\u2028b\r\n\tc ") == "a b c"
    assert checked("it", "a\u00e9\U0001f300") == "a\u00e9\U0001f300"


def test_what_libvirt_says_of_a_processor() -> None:
    said = (
        "<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>"
        "<topology sockets='1' dies='1' cores='4' threads='2'/><feature name='b'/><feature name='a'/></cpu></host>"
        "</capabilities>"
    )
    assert parse_cpu(said) == {
        "arch": "x86_64",
        "model": "EPYC",
        "vendor": "AMD",
        "topology": {"sockets": 1, "dies": 1, "cores": 4, "threads": 2},
        "features": ["a", "b"],
    }
    assert parse_cpu("<capabilities/>") == {}


def test_what_libvirt_says_of_use() -> None:
    stats = {
        "vcpu.maximum": 2,
        "vcpu.0.time": 5,
        "vcpu.1.time": 6,
        "balloon.current": 4096,
        "balloon.unused": 1024,
        "block.count": 1,
        "block.0.name": "vda",
        "block.0.rd.bytes": 1,
        "block.0.wr.reqs": 2,
        "net.count": 2,
        "net.0.name": "tap0",
        "net.0.rx.bytes": 3,
        "net.1.name": "other",
    }
    usage = parse_usage(stats, {"tap0": "fa:16:3e:00:00:01"}, 9)
    assert (usage.cpu_ns, usage.memory_mib, usage.memory_used_mib, usage.uptime_s) == ((5, 6), 4, 3, 9)
    assert usage.disks == {"vda": (1, 0, 0, 2, -1)}
    assert usage.nics == {"fa:16:3e:00:00:01": (3, 0, 0, 0, 0, 0, 0, 0)}


def test_whose_it_is_to_start_a_daemon(tmp_path: Path) -> None:
    assert not_ours("qemu+tcp://other/system") == "it is for others to start"
    assert not_ours("qemu:///session") == "it is for others to start"
    assert not_ours("qemu:///system", str(tmp_path)) == "systemctl start libvirtd"
