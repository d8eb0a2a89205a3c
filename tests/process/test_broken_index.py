"""A device's index with corrupt pages, some of which make LMDB abort: the program starts and serves, whatever they do,
and makes the index anew from the log."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from tests.process.program import running
from tests.process.test_faults import check_all, fill, status, until

pytestmark = pytest.mark.process
PAGE = 4096


def _spoil(path: Path, random: Random) -> None:
    """Overwrite most of the index's pages behind LMDB's own two."""
    data = bytearray(path.read_bytes())
    for page in range(2 * PAGE, len(data), PAGE):
        if random.random() < 0.7:
            data[page : page + PAGE] = random.randbytes(PAGE)
    path.write_bytes(data)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_start_with_a_broken_index(tmp_path: Path, seed: int) -> None:
    with running(tmp_path / "data", "--devices", "3") as program:
        fill(program)
        time.sleep(1.5)  # until the index is written
        program.kill()
        _spoil(tmp_path / "data/devices/1/index/data.mdb", Random(seed))
        program.start()
        check_all(program)
        assert "it is rebuilt from the log" in program.log()
        until(lambda: all(device["state"] == "ok" for device in status(program)["devices"]), "rejoined")
        assert program.stop() == 0
        assert not list((tmp_path / "data").glob("devices/*/in-use")), "closed in order"
        checked = program.command("device", "check")
        assert checked.returncode == 0, checked.stdout
        program.start()


def test_an_index_that_breaks_while_the_program_serves(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--devices", "3") as program:
        fill(program)
        program.stop()
        program.start()
        _spoil(tmp_path / "data/devices/1/index/data.mdb", Random(1))
        try:
            check_all(program)
        except (OSError, AssertionError):
            program.kill()  # LMDB has aborted the process, which is what a start is to cope with
            program.start()
            check_all(program)
        program.stop()
        program.start()
        check_all(program)
