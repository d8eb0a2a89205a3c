"""Images that are to be refused: what each is, what it is said to be, and a word of why."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from image_registry.formats.plan import HEAD_BYTES
from tests.image_formats.corpus import (
    DISK_BYTES,
    MIB,
    boot_sector,
    changed,
    created,
    good,
    iso,
    partition,
    raw_disk,
    stream_optimized,
)

CLUSTER: Final = 64 * 1024
L1_AT: Final = 3 * CLUSTER
KEY: Final = ("--object", "secret,id=s,data=abc", "-o")


class Hostile(NamedTuple):
    content: bytes
    said: str
    why: str


def big(value: int, code: str = "Q") -> bytes:
    return struct.pack(">" + code, value)


def little(value: int, code: str = "I") -> bytes:
    return struct.pack("<" + code, value)


def qcow2(at: int, *new: bytes) -> bytes:
    return changed(good("qcow2"), at, *new)


def vhd(changes: dict[int, bytes], at: int = 0, length: int = 512, sum_at: int = 64) -> bytes:
    """With sums that are right, in the footer at the end too."""
    image = good("vhd")
    part = image[at : at + length]
    for where, new in changes.items():
        part = changed(part, where, new)
    part = changed(part, sum_at, bytes(4))
    part = changed(part, sum_at, big(~sum(part) & 0xFFFFFFFF, "I"))
    image = changed(image, at, part)
    return image[:-512] + part if at == 0 else image


def vhdx(region: int, *new: bytes) -> bytes:
    """In both tables of regions."""
    image = good("vhdx")
    for table in (192 * 1024, 256 * 1024):
        image = changed(image, table + region, *new)
    return image


def vmdk_text(old: bytes, new: bytes) -> bytes:
    """With other text in its descriptor."""
    image = good("vmdk")
    text = image[512 : 512 + 20 * 512]
    assert old in text
    return image[:512] + text.replace(old, new)[: len(text)].ljust(len(text), b"\0") + image[512 + len(text) :]


def descriptor(extent: str, kind: str = "monolithicFlat") -> bytes:
    return (
        f'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="{kind}"\n\n{extent}\n'
        'ddb.virtualHWVersion = "4"\n'
    ).encode()


def backed(magic: bytes = b"") -> bytes:
    image = created("qcow2", "3M", "-u", "-b", "/etc/passwd", "-F", "raw")
    return changed(image, 510, magic) if magic else image


def extension(kind: int, data: bytes, length: int | None = None) -> bytes:
    said = len(data) if length is None else length
    return qcow2(112, big(kind, "I"), big(said, "I"), data, bytes(16))


_FOOTER: Final = 130 * 512

HOSTILE: Final[dict[str, Callable[[], Hostile]]] = {
    # -- other files: CVE-2015-5163, CVE-2022-47951, CVE-2024-32498, CVE-2024-4467
    "qcow2, backing file": lambda: Hostile(backed(), "qcow2", "backing file"),
    "qcow2 v2, backing file": lambda: Hostile(
        created("qcow2", "3M", "-u", "-b", "/etc/passwd", "-F", "raw", "-o", "compat=0.10"), "qcow2", "backing file"
    ),
    "qcow2, backing file without a name": lambda: Hostile(qcow2(8, big(CLUSTER)), "qcow2", "backing file"),
    "qcow2, name of a backing file without a place": lambda: Hostile(qcow2(16, big(8, "I")), "qcow2", "backing file"),
    "qcow2, data file": lambda: Hostile(
        created("qcow2", "3M", "-o", "data_file=data,data_file_raw=on"), "qcow2", "another file"
    ),
    "qcow2, data file by its feature alone": lambda: Hostile(qcow2(72, big(4)), "qcow2", "another file"),
    "qcow2, name of a data file without the feature": lambda: Hostile(
        extension(0x44415441, b"/etc/passwd"), "qcow2", "another file"
    ),
    "qcow2, name of a data file at the end of the first cluster": lambda: Hostile(
        changed(good("qcow2 small clusters"), 112, big(0x1234, "I"), big(384, "I"), bytes(384), b"DATA", bytes(4)),
        "qcow2",
        "another file",
    ),
    "qcow2 v2, where v3 says data file": lambda: Hostile(
        changed(good("qcow2 v2"), 72, big(4)), "qcow2", "another file"
    ),
    "vmdk, text alone": lambda: Hostile(descriptor('RW 6144 FLAT "/etc/passwd" 0'), "vmdk", "other files"),
    "vmdk, text alone, a folder up": lambda: Hostile(descriptor('RW 6144 FLAT "../x" 0'), "vmdk", "other files"),
    "vmdk, text alone called sparse": lambda: Hostile(
        descriptor('RW 6144 SPARSE "x"', "monolithicSparse"), "vmdk", "other files"
    ),
    "vmdk, text of two files": lambda: Hostile(
        created("vmdk", "3G", "-o", "subformat=twoGbMaxExtentSparse"), "vmdk", "other files"
    ),
    "vmdk, text called raw": lambda: Hostile(descriptor('RW 6144 FLAT "/etc/passwd" 0'), "raw", "vmdk"),
    "vmdk, text that begins as another": lambda: Hostile(
        b"hello\n" * 20 + descriptor('RW 1 FLAT "/x" 0').removeprefix(b"#"), "raw", "descriptor of a VMDK"
    ),
    "vmdk, text that says so far behind": lambda: Hostile(
        b"# comment\n" * 9000 + b'CREATETYPE="x"', "raw", "descriptor of a VMDK"
    ),
    "vmdk, text without its first line": lambda: Hostile(b"#\n\n \nversion=1\n", "raw", "vmdk"),
    "vmdk of an ESX": lambda: Hostile(b"COWD" + bytes(4096), "vmdk", "ESX"),
    "vmdk of an ESX called raw": lambda: Hostile(b"COWD" + bytes(4096), "raw", "vmdk"),
    "vmdk, flat extent": lambda: Hostile(vmdk_text(b'SPARSE "target"', b'FLAT "/etc/passwd" 0'), "vmdk", "other files"),
    "vmdk, extent in another folder": lambda: Hostile(vmdk_text(b'"target"', b'"/target"'), "vmdk", "another folder"),
    "vmdk, extent by a backslash": lambda: Hostile(vmdk_text(b'"target"', b'"..\\t"'), "vmdk", "another folder"),
    "vmdk, two extents": lambda: Hostile(vmdk_text(b"\nRW ", b'\nRW 6144 SPARSE "x"\nRW '), "vmdk", "2 extents"),
    "vmdk, no extent": lambda: Hostile(vmdk_text(b"\nRW ", b"\n#"), "vmdk", "0 extents"),
    "vmdk, parent by number": lambda: Hostile(vmdk_text(b"parentCID=ffff", b"parentCID=0fff"), "vmdk", "parent"),
    "vmdk, parent by name": lambda: Hostile(
        vmdk_text(b"# Extent", b'parentFileNameHint="/etc/passwd"\n# E'), "vmdk", "parent"
    ),
    "vmdk, parent in a comment": lambda: Hostile(
        vmdk_text(b"# Extent", b'# parentFileNameHint="/etc/passwd"\n# E'), "vmdk", "parent"
    ),
    "vmdk, kind with other files": lambda: Hostile(
        vmdk_text(b'"monolithicSparse"', b'"twoGbMaxExtentFlat"'), "vmdk", "twogbmaxextentflat"
    ),
    "vmdk, no kind": lambda: Hostile(vmdk_text(b"createType", b"createTipe"), "vmdk", "of the kind ''"),
    "vmdk, kind without quotes": lambda: Hostile(
        vmdk_text(b'createType="monolithicSparse"', b"createType=monolithicSparse"), "vmdk", "no place"
    ),
    "vmdk, two kinds": lambda: Hostile(
        vmdk_text(b"# Extent", b'createType="monolithicSparse"\n# Extent'), "vmdk", "twice"
    ),
    "vmdk, second kind in a comment": lambda: Hostile(
        vmdk_text(b"# Extent", b'# createType="monolithicFlat"\n# Extent'), "vmdk", "or in two"
    ),
    "vmdk, line of no kind": lambda: Hostile(vmdk_text(b"# Extent", b"Extent"), "vmdk", "a line in its descriptor"),
    "vmdk, text beyond ASCII": lambda: Hostile(vmdk_text(b"# Extent", b"# \xc3\xa9"), "vmdk", "ASCII"),
    "vmdk, content elsewhere by its header": lambda: Hostile(
        changed(good("vmdk"), 12, little(0, "Q")), "vmdk", "other files"
    ),
    "vhd, differencing": lambda: Hostile(vhd({60: big(4, "I")}), "vhd", "parent"),
    "vhd, fixed by its header": lambda: Hostile(vhd({60: big(2, "I")}), "vhd", "another kind"),
    "vhdx, parent": lambda: Hostile(changed(good("vhdx"), 3 * MIB + 64 * 1024 + 4, little(2)), "vhdx", "parent"),
    "vdi, parent": lambda: Hostile(changed(good("vdi"), 0x1B8, b"p" * 16), "vdi", "parent"),
    "vdi, image before": lambda: Hostile(changed(good("vdi"), 0x1A8, b"p" * 16), "vdi", "parent"),
    "vdi, differencing": lambda: Hostile(changed(good("vdi"), 0x4C, little(4)), "vdi", "neither dynamic"),
    # -- keys
    "qcow2, encrypted by LUKS": lambda: Hostile(qcow2(32, big(2, "I")), "qcow2", "encrypted"),
    "qcow2, encrypted by AES": lambda: Hostile(
        created("qcow2", "3M", *KEY, "encrypt.format=aes,encrypt.key-secret=s"), "qcow2", "encrypted"
    ),
    "qcow2, header of a key without encryption": lambda: Hostile(
        extension(0x0537BE77, bytes(16)), "qcow2", "encrypted"
    ),
    "LUKS called raw": lambda: Hostile(b"LUKS\xba\xbe\0\1" + bytes(4096), "raw", "luks"),
    "LUKS": lambda: Hostile(b"LUKS\xba\xbe\0\1" + bytes(4096), "luks", "not taken"),
    # -- formats that nobody has
    "qed": lambda: Hostile(created("qed", "3M"), "qed", "not taken"),
    "qed called raw": lambda: Hostile(created("qed", "3M"), "raw", "qed"),
    "ploop": lambda: Hostile(created("parallels", "3M"), "ploop", "not taken"),
    "ploop called raw": lambda: Hostile(created("parallels", "3M"), "raw", "ploop"),
    "qcow v1": lambda: Hostile(created("qcow", "3M"), "qcow2", "of version 2 or 3"),
    "qcow2 v4": lambda: Hostile(qcow2(4, big(4, "I")), "qcow2", "of version 2 or 3"),
    # -- disguises: CVE-2024-40767
    "qcow2 called raw": lambda: Hostile(good("qcow2"), "raw", "content is qcow2, not raw"),
    "qcow2 with a backing file called raw": lambda: Hostile(backed(), "raw", "content is qcow2, not raw"),
    "qcow2 with a backing file and the mark of a boot sector": lambda: Hostile(
        backed(b"\x55\xaa"), "raw", "gpt, qcow2"
    ),
    "qcow2 called vmdk": lambda: Hostile(good("qcow2"), "vmdk", "content is qcow2, not vmdk"),
    "qcow2 called ami": lambda: Hostile(good("qcow2"), "ami", "content is qcow2, not ami"),
    "zeros called qcow2": lambda: Hostile(bytes(MIB), "qcow2", "content is raw, not qcow2"),
    "nothing called qcow2": lambda: Hostile(b"", "qcow2", "content is raw, not qcow2"),
    "raw called iso": lambda: Hostile(raw_disk(), "iso", "content is raw, not iso"),
    "disc called qcow2": lambda: Hostile(iso(), "qcow2", "content is iso, not qcow2"),
    "disc that is a qcow2": lambda: Hostile(changed(iso(), 0, good("qcow2")[:512]), "iso", "iso, qcow2"),
    "disc that is a VMDK's text": lambda: Hostile(
        changed(iso(), 0, descriptor('RW 1 FLAT "/x" 0')), "raw", "iso, vmdk"
    ),
    "disc that is cut off": lambda: Hostile(iso()[: HEAD_BYTES - 1], "iso", "content is raw, not iso"),
    "partitions called ami": lambda: Hostile(boot_sector() + bytes(MIB), "ami", "content is gpt, not ami"),
    "partitions called vhd": lambda: Hostile(boot_sector() + bytes(MIB), "vhd", "content is gpt, not vhd"),
    "VDI with the mark of a boot sector": lambda: Hostile(changed(good("vdi"), 510, b"\x55\xaa"), "vdi", "gpt, vdi"),
    "VHD at its end alone": lambda: Hostile(good("raw") + good("vhd")[:512], "vhd", "content is raw, not vhd"),
    "boot sector without partitions": lambda: Hostile(bytes(510) + b"\x55\xaa" + bytes(MIB), "raw", "no partitions"),
    "boot sector with an odd boot flag": lambda: Hostile(
        boot_sector(partition(boot=1)) + bytes(MIB), "raw", "boot flag"
    ),
    "boot sector for a GPT elsewhere": lambda: Hostile(
        boot_sector(partition(0xEE, first=2)) + bytes(MIB), "raw", "does not begin"
    ),
    "boot sector for a GPT by another geometry": lambda: Hostile(
        boot_sector(partition(0xEE, start=b"\x00\x03\x00")) + bytes(MIB), "raw", "does not begin"
    ),
    "boot sector for a GPT and more": lambda: Hostile(
        boot_sector(partition(0xEE, boot=0), partition()) + bytes(MIB), "raw", "besides"
    ),
    # -- headers that are cut off
    "qcow2, cut off in its header": lambda: Hostile(good("qcow2")[:100], "qcow2", "cut off"),
    "qcow2, magic alone": lambda: Hostile(b"QFI\xfb", "qcow2", "cut off"),
    "qcow2, cut off in its L1 table": lambda: Hostile(good("qcow2")[: L1_AT + 4], "qcow2", "cut off"),
    "qcow2, cut off before its L2 tables": lambda: Hostile(good("qcow2")[: L1_AT + 8], "qcow2", "cut off"),
    "vhd, cut off": lambda: Hostile(good("vhd")[:-1024], "vhd", "cut off"),
    "vhd, cut off in its footer": lambda: Hostile(good("vhd")[:-1], "vhd", "cut off"),
    "vhd, cut off in its second header": lambda: Hostile(good("vhd")[:1000], "vhd", "cut off"),
    "vhdx, cut off in its headers": lambda: Hostile(good("vhdx")[: 64 * 1024], "vhdx", "cut off"),
    "vhdx, cut off in its regions": lambda: Hostile(good("vhdx")[: 256 * 1024], "vhdx", "cut off"),
    "vhdx, cut off in its metadata": lambda: Hostile(good("vhdx")[: 3 * MIB + 70000], "vhdx", "cut off"),
    "vhdx, cut off in the last region": lambda: Hostile(good("vhdx")[: 4 * MIB - 1], "vhdx", "cut off"),
    "vdi, cut off in its header": lambda: Hostile(good("vdi")[:400], "vdi", "cut off"),
    "vdi, cut off in a block": lambda: Hostile(good("vdi")[:-1], "vdi", "cut off"),
    "vmdk, cut off in its header": lambda: Hostile(good("vmdk")[:70], "vmdk", "cut off"),
    "vmdk, cut off in its descriptor": lambda: Hostile(good("vmdk")[:1024], "vmdk", "cut off"),
    "vmdk, cut off before its tables": lambda: Hostile(good("vmdk")[: 26 * 512], "vmdk", "cut off"),
    # -- numbers that cannot be: CVE-2014-0142 to 0147, 0150, 0222, 0223
    "qcow2, clusters of 2^64": lambda: Hostile(qcow2(20, big(64, "I")), "qcow2", "clusters of 2\\^64"),
    "qcow2, clusters of 2^8": lambda: Hostile(qcow2(20, big(8, "I")), "qcow2", "clusters of 2\\^8 "),
    "qcow2, clusters of 2^22": lambda: Hostile(qcow2(20, big(22, "I")), "qcow2", "clusters of 2\\^22"),
    "qcow2, disk of 1 EiB": lambda: Hostile(qcow2(24, big(1 << 60), big(0, "I")), "qcow2", "too small for its disk"),
    "qcow2, L1 table of 32 GiB": lambda: Hostile(qcow2(36, big((1 << 32) - 1, "I")), "qcow2", "L1 table has"),
    "qcow2, reference counts of 2 TiB": lambda: Hostile(qcow2(56, big(1 << 25, "I")), "qcow2", "reference counts has"),
    "qcow2, snapshots without end": lambda: Hostile(qcow2(60, big(1 << 31, "I")), "qcow2", "snapshots, and may"),
    "qcow2, snapshots outside": lambda: Hostile(qcow2(60, big(9, "I"), big(1 << 40)), "qcow2", "cut off"),
    "qcow2, snapshots in its header": lambda: Hostile(qcow2(60, big(9, "I"), big(512)), "qcow2", "with a cluster"),
    "qcow2, reference counts of 128 bits": lambda: Hostile(qcow2(96, big(7, "I")), "qcow2", "64 bits"),
    "qcow2, header of 8 bytes": lambda: Hostile(qcow2(100, big(8, "I")), "qcow2", "header of 8 bytes"),
    "qcow2, header longer than a cluster": lambda: Hostile(qcow2(100, big(65544, "I")), "qcow2", "header of 65544"),
    "qcow2, extension without end": lambda: Hostile(extension(0x1234, b"", 0xFFFFFFFF), "qcow2", "first cluster"),
    "qcow2, extensions without number": lambda: Hostile(
        qcow2(104, (big(0x1234, "I") + bytes(4)) * 65), "qcow2", "more than 64 extensions"
    ),
    "vmdk, lines without number": lambda: Hostile(vmdk_text(b"# Extent", b"\n" * 1000), "vmdk", "1000 lines"),
    "vdi, cut off where the map is too large to be looked at": lambda: Hostile(
        changed(created("vdi", "2T"), 0x184, little(1)), "vdi", "behind its end"
    ),
    "qcow2, unknown feature": lambda: Hostile(qcow2(72, big(1 << 63)), "qcow2", "not known here"),
    "qcow2, extended L2": lambda: Hostile(created("qcow2", "3M", "-o", "extended_l2=on"), "qcow2", "not known here"),
    "qcow2, corrupt": lambda: Hostile(qcow2(72, big(2)), "qcow2", "corrupt"),
    "qcow2, unknown compression": lambda: Hostile(qcow2(72, big(8)), "qcow2", "compressed in a way"),
    "qcow2, unknown compression by its number": lambda: Hostile(
        changed(good("qcow2 zstd"), 104, b"\2"), "qcow2", "compressed in a way"
    ),
    "vhd, footer damaged": lambda: Hostile(changed(good("vhd"), 40, b"\1"), "vhd", "damaged"),
    "vhd, version 2": lambda: Hostile(vhd({12: big(0x20000, "I")}), "vhd", "version"),
    "vhd, second header in the first": lambda: Hostile(vhd({16: big(0)}), "vhd", "no place"),
    "vhd, second header damaged": lambda: Hostile(changed(good("vhd"), 512 + 32, b"\1"), "vhd", "damaged"),
    "vhd, table too small": lambda: Hostile(vhd({28: big(1, "I")}, 512, 1024, 36), "vhd", "too small"),
    "vhd, blocks of 3 MiB": lambda: Hostile(vhd({32: big(3 * MIB, "I")}, 512, 1024, 36), "vhd", "blocks of"),
    "vhd, blocks of 2 GiB": lambda: Hostile(vhd({32: big(1 << 31, "I")}, 512, 1024, 36), "vhd", "blocks of"),
    "vhd, footer that differs": lambda: Hostile(changed(good("vhd"), len(good("vhd")) - 400, b"\1"), "vhd", "differ"),
    "vhdx, no header": lambda: Hostile(
        changed(changed(good("vhdx"), 65536, b"tail"), 131072, b"tail"), "vhdx", "without a header"
    ),
    "vhdx, version 2": lambda: Hostile(changed(good("vhdx"), 131072 + 66, b"\2"), "vhdx", "of version 2"),
    "vhdx, log that is not empty": lambda: Hostile(changed(good("vhdx"), 131072 + 48, b"l" * 16), "vhdx", "not closed"),
    "vhdx, tables that differ": lambda: Hostile(changed(good("vhdx"), 256 * 1024 + 32, b"\7"), "vhdx", "differ"),
    "vhdx, table damaged": lambda: Hostile(vhdx(0, b"x"), "vhdx", "regions is damaged"),
    "vhdx, too many regions": lambda: Hostile(vhdx(8, little(2048)), "vhdx", "regions is damaged"),
    "vhdx, one region": lambda: Hostile(vhdx(8, little(1)), "vhdx", "without metadata"),
    "vhdx, region twice": lambda: Hostile(vhdx(48, good("vhdx")[192 * 1024 + 16 :][:16]), "vhdx", "there twice"),
    "vhdx, unknown region": lambda: Hostile(vhdx(48, b"x" * 16), "vhdx", "not known here"),
    "vhdx, region in the headers": lambda: Hostile(vhdx(32, little(0, "Q")), "vhdx", "no place"),
    "vhdx, region of no length": lambda: Hostile(vhdx(40, little(0)), "vhdx", "no place"),
    "vhdx, unknown item that is needed": lambda: Hostile(changed(good("vhdx"), 3 * MIB + 32, b"x"), "vhdx", "parent"),
    "vhdx, metadata damaged": lambda: Hostile(changed(good("vhdx"), 3 * MIB, b"x"), "vhdx", "metadata are damaged"),
    "vhdx, item outside": lambda: Hostile(changed(good("vhdx"), 3 * MIB + 48, little(MIB)), "vhdx", "no place for"),
    "vhdx, items that overlap": lambda: Hostile(
        changed(good("vhdx"), 3 * MIB + 48, good("vhdx")[3 * MIB + 80 :][:4]), "vhdx", "overlap"
    ),
    "vhdx, blocks of 3 MiB": lambda: Hostile(
        changed(good("vhdx"), 3 * MIB + 64 * 1024, little(3 * MIB)), "vhdx", "blocks of"
    ),
    "vdi, version": lambda: Hostile(changed(good("vdi"), 0x44, little(0x10002)), "vdi", "of version 1.2"),
    "vdi, blocks of 2 MiB": lambda: Hostile(changed(good("vdi"), 0x178, little(2 * MIB)), "vdi", "not of 1 MiB"),
    "vdi, disk larger than its map": lambda: Hostile(
        changed(good("vdi"), 0x170, little(4 * MIB, "Q")), "vdi", "not fit its disk"
    ),
    "vdi, map of 4 GiB": lambda: Hostile(changed(good("vdi"), 0x180, little(1 << 30)), "vdi", "not fit its disk"),
    "vdi, map in its header": lambda: Hostile(changed(good("vdi"), 0x154, little(0)), "vdi", "with a sector"),
    "vmdk, version 4": lambda: Hostile(changed(good("vmdk"), 4, little(4)), "vmdk", "of version 4"),
    "vmdk, grains of 3 sectors": lambda: Hostile(changed(good("vmdk"), 20, little(3, "Q")), "vmdk", "grains"),
    "vmdk, tables of no entries": lambda: Hostile(changed(good("vmdk"), 44, little(0)), "vmdk", "grains"),
    "vmdk, sent as text": lambda: Hostile(changed(good("vmdk"), 73, b"\n \n\n"), "vmdk", "sent as text"),
    "vmdk, descriptor elsewhere": lambda: Hostile(changed(good("vmdk"), 28, little(2, "Q")), "vmdk", "descriptor"),
    "vmdk, no descriptor": lambda: Hostile(changed(good("vmdk"), 36, little(0, "Q")), "vmdk", "descriptor"),
    "vmdk, disk of 1 EiB": lambda: Hostile(changed(good("vmdk"), 12, little(1 << 51, "Q")), "vmdk", "more tables"),
    # -- tables outside, in one another, in themselves
    "qcow2, L1 table outside": lambda: Hostile(qcow2(40, big(1 << 40)), "qcow2", "cut off"),
    "qcow2, L1 table in the header": lambda: Hostile(qcow2(40, big(0)), "qcow2", "with a cluster"),
    "qcow2, L1 table within a cluster": lambda: Hostile(qcow2(40, big(L1_AT + 8)), "qcow2", "with a cluster"),
    "qcow2, L1 table that is that of reference counts": lambda: Hostile(qcow2(40, big(CLUSTER)), "qcow2", "overlaps"),
    "qcow2, L2 table that is the L1 table": lambda: Hostile(qcow2(L1_AT, big(L1_AT | 1 << 63)), "qcow2", "overlaps"),
    "qcow2, L2 table outside": lambda: Hostile(qcow2(L1_AT, big(1 << 50)), "qcow2", "lead behind its end"),
    "qcow2, L2 table within a cluster": lambda: Hostile(qcow2(L1_AT, big(4 * CLUSTER + 512)), "qcow2", "a cluster"),
    "qcow2, L2 table twice": lambda: Hostile(
        qcow2(36, big(2, "I"))[:L1_AT] + big(4 * CLUSTER) * 2 + good("qcow2")[L1_AT + 16 :], "qcow2", "two L2 tables"
    ),
    "vhd, table in its header": lambda: Hostile(vhd({16: big(0)}, 512, 1024, 36), "vhd", "cannot be looked|overlaps"),
    "vhd, table outside": lambda: Hostile(vhd({16: big(1 << 40)}, 512, 1024, 36), "vhd", "cut off"),
    "vhd, block twice": lambda: Hostile(changed(good("vhd"), 1540, good("vhd")[1536:1540]), "vhd", "two blocks"),
    "vhd, block in its table": lambda: Hostile(changed(good("vhd"), 1536, big(2, "I")), "vhd", "overlaps"),
    "vhd, block outside": lambda: Hostile(changed(good("vhd"), 1536, big(1 << 31, "I")), "vhd", "behind its end"),
    "vhdx, regions that overlap": lambda: Hostile(vhdx(64, little(2 * MIB, "Q")), "vhdx", "damaged|overlaps"),
    "vhdx, region outside": lambda: Hostile(vhdx(32, little(1 << 40, "Q")), "vhdx", "cut off"),
    "vdi, block twice": lambda: Hostile(changed(good("vdi"), 512, little(0), little(0)), "vdi", "two blocks"),
    "vdi, block beyond those there are": lambda: Hostile(changed(good("vdi"), 512, little(99)), "vdi", "beyond"),
    "vdi, blocks in the map": lambda: Hostile(changed(good("vdi"), 0x158, little(512)), "vdi", "overlaps"),
    "vmdk, tables in the descriptor": lambda: Hostile(changed(good("vmdk"), 56, little(2, "Q")), "vmdk", "overlaps"),
    "vmdk, table in the directory": lambda: Hostile(changed(good("vmdk"), 26 * 512, little(26)), "vmdk", "overlaps"),
    "vmdk, table outside": lambda: Hostile(changed(good("vmdk"), 26 * 512, little(1 << 31)), "vmdk", "behind its end"),
    # -- footers that say something else
    "vmdk, footer for another disk": lambda: Hostile(
        changed(stream_optimized(), _FOOTER + 512 + 12, little(9999)), "vmdk", "header and footer differ"
    ),
    "vmdk, footer with another descriptor": lambda: Hostile(
        changed(stream_optimized(), _FOOTER + 512 + 28, little(9)), "vmdk", "header and footer differ"
    ),
    "vmdk, footer with another footer": lambda: Hostile(
        changed(stream_optimized(), _FOOTER + 512 + 56, b"\xff" * 8), "vmdk", "another footer"
    ),
    "vmdk, no footer": lambda: Hostile(stream_optimized()[:-1024], "vmdk", "without the footer"),
    "vmdk, marker of no footer": lambda: Hostile(
        changed(stream_optimized(), _FOOTER + 12, little(1)), "vmdk", "without the footer"
    ),
    "vmdk, no end": lambda: Hostile(stream_optimized(end=b"\1" * 512), "vmdk", "end mark"),
    "vmdk, more behind its end": lambda: Hostile(stream_optimized() + bytes(512), "vmdk", "without the footer"),
}

assert DISK_BYTES == 3 * MIB
