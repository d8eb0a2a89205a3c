"""Stock clients against a server of its own process, over a Unix socket."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1024 * 1024
SIZE = 32 * MIB
SYSTEM_PYTHON = "/usr/bin/python3"
pytestmark = [pytest.mark.process, pytest.mark.client]


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """The socket of a server over 32 MiB of memory."""
    where = tmp_path / "nbd.sock"
    command = [sys.executable, "-m", "tests.nbd.serving", str(where), str(SIZE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "serves\n"
        yield where
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def uri(path: Path) -> str:
    return f"nbd+unix:///disk?socket={path}"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Data, zeros and holes, the same every time."""
    where = tmp_path / "image"
    with open(where, "wb") as file:
        file.truncate(SIZE)
        file.write(bytes(range(256)) * 12288)
        file.seek(10 * MIB + 512)
        file.write(b"stone" * 100_000)
        file.seek(SIZE - 4096)
        file.write(b"\xff" * 4096)
    return where


def run(*command: str, code: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs("nbdinfo")
def test_nbdinfo(path: Path, uri: str) -> None:
    export = json.loads(run("nbdinfo", "--json", uri))["exports"][0]
    assert export["export-size"] == SIZE
    assert "base:allocation" in export["contexts"]
    for name in ("can_cache", "can_df", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim"):
        assert export[name], name
    assert not export["is_read_only"]
    assert not export["is_rotational"]
    sizes = [export[f"block_size_{name}"] for name in ("minimum", "preferred", "maximum")]
    assert sizes == [1, 4096, 32 * MIB]
    locked = json.loads(run("nbdinfo", "--json", f"nbd+unix:///locked?socket={path}"))["exports"][0]
    assert locked["is_read_only"]
    assert not locked["can_trim"]
    assert "server replied with error" in run("nbdinfo", f"nbd+unix:///nix?socket={path}", code=1)
    assert json.loads(run("nbdinfo", "--list", "--json", f"nbd+unix://?socket={path}"))["exports"] == []


@needs("nbdcopy")
def test_nbdcopy_there_and_back(uri: str, image: Path, tmp_path: Path) -> None:
    """On several connections, with holes."""
    run("nbdcopy", "--connections=4", "--requests=64", "--flush", str(image), uri)
    run("nbdcopy", "--connections=4", uri, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


@needs("nbdinfo")
@needs("nbdcopy")
def test_nbdinfo_map(uri: str, image: Path) -> None:
    run("nbdcopy", "--destination-is-zero", str(image), uri)
    extents = json.loads(run("nbdinfo", "--map", "--json", uri))
    assert sum(extent["length"] for extent in extents) == SIZE
    assert {extent["description"] for extent in extents} == {"data", "hole,zero"}
    assert extents[0] == {"offset": 0, "length": 3 * MIB, "type": 0, "description": "data"}
    assert extents[-1] == {"offset": SIZE - 4096, "length": 4096, "type": 0, "description": "data"}


@needs("qemu-img")
def test_qemu_img(uri: str, image: Path, tmp_path: Path) -> None:
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", str(image), uri)
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", str(image), uri)
    extents = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", uri))
    assert sum(extent["length"] for extent in extents) == SIZE
    assert extents[0]["data"]
    assert any(extent["zero"] and not extent["data"] for extent in extents)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, str(tmp_path / "back.qcow2"))
    run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(tmp_path / "back.qcow2"), uri)


@needs("qemu-io")
def test_qemu_io(path: Path, uri: str) -> None:
    """Its exit status says whether each pattern was found."""
    commands = [
        "write -P 0x11 0 64k",
        "write -f -P 0x22 64k 64k",
        "read -P 0x11 0 64k",
        "write -z 4k 8k",
        "read -P 0 4k 8k",
        "write -z -u 16k 4k",
        "discard 65536 65536",
        "read -P 0 64k 64k",
        "write -P 0x33 511 1026",
        "read -P 0x33 511 1026",
        "read -P 0x11 1537 2559",
        "flush",
        "aio_write -P 0x44 1M 1M",
        "aio_write -P 0x55 2M 1M",
        "aio_flush",
        "read -P 0x44 1M 1M",
        "read -P 0x55 2M 1M",
    ]
    said = run("qemu-io", "-f", "raw", *(word for command in commands for word in ("-c", command)), uri)
    assert "failed" not in said
    locked = f"nbd+unix:///locked?socket={path}"
    run("qemu-io", "-r", "-f", "raw", "-c", "read -P 0 0 64k", locked)
    run("qemu-io", "-f", "raw", "-c", "write 0 64k", locked, code=1)


def fio_without_nbd() -> bool:
    return (
        shutil.which("fio") is None
        or "nbd" not in subprocess.run(["fio", "--enghelp"], capture_output=True, text=True).stdout
    )


@pytest.mark.skipif(fio_without_nbd(), reason="there is no fio with its nbd engine")
@pytest.mark.parametrize("how", ["randwrite", "write"])
def test_fio_verifies_what_it_wrote(uri: str, how: str, tmp_path: Path) -> None:
    run(
        "fio",
        "--name=verify",
        "--ioengine=nbd",
        f"--uri={uri}",
        f"--rw={how}",
        "--bsrange=512-128k",
        "--blockalign=512",
        "--iodepth=16",
        "--size=16M",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--fsync=64",
        "--randseed=1",
        f"--aux-path={tmp_path}",
    )


LIBNBD = """
import sys, nbd
h = nbd.NBD()
h.set_full_info(True)
h.add_meta_context("base:allocation")
h.set_export_name("disk")
h.connect_unix(sys.argv[1])
assert h.get_protocol() == "newstyle-fixed" and h.get_structured_replies_negotiated()
assert h.get_canonical_export_name() == "disk"
h.pwrite(b"a" * 8192, 4096, nbd.CMD_FLAG_FUA)
h.zero(4096, 8192, nbd.CMD_FLAG_FAST_ZERO)
h.zero(4096, 16384, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.trim(1 << 20, 1 << 20)
h.cache(1 << 20, 0)
extents = []
h.block_status(1 << 20, 0, lambda name, offset, entries, error: extents.extend(entries))
assert extents == [4096, 3, 4096, 0, 8192, 3, 4096, 2, (1 << 20) - 20480, 3], extents
chunks = []
note = lambda data, at, kind, error: chunks.append((at, kind))
assert h.pread_structured(70000, 1 << 21, note, nbd.CMD_FLAG_DF) == bytes(70000)
assert chunks == [(1 << 21, nbd.READ_DATA)]
size = h.get_size()
h.set_strict_mode(0)
import errno
for number, call in (
    (errno.EINVAL, lambda: h.pread(2, size - 1)),
    (errno.ENOSPC, lambda: h.pwrite(b"xx", size - 1)),
    (errno.ENOSPC, lambda: h.zero(2, size - 1)),
    (errno.ENOSPC, lambda: h.trim(1, size)),
):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == number, error
    else:
        raise AssertionError(number)
cookies = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([n]) * 4096), n * 4096) for n in range(100)]
for cookie in cookies:
    while not h.aio_command_completed(cookie):
        h.poll(-1)
h.flush()
for n in range(100):
    assert h.pread(4096, n * 4096) == bytes([n]) * 4096
h.shutdown()
print("done")
"""


def without_libnbd() -> bool:
    tried = [SYSTEM_PYTHON, "-c", "import nbd"]
    return not os.path.exists(SYSTEM_PYTHON) or subprocess.run(tried, capture_output=True).returncode != 0


@pytest.mark.skipif(without_libnbd(), reason="libnbd for Python is not installed")
def test_libnbd(path: Path) -> None:
    assert run(SYSTEM_PYTHON, "-c", LIBNBD, str(path)) == "done\n"


@needs("nbdfuse")
@pytest.mark.skipif(not os.access("/dev/fuse", os.W_OK), reason="there is no FUSE")
@pytest.mark.skipif(shutil.which("fusermount3") is None, reason="fusermount3 is not installed")
def test_nbdfuse(uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    process = subprocess.Popen(["nbdfuse", str(folder), uri], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not (folder / "nbd").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with open(folder / "nbd", "r+b") as file:
            file.seek(1000)
            file.write(b"through a file")
            file.flush()
            os.fsync(file.fileno())
        with open(folder / "nbd", "rb") as file:
            file.seek(1000)
            assert file.read(14) == b"through a file"
    finally:
        subprocess.run(["fusermount3", "-u", str(folder)], capture_output=True)
        process.terminate()
        process.communicate(timeout=30)
