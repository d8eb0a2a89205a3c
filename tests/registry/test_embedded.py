"""What the embedded form promises beyond the contract: its file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from store.core.clock import SystemClock
from store.core.errors import ConflictError, DamageError, FullError
from store.registry import Put, Span, open_embedded
from store.registry.single_key import delete, put
from tests.registry.conftest import Opener

WRITER = """
import sys, trio
from store.core.clock import SystemClock
from store.registry import Put, open_embedded

async def main(path):
    with open_embedded(path, SystemClock()) as registry:
        number = int((await registry.get(b"last")).value) if await registry.get(b"last") else 0
        while True:
            number += 1
            value = b"%d" % number
            await registry.transact([], [Put(b"n/%08d" % number, value * 50), Put(b"last", value)])
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

trio.run(main, sys.argv[1])
"""


async def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged = 0
    for kill_after in (1, 7, 40):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as writer:
            assert writer.stdout is not None
            for _ in range(kill_after):
                acknowledged = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            # What it said between the last line read and the kill counts too; a line cut short does not.
            acknowledged = max([acknowledged, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        with open_embedded(str(tmp_path), SystemClock()) as registry:
            last = await registry.get(b"last")
            assert last is not None
            stored = int(last.value)
            # One more may be there whose acknowledgement nobody heard.
            assert stored in (acknowledged, acknowledged + 1)
            items = await registry.range(Span.prefix(b"n/"))
            assert [item.value for item in items] == [b"%d" % number * 50 for number in range(1, stored + 1)]
            assert await registry.revision() == stored + 1


async def test_state_and_revisions_survive_a_restart(embedded: Opener) -> None:
    with embedded() as registry:
        await put(registry, b"a", b"1")
        await put(registry, b"a", b"2")
        await put(registry, b"b", b"3")
        await delete(registry, b"b")
        before = await registry.range(Span.prefix(b""))
    with embedded() as registry:
        assert await registry.range(Span.prefix(b"")) == before
        assert await put(registry, b"c", b"4") == 6


async def test_one_owner(embedded: Opener) -> None:
    with embedded(), pytest.raises(ConflictError), embedded():
        pass
    with embedded():
        pass


async def test_a_newer_format_is_refused(embedded: Opener, tmp_path: Path) -> None:
    with embedded():
        pass
    with lmdb.open(str(tmp_path / "registry"), max_dbs=3) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"format", (2).to_bytes(8, "big"), db=environment.open_db(b"meta", transaction))
    with pytest.raises(DamageError), embedded():
        pass


async def test_a_full_file_refuses_writes_and_keeps_what_it_has(tmp_path: Path) -> None:
    with open_embedded(str(tmp_path), SystemClock(), map_bytes=1024 * 1024) as registry:
        await put(registry, b"small", b"1")
        revision = await registry.revision()
        with pytest.raises(FullError):
            await registry.transact([], [Put(b"a", b"x" * 600_000), Put(b"b", b"x" * 600_000)])
        assert await registry.revision() == revision
        assert [item.key for item in await registry.range(Span.prefix(b""))] == [b"small"]
        assert await put(registry, b"small", b"2") == revision + 1
