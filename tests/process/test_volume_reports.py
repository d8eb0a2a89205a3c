"""`drystone volume check` and `stats` of the real program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.process.disk import Disk
from tests.process.program import Client, Program, running
from tests.process.test_volumes import MIB, PAGE, refused, typed

pytestmark = pytest.mark.process


def test_checked_while_it_is_used_and_when_it_is_not(program: Program) -> None:
    typed(program, "create", "web", "--size", "64M")
    assert "nothing is wrong" in typed(program, "check", "web")
    with Disk(program.folder, "web") as disk:
        for at in range(20):
            disk.write(at * MIB, bytes([at + 1]) * MIB)
        disk.flush()
        typed(program, "snapshot", "web", "monday")
        disk.write(0, b"b" * MIB)
        said = typed(program, "check", "web", "--read")
        assert "nothing is wrong" in said
        assert "; 20 MiB were read and verified." in typed(program, "check", "web@monday", "--read")
        assert json.loads(typed(program, "list", "--json"))[0]["epoch"] == 1  # it was not opened for that
    assert "there is no volume other" in refused(program, "check", "other")
    assert "there is no snapshot other of volume web" in refused(program, "check", "web@other")
    typed(program, "delete", "web")


def test_data_that_are_damaged_everywhere_are_named(tmp_path: Path) -> None:
    mark = b"here it is damaged, and everywhere"
    with running(tmp_path / "data", "--devices", "3", "--replicas", "3") as program:
        typed(program, "create", "web", "--size", "8M")
        with Disk(program.folder, "web") as disk:
            disk.write(0, b"a" * MIB)
            disk.write(MIB, mark.ljust(PAGE))
            disk.flush()
        program.stop()
        damaged = 0
        for path in program.folder.rglob("*"):
            if path.is_file() and mark in (content := path.read_bytes()):
                path.write_bytes(content.replace(mark, b"H" + mark[1:]))
                damaged += 1
        assert damaged >= 3
        program.start()
        assert "nothing is wrong" in typed(program, "check", "web")
        done = program.command("volume", "check", "web", "--read")
        assert done.returncode == 1
        assert "blocks 256 to 256 cannot be read" in done.stdout
        assert "Volume web: 1 problems." in done.stdout
        assert "Traceback" not in done.stderr


def test_what_it_has_done(program: Program) -> None:
    typed(program, "create", "web", "--size", "64M")
    typed(program, "create", "idle", "--size", "1M")
    with Disk(program.folder, "web") as disk:
        for _ in range(5):
            disk.write(0, b"a" * PAGE)
        disk.flush()
        disk.read(0, 3 * PAGE)
        stats = json.loads(typed(program, "stats", "web", "--json"))["stats"]
        asked = stats["requests"]
        assert (asked["write"]["count"], asked["write"]["bytes"]) == (5, 5 * PAGE)
        assert (asked["read"]["count"], asked["read"]["bytes"]) == (1, 3 * PAGE)
        assert asked["flush"]["count"] == 1
        assert stats["write_amplification"] > 1
        shown = typed(program, "stats", "web")
        assert "1 connections" in shown
        assert "amplification" in shown
        lines = typed(program, "stats").splitlines()
        assert [line.split()[:2] for line in lines] == [["volume", "open"], ["idle", "no"], ["web", "here,"]]
        status = program.command("status").stdout
        assert "Volumes: 1 open here, 1 connections." in status
        client = Client(program)
        metrics = client.ask("GET", "/metrics").body.decode()
        client.close()
        values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        assert float(values['drystone_volume_bytes_total{kind="write"}']) >= 5 * PAGE
        assert float(values["drystone_nbd_connections"]) == 1
    assert "open nowhere" in typed(program, "stats", "idle")
    assert json.loads(typed(program, "stats", "idle", "--json"))["stats"] is None
    assert "there is no volume other" in refused(program, "stats", "other")
    typed(program, "delete", "web", "--force")
    typed(program, "delete", "idle")
