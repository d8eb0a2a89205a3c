"""A child that does not do as etcd does: programs of that name, made up."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError
from store.registry.etcd import Tls, supervisor
from store.registry.etcd.member import Member
from store.registry.etcd.supervisor import Supervisor, running


@pytest.fixture
def member(tmp_path: Path) -> Member:
    url = "http://127.0.0.1:2379"
    return Member("a", str(tmp_path / "data"), url, url, {"a": url}, "test")


def make_program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "bin" / "etcd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_certificates_are_asked_of_clients_and_of_members(member: Member) -> None:
    command = replace(member, tls=Tls("/ca", "/certificate", "/key")).command()
    for peer in ("", "peer-"):
        assert f"--{peer}client-cert-auth" in command
        for option, file in (("trusted-ca-file", "/ca"), ("cert-file", "/certificate"), ("key-file", "/key")):
            assert command[command.index(f"--{peer}{option}") + 1] == file
    assert "--force-new-cluster" not in command


async def test_one_that_dies_at_once_is_started_less_and_less_often(
    member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_program(tmp_path, monkeypatch, "exit 3\n")
    supervised = Supervisor(member)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio, "sleep", pause)
    with trio.CancelScope() as scope:
        await supervised.run()
    assert supervised.starts == 8
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_one_that_does_not_end_when_asked_is_killed(
    member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    make_program(tmp_path, monkeypatch, "trap '' TERM; : >$0.ready; exec sleep 1000\n")
    async with running(member) as process:
        while not (tmp_path / "bin" / "etcd.ready").exists():
            await trio.to_thread.run_sync(time.sleep, 0.01)
    assert process.returncode == -signal.SIGKILL


async def test_without_the_program(member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="etcd-server"):
        async with running(member):
            pass


async def test_a_long_log_is_put_aside(member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_program(tmp_path, monkeypatch, "echo said; : >$0.ready; exec sleep 1000\n")
    monkeypatch.setattr(supervisor, "LOG_BYTES_MAX", 8)
    log = Path(member.log_path())
    for before, kept in (("short\n", None), ("a long one\n", "a long one\n")):
        log.write_text(before)
        ready = tmp_path / "bin" / "etcd.ready"
        ready.unlink(missing_ok=True)
        async with running(member):
            while not ready.exists():
                await trio.to_thread.run_sync(time.sleep, 0.01)
        aside = Path(f"{log}.1")
        assert (aside.read_text() if aside.exists() else None) == kept
        assert log.read_text() == ("" if kept else before) + "said\n"


async def test_where_there_can_be_no_data(member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_program(tmp_path, monkeypatch, "exit 3\n")
    Path(member.data).write_text("no folder")
    with pytest.raises(DeviceError, match="data"):
        async with running(member):
            pass
