"""Volumes of the real program: as typed, by stock clients, and by one that knows what was answered."""

from __future__ import annotations

import json
import random
import shutil
import signal
import stat
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.nbd.test_stock_clients import fio_without_nbd, needs
from tests.process.disk import Disk, RefusedError
from tests.process.program import Program, running

MIB = 1 << 20
PAGE = 4096
WRITERS = 4
PAGES = 64
"""Of each writer."""

pytestmark = pytest.mark.process


def typed(program: Program, *arguments: str) -> str:
    done = program.command("volume", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(program: Program, *arguments: str) -> str:
    done = program.command("volume", *arguments)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_made_used_grown_and_deleted(program: Program) -> None:
    assert "There are no volumes" in typed(program, "list")
    assert typed(program, "create", "web", "--size", "64M").startswith("Volume web has 64 MiB.")
    socket = program.folder / "nbd.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert typed(program, "uri", "web") == f"nbd+unix:///web?socket={socket}\n"
    row = json.loads(typed(program, "show", "web", "--json"))
    assert (row["size"], row["policy"], row["epoch"], row["connections"]) == (64 * MIB, "standard", 0, None)
    with Disk(program.folder, "web") as disk, Disk(program.folder, "web") as other:
        assert disk.size == 64 * MIB
        disk.write(MIB, b"a" * PAGE)
        assert other.read(MIB, PAGE) == b"a" * PAGE
        assert "here, 2 connections" in typed(program, "list")
        typed(program, "resize", "web", "65M")
        disk.write(64 * MIB, b"b" * PAGE)
        with Disk(program.folder, "web") as again:
            assert again.size == 65 * MIB
            assert again.read(64 * MIB, PAGE) == b"b" * PAGE
        assert "is in use: 2 connections here" in refused(program, "delete", "web")
        assert json.loads(typed(program, "list", "--json"))[0]["epoch"] == 1  # it was opened once
        typed(program, "delete", "web", "--force")
        with pytest.raises(EOFError):
            disk.read(0, PAGE)
    with pytest.raises(RefusedError, match="there is no volume web"):
        Disk(program.folder, "web")
    assert json.loads(typed(program, "list", "--json")) == []
    typed(program, "create", "web", "--size", "1M")
    with Disk(program.folder, "web") as disk:
        assert disk.read(0, MIB) == bytes(MIB)
    typed(program, "delete", "web")


def test_deleted_and_brought_back(program: Program) -> None:
    typed(program, "purge", "--all")  # of other tests
    assert "no volumes in the trash" in typed(program, "trash")
    for content in (b"a", b"b"):
        typed(program, "create", "web", "--size", "1M")
        with Disk(program.folder, "web") as disk:
            disk.write(0, content * PAGE)
            assert "is in use" in refused(program, "delete", "web")
        said = typed(program, "delete", "web", "--keep", "2h")
        assert "goes for good in 2h" in said
    assert json.loads(typed(program, "list", "--json")) == []
    second, first = json.loads(typed(program, "trash", "--json"))
    for row in (first, second):
        assert (row["name"], row["size"], row["goes_us"] - row["deleted_us"]) == ("web", MIB, 7_200_000_000)
        assert row["stored_bytes"] >= PAGE
        assert row["id"][:8] in typed(program, "trash")
        for name in (row["id"], f"trash/{row['id']}", "web"):
            with pytest.raises(RefusedError):
                Disk(program.folder, name)
    assert second["id"][:8] in said
    assert f"({second['id'][:8]}, {first['id'][:8]})" in refused(program, "restore", "web")
    typed(program, "create", "web", "--size", "1M")
    assert "under another name" in refused(program, "restore", first["id"])
    assert "letters, digits" in refused(program, "restore", first["id"], "--as", "a/b")
    assert "Volume old is back" in typed(program, "restore", first["id"][:8], "--as", "old")
    with Disk(program.folder, "old") as disk:
        assert disk.read(0, PAGE) == b"a" * PAGE
    assert typed(program, "purge", "web") == "Volume web is removed for good.\n"
    assert "no volume web in the trash" in refused(program, "purge", "web")
    assert "no volume ../volumes in the trash" in refused(program, "restore", "../volumes")
    typed(program, "delete", "web")
    typed(program, "delete", "old")
    assert typed(program, "purge", "--all") == "2 volumes removed for good.\n"
    typed(program, "create", "web", "--size", "1M")
    assert typed(program, "delete", "web", "--now") == "Volume web is deleted.\n"
    assert json.loads(typed(program, "trash", "--json")) == []
    for arguments in ((), ("web", "--all")):
        assert program.command("volume", "purge", *arguments).returncode == 2


def test_snapshots_and_clones(program: Program) -> None:
    typed(program, "create", "web", "--size", "8M")
    assert "has no snapshots" in typed(program, "snapshots", "web")
    with Disk(program.folder, "web") as disk:
        disk.write(MIB, b"a" * PAGE)
        typed(program, "snapshot", "web", "monday")
        disk.write(MIB, b"b" * PAGE)
        with Disk(program.folder, "web@monday") as kept:
            assert kept.read(MIB, PAGE) == b"a" * PAGE
            with pytest.raises(OSError, match="not permitted"):
                kept.write(MIB, b"c" * PAGE)
        assert disk.read(MIB, PAGE) == b"b" * PAGE
        assert typed(program, "uri", "web@monday").startswith("nbd+unix:///web@monday?socket=")
        assert "there is a snapshot monday already" in refused(program, "snapshot", "web", "monday")
        assert "there is no snapshot other" in refused(program, "uri", "web@other")
        with pytest.raises(RefusedError, match="there is no snapshot other"):
            Disk(program.folder, "web@other")

        typed(program, "clone", "web@monday", "copy", "--size", "16M")
        assert "no fewer" in refused(program, "clone", "web@monday", "other", "--size", "4M")
        assert "there is no snapshot other" in refused(program, "clone", "web@other", "other")
        row = json.loads(typed(program, "snapshots", "web", "--json"))[0]
        assert (row["name"], row["size"], row["clones"]) == ("monday", 8 * MIB, 1)
        typed(program, "rename", "web", "www")
        disk.write(2 * MIB, b"d" * PAGE)
    with Disk(program.folder, "copy") as copy:
        assert (copy.size, copy.read(MIB, PAGE)) == (16 * MIB, b"a" * PAGE)
        typed(program, "flatten", "copy")
        assert copy.read(MIB, PAGE) == b"a" * PAGE
    assert json.loads(typed(program, "snapshots", "www", "--json"))[0]["clones"] == 0
    typed(program, "clone", "www@monday", "second")
    typed(program, "delete-snapshot", "www", "monday")
    assert "there is no snapshot monday" in refused(program, "delete-snapshot", "www", "monday")
    typed(program, "delete", "www")
    with Disk(program.folder, "second") as second:
        assert second.read(MIB, PAGE) == b"a" * PAGE
    assert [row["name"] for row in json.loads(typed(program, "list", "--json"))] == ["copy", "second"]
    typed(program, "delete", "copy")
    typed(program, "delete", "second")


def test_taken_back(program: Program) -> None:
    typed(program, "create", "web", "--size", "8M", "--rewind", "1h")
    with Disk(program.folder, "web") as disk:
        disk.write(0, b"a" * PAGE)
        then = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
        disk.write(0, b"b" * PAGE)
        typed(program, "snapshot", "web", "then", "--at", then)
        with Disk(program.folder, "web@then") as kept:
            assert kept.read(0, PAGE) == b"a" * PAGE
        assert "in use" in refused(program, "rewind", "web", "--at", then)
    said = typed(program, "rewind", "web", "--at", then)
    with Disk(program.folder, "web") as disk:
        assert disk.read(0, PAGE) == b"a" * PAGE
    names = [row["name"] for row in json.loads(typed(program, "list", "--json"))]
    assert len(names) == 2
    assert names[0] == "web"
    assert names[1] in said
    with Disk(program.folder, names[1]) as disk:
        assert disk.read(0, PAGE) == b"b" * PAGE
    typed(program, "delete", names[1])
    with Disk(program.folder, "web") as disk:
        assert disk.read(0, PAGE) == b"a" * PAGE
    typed(program, "delete", "web")
    typed(program, "create", "web", "--size", "8M", "--rewind", "0")
    assert "without a window" in refused(program, "rewind", "web", "--at", "1s ago")
    assert "is no time" in refused(program, "rewind", "web", "--at", "yesterday")
    assert "is no duration" in refused(program, "create", "other", "--size", "8M", "--rewind", "soon")
    typed(program, "delete", "web")


def test_errors_as_typed(program: Program, tmp_path: Path) -> None:
    assert "is no size" in refused(program, "create", "v", "--size", "10X")
    assert "is no size" in refused(program, "create", "v", "--size", "-1")
    assert "multiple of 4096" in refused(program, "create", "v", "--size", "1000")
    assert "64 TiB" in refused(program, "create", "v", "--size", "65T")
    assert "letters, digits" in refused(program, "create", "a/b", "--size", "1M")
    assert "erasure code" in refused(program, "create", "v", "--size", "1M", "--policy", "archive")
    assert "there are: standard, archive" in refused(program, "create", "v", "--size", "1M", "--policy", "none")
    for command in (("show", "v"), ("uri", "v"), ("resize", "v", "1M"), ("delete", "v")):
        assert "there is no volume v" in refused(program, *command)
    assert json.loads(typed(program, "list", "--json")) == []
    typed(program, "create", "v", "--size", "2M")
    assert "there is a volume v already" in refused(program, "create", "v", "--size", "1M")
    assert "cannot shrink" not in typed(program, "resize", "v", "2M")
    assert "not shrink" in refused(program, "resize", "v", "1M")
    typed(program, "delete", "v")
    for name in ("", "none", "a/b", "é", ".."):
        with pytest.raises(RefusedError):
            Disk(program.folder, name)
    away = Program(tmp_path / "data").command("volume", "list")
    assert away.returncode == 1
    assert "drystone up" in away.stderr


@pytest.mark.client
@needs("nbdcopy")
@needs("qemu-io")
def test_stock_clients(program: Program, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(random.Random(1).randbytes(24 * MIB))
    typed(program, "create", "image", "--size", "24M")
    uri = typed(program, "uri", "image").strip()
    run("nbdcopy", "--flush", "--connections=4", str(image), uri)
    run("nbdcopy", uri, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == image.read_bytes()
    run("qemu-io", "-f", "raw", "-c", "write -f -P 17 511 1026", "-c", "read -P 17 511 1026", uri)
    typed(program, "delete", "image")


@pytest.mark.client
@pytest.mark.skipif(fio_without_nbd(), reason="there is no fio with its nbd engine")
def test_fio_verifies_what_it_wrote(program: Program, tmp_path: Path) -> None:
    typed(program, "create", "fio", "--size", "32M")
    uri = typed(program, "uri", "fio").strip()
    options = ("--bsrange=512-64k", "--blockalign=512", "--size=32M", "--io_size=48M", "--fsync=64", "--randseed=1")
    fio = ("fio", "--name=verify", "--ioengine=nbd", f"--uri={uri}", "--iodepth=16", f"--aux-path={tmp_path}")
    run(*fio, *options, "--rw=randwrite", "--verify=crc32c", "--verify_fatal=1")
    typed(program, "delete", "fio")


class Writer(threading.Thread):
    """Writes pages of its own part, each with the number of the write, until the server is gone."""

    def __init__(self, folder: Path, number: int, begin: int) -> None:
        super().__init__()
        self._folder = folder
        self._number = number
        self._random = random.Random(number + begin)
        self._count = begin
        self.answered: dict[int, bytes] = {}
        """What each page has for certain."""
        self.maybe: tuple[int, bytes] | None = None
        """The write that was not answered."""
        self.some = threading.Event()
        """A few were answered in this life."""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._write_all()
        except Exception as error:
            self.error = error
        finally:
            self.some.set()

    def _write_all(self) -> None:
        with Disk(self._folder, "v") as disk:
            for number in range(self._count, self._count + (1 << 40)):
                page = self._number * PAGES + self._random.randrange(PAGES)
                data = f"{self._number} {number} ".encode().ljust(16) * (PAGE // 16)
                self.maybe = page, data
                try:
                    disk.write(page * PAGE, data, durable=number % 16 == 0)
                except EOFError:
                    return
                self.answered[page] = data
                self.maybe = None
                if number == self._count + 20:
                    self.some.set()


def check(program: Program, known: dict[int, bytes], writers: list[Writer]) -> None:
    """What was answered is there; what was not may be."""
    with Disk(program.folder, "v") as disk:
        for writer in writers:
            assert writer.error is None
            known.update(writer.answered)
            if writer.maybe is not None:
                page, data = writer.maybe
                found = disk.read(page * PAGE, PAGE)
                assert found in (data, known.get(page, bytes(PAGE)))
                known[page] = found
        for page, data in known.items():
            assert disk.read(page * PAGE, PAGE) == data, page


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_answered_outlives_the_program(tmp_path: Path, number: signal.Signals) -> None:
    known: dict[int, bytes] = {}
    program = Program(tmp_path / "data", "--devices", "4", "--replicas", "3")
    program.start()
    typed(program, "create", "v", "--size", "4M")
    for life in range(4):
        writers = [Writer(program.folder, each, life * 1_000_000) for each in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.some.wait()
        code = program.stop(number)
        for writer in writers:
            writer.join()
        assert code == (0 if number == signal.SIGTERM else -number), program.log()
        assert min(len(writer.answered) for writer in writers) > 0
        program.start()
        check(program, known, writers)
    assert program.stop() == 0
    assert "a volume was not closed in good order" not in program.log()
    checked = program.command("device", "check")
    assert checked.returncode == 0, checked.stdout


def test_a_stop_with_a_client_that_only_holds_on(tmp_path: Path) -> None:
    """It asks for nothing, and does not go away."""
    with running(tmp_path / "data", "--devices", "3") as program:
        typed(program, "create", "v", "--size", "1M")
        with Disk(program.folder, "v") as disk:
            disk.write(0, b"a" * PAGE)
            assert program.stop() == 0
            with pytest.raises(EOFError):
                disk.read(0, PAGE)
        program.start()
        with Disk(program.folder, "v") as disk:
            assert disk.read(0, PAGE) == b"a" * PAGE


def test_a_data_folder_that_lies_deep(tmp_path: Path) -> None:
    """Its sockets have longer paths than the kernel takes: it is served, and a link to it has a shorter one."""
    folder = tmp_path / ("d" * 100) / "data"
    folder.parent.mkdir()
    with running(folder, "--devices", "3") as program:
        typed(program, "create", "v", "--size", "1M")
        assert "symbolic link" in program.command("volume", "uri", "v").stderr
        (tmp_path / "link").symlink_to(folder)
        with Disk(tmp_path / "link", "v") as disk:
            disk.write(0, b"a" * PAGE)
    shutil.rmtree(folder)


def test_several_processes_stop_with_a_client(tmp_path: Path) -> None:
    """The one that serves volumes needs the devices of the others until these are closed."""
    with running(tmp_path / "data", "--devices", "4", "--processes", "2") as program:
        typed(program, "create", "v", "--size", "1M")
        assert not (program.folder / "processes" / "2" / "nbd.sock").exists()
        with Disk(program.folder, "v") as disk:
            disk.write(0, b"a" * PAGE)
            assert program.stop() == 0
            with pytest.raises(EOFError):
                disk.read(0, PAGE)
        assert "a volume is closed" in program.log()
        assert "a volume was not closed in good order" not in program.log()
        program.start()
        with Disk(program.folder, "v") as disk:
            assert disk.read(0, PAGE) == b"a" * PAGE
