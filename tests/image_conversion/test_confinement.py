"""What a child that reads what a stranger made can not do."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from image_registry.conversion.child import run
from image_registry.conversion.confinement import LOOK, Limits, confined, without_network
from store.core.errors import RetryableError


async def said(command: str, limits: Limits = LOOK, folder: str = "/") -> tuple[int, str]:
    done = await run(["sh", "-c", command], limits, folder=folder)
    return done.code, (done.said + done.errors).decode()


async def test_it_writes_no_file(tmp_path: Path) -> None:
    code, told = await said("echo x >file || echo no; ulimit -f -c -v -t", Limits(cpu_seconds=7), str(tmp_path))
    assert not (tmp_path / "file").read_bytes()
    code, told = await said("ulimit -f; ulimit -c; ulimit -t; ulimit -v", Limits(1 << 29, 7, 1024))
    assert (code, told.split()) == (0, ["2", "0", "7", str((1 << 29) // 1024)])


async def test_it_may_gain_no_rights() -> None:
    _, told = await said("grep NoNewPrivs /proc/self/status")
    assert told.split() == ["NoNewPrivs:", "1"]


@pytest.mark.skipif(not without_network(), reason="namespaces are not allowed here")
async def test_it_has_no_network() -> None:
    _, told = await said("cat /proc/net/dev")
    assert [line.split(":")[0].strip() for line in told.splitlines()[2:]] in ([], ["lo"])


def test_where_namespaces_are_not_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_network.cache_clear()
    try:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert without_network() == ()
    finally:
        without_network.cache_clear()
    assert confined(["x"], LOOK)[0] == "setpriv"


async def test_what_it_says_is_heard_and_its_end_is_known() -> None:
    heard: list[bytes] = []
    done = await run(["sh", "-c", "echo a; echo b >&2; exit 3"], LOOK, folder="/", heard=heard.append)
    assert done == (3, b"a\n", b"b\n")
    assert heard == [b"a\n"]
    assert (await run(["sh", "-c", "kill -9 $$"], LOOK, folder="/")).code == -signal.SIGKILL


async def test_it_is_gone_when_the_call_is_cancelled() -> None:
    pids: list[int] = []
    with trio.CancelScope() as scope:

        def heard(data: bytes) -> None:
            pids.append(int(data))
            scope.cancel()

        await run(["sh", "-c", "echo $$; exec sleep 1000"], LOOK, folder="/", heard=heard)
    assert scope.cancelled_caught
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_its_time_ends(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(RetryableError, match="longer than 5 seconds"):
        await run(["sleep", "1000"], Limits(seconds=5), folder="/")


async def test_what_cannot_be_started() -> None:
    with pytest.raises(RetryableError, match="cannot be started"):
        await run(["true"], LOOK, folder="/nowhere")


_PARENT = """
import trio
from image_registry.conversion.child import run
from image_registry.conversion.confinement import LOOK
command = ["sh", "-c", "echo $$; exec sleep 1000"]
trio.run(lambda: run(command, LOOK, folder="/", heard=lambda said: print(said.decode(), end="", flush=True)))
"""


def test_it_dies_with_who_started_it() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    try:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.communicate()
    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    assert ended
