"""Volumes of disk images and disk images of volumes, by the real program and the stock `qemu-img`."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nbd.test_stock_clients import needs
from tests.process.disk import Disk
from tests.process.program import Program
from tests.process.test_volumes import MIB, PAGE, refused, run, typed

pytestmark = [pytest.mark.process, pytest.mark.client, needs("qemu-img")]


def names(program: Program) -> list[str]:
    return [row["name"] for row in json.loads(typed(program, "list", "--json"))]


def raw_image(folder: Path) -> Path:
    """10 MiB and a bit, most of it holes."""
    path = folder / "image.raw"
    with path.open("wb") as file:
        for offset in (0, 3 * MIB + 512, 10 * MIB):
            file.seek(offset)
            file.write(random.Random(offset).randbytes(100 * 512))
    return path


def same(one: Path | str, other: Path | str, *options: str) -> None:
    run("qemu-img", "compare", *options, str(one), str(other))


@pytest.mark.parametrize("format_", ["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc"])
def test_images_of_each_format_become_volumes(program: Program, tmp_path: Path, format_: str) -> None:
    raw = raw_image(tmp_path)
    image = tmp_path / f"image, of: {format_}"
    run("qemu-img", "convert", "-f", "raw", "-O", format_, str(raw), str(image))
    size = json.loads(run("qemu-img", "info", "--output=json", "-f", format_, f"file:{image}"))["virtual-size"]
    said = typed(program, "import", str(image), "web", "--rewind", "0")
    assert f"({format_})" in said
    assert "%" not in said
    assert names(program) == ["web"]
    row = json.loads(typed(program, "show", "web", "--json"))
    assert row["size"] == -(-size // PAGE) * PAGE
    assert row["stored_bytes"] < 2 * MIB  # what was a hole is none of it
    assert row["window_us"] == 0
    with Disk(program.folder, "web") as disk, raw.open("rb") as file:
        for offset in (0, 3 * MIB, 5 * MIB, 10 * MIB):
            file.seek(offset)
            assert disk.read(offset, 2 * PAGE) == file.read(2 * PAGE)
    typed(program, "delete", "web", "--now")


def test_there_and_back(program: Program, tmp_path: Path) -> None:
    raw = raw_image(tmp_path)
    image = tmp_path / "image.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    typed(program, "import", str(image), "web", "--size", "12M")
    for format_ in ("raw", "qcow2"):
        back = tmp_path / f"back.{format_}"
        typed(program, "export", "web", str(back), "--format", format_)
        same(raw, back, "-f", "raw", "-F", format_)
        assert stat.S_IMODE(back.stat().st_mode) == 0o600
        assert back.stat().st_blocks * 512 < 4 * MIB
        info = json.loads(run("qemu-img", "info", "--output=json", "-f", format_, str(back)))
        assert info["virtual-size"] == 12 * MIB
    assert json.loads(typed(program, "snapshots", "web", "--json")) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.qcow2", "back.raw", "image.qcow2", "image.raw"]
    typed(program, "delete", "web", "--now")


def test_a_fixed_vhd_is_one_where_that_is_said(program: Program, tmp_path: Path) -> None:
    raw = raw_image(tmp_path)
    image = tmp_path / "image.vhd"
    options = "subformat=fixed,force_size=on"
    run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, str(raw), str(image))
    for format_, size in (("vpc", raw.stat().st_size), ("auto", image.stat().st_size)):
        typed(program, "import", str(image), "web", "--format", format_)
        assert json.loads(typed(program, "show", "web", "--json"))["size"] == -(-size // PAGE) * PAGE
        typed(program, "delete", "web", "--now")


def test_a_volume_in_use_and_a_snapshot_of_it(program: Program, tmp_path: Path) -> None:
    typed(program, "create", "web", "--size", "1M")
    image = tmp_path / "image"
    with Disk(program.folder, "web") as disk:
        disk.write(0, b"a" * PAGE)
        typed(program, "snapshot", "web", "kept")
        disk.write(0, b"b" * PAGE)
        typed(program, "export", "web@kept", str(image))
        assert image.read_bytes() == b"a" * PAGE + bytes(MIB - PAGE)
        assert "--force" in refused(program, "export", "web", str(image))
        assert image.read_bytes()[:PAGE] == b"a" * PAGE
        typed(program, "export", "web", str(image), "--force")
        assert image.read_bytes() == b"b" * PAGE + bytes(MIB - PAGE)
        assert disk.read(0, PAGE) == b"b" * PAGE  # nobody has taken it
    assert [row["name"] for row in json.loads(typed(program, "snapshots", "web", "--json"))] == ["kept"]
    other = str(tmp_path / "other")
    assert "there is no snapshot x" in refused(program, "export", "web@x", other)
    assert "there is no volume x" in refused(program, "export", "x", other)
    assert "cannot be written" in refused(program, "export", "web", str(tmp_path / "none" / "file"))
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    typed(program, "delete", "web", "--now")


def test_images_that_would_have_us_read_other_files(program: Program, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * MIB)
    backed, outside, text, locked = (str(tmp_path / name) for name in ("backed", "outside", "text", "locked"))
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", backed)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", outside, "1M")
    # LUKS measures the processor first, which not every kernel lets it.
    key = ("--object", "secret,id=s,data=abc", "-o", "encrypt.format=aes,encrypt.key-secret=s")
    run("qemu-img", "create", "-q", "-f", "qcow2", *key, locked, "1M")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", text, "1M")
    parent, child = str(tmp_path / "parent"), str(tmp_path / "child")
    run("qemu-img", "create", "-q", "-f", "vmdk", parent, "1M")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", child)
    for image, why in (
        (backed, "backing file"),
        (outside, "in another file"),
        (text, "in other files"),
        (locked, "encrypted"),
        (child, "backing file"),
    ):
        assert why in refused(program, "import", image, "web")
        assert names(program) == []
    typed(program, "import", backed, "web", "--format", "raw")  # its bytes, whatever they mean
    typed(program, "delete", "web", "--now")


def test_names_of_files_are_only_names(program: Program, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * MIB)
    for name in ("json:{}", "nbd:localhost", "file:x", "a,file.filename=secret"):
        (tmp_path / name).write_bytes(b"a" * MIB)
        command = [sys.executable, "-m", "drystone", "--data", str(program.folder), "volume"]
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        for arguments in (["import", name, "web"], ["export", "web", name, "--force"]):
            done = subprocess.run([*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert (tmp_path / name).read_bytes() == b"a" * MIB
        typed(program, "delete", "web", "--now")


def test_what_is_refused_leaves_nothing(program: Program, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"a" * (MIB + 1))
    typed(program, "create", "there", "--size", "1M")
    assert "there is a volume there already" in refused(program, "import", str(image), "there")
    assert "needs as many" in refused(program, "import", str(image), "web", "--size", "1M")
    assert "multiple of 4096" in refused(program, "import", str(image), "web", "--size", "3000000")
    assert "letters, digits" in refused(program, "import", str(image), "a/b")
    assert "erasure code" in refused(program, "import", str(image), "web", "--policy", "archive")
    assert "not qcow2" in refused(program, "import", str(image), "web", "--format", "qcow2")
    assert "not vdi" in refused(program, "import", str(image), "web", "--format", "vdi")
    (tmp_path / "empty").touch()
    assert "is empty" in refused(program, "import", str(tmp_path / "empty"), "web")
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused(program, "import", str(tmp_path / "pipe"), "web")
    (tmp_path / "cut").write_bytes(b"QFI\xfb")
    assert "cut off" in refused(program, "import", str(tmp_path / "cut"), "web")
    assert names(program) == ["there"]
    typed(program, "import", str(image), "n" * 128)
    typed(program, "delete", "n" * 128, "--now")
    typed(program, "delete", "there", "--now")


def test_without_qemu_img(program: Program, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(PAGE))
    command = [sys.executable, "-m", "drystone", "--data", str(program.folder), "volume", "import"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([*command, str(tmp_path / "image"), "web"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "apt-get install qemu-utils" in done.stderr
    assert names(program) == []


def _hear_interrupts() -> None:
    """Also where whoever runs the tests ignores them, as `nohup` in a script does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Slow:
    """A `qemu-img` that warns of something when it looks, and when it is to copy says that it is there, and waits: for
    one that is to be ended in the midst of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._began = folder / "began"
        os.mkfifo(self._began)
        real = run("sh", "-c", "command -v qemu-img").strip()
        script = self.folder / "qemu-img"
        script.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = convert ] || {{ echo qemu-img: warning: odd >&2; exec {real} "$@"; }}\n'
            f"echo $$ $(ulimit -f) $(ulimit -c) >{self._began}\n"
            "exec sleep 1000\n"
        )
        script.chmod(0o755)

    def start(self, program: Program, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "drystone", "--data", str(program.folder), "volume", *arguments]
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_interrupts,
        )

    def child(self) -> tuple[int, str]:
        """Its process, once it copies, and how large files and core dumps may be that it writes."""
        pid, _, limits = self._began.read_text().strip().partition(" ")
        return int(pid), limits


def test_progress_is_for_terminals(program: Program, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"a" * MIB)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "drystone", "--data", str(program.folder), "volume", "import"]
    done = subprocess.run([*command, str(tmp_path / "image"), "web"], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    assert done.returncode == 0
    assert b"%" not in done.stdout
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert b"Importing web" in shown
    assert b"100%" in shown
    typed(program, "delete", "web", "--now")


def test_a_failure_of_qemu_img_is_told_and_leaves_nothing(program: Program, tmp_path: Path) -> None:
    typed(program, "create", "web", "--size", "64M")
    with Disk(program.folder, "web") as disk:
        disk.write(0, b"a" * 64 * PAGE)
    command = [sys.executable, "-m", "drystone", "--data", str(program.folder), "volume", "export", "web"]
    small = ["prlimit", f"--fsize={16 * PAGE}", *command, str(tmp_path / "out")]  # as on a disk that is full
    done = subprocess.run(small, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not copied: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert json.loads(typed(program, "snapshots", "web", "--json")) == []
    typed(program, "delete", "web", "--now")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_is_ended_leaves_nothing(program: Program, tmp_path: Path, number: signal.Signals) -> None:
    slow = Slow(tmp_path)
    (tmp_path / "image").write_bytes(bytes(MIB))
    process = slow.start(program, "import", str(tmp_path / "image"), "web")
    child, limits = slow.child()
    assert limits == "0 0"
    assert [name.rpartition("-")[0] for name in names(program)] == ["web-importing"]
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode
    assert "Traceback" not in said
    assert names(program) == []
    assert json.loads(typed(program, "trash", "--json")) == []
    assert gone(child)

    typed(program, "create", "web", "--size", "1M")
    process = slow.start(program, "export", "web", str(tmp_path / "out"))
    child, limits = slow.child()
    assert limits == "unlimited 0"
    assert len(json.loads(typed(program, "snapshots", "web", "--json"))) == 1
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode
    assert "Traceback" not in said
    assert json.loads(typed(program, "snapshots", "web", "--json")) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["began", "bin", "image"]
    assert gone(child)
    typed(program, "delete", "web", "--now")


def test_one_that_is_killed_leaves_the_volume_that_it_was_filling(program: Program, tmp_path: Path) -> None:
    slow = Slow(tmp_path)
    (tmp_path / "image").write_bytes(bytes(MIB))
    process = slow.start(program, "import", str(tmp_path / "image"), "web")
    child = os.pidfd_open(slow.child()[0])
    process.kill()
    process.communicate(timeout=60)
    (left,) = names(program)
    assert left.startswith("web-importing-")
    ended, _, _ = select.select([child], [], [], 60)
    assert ended  # nobody fills it any more
    os.close(child)
    typed(program, "delete", left, "--now")
    typed(program, "import", str(tmp_path / "image"), "web")
    typed(program, "delete", "web", "--now")
