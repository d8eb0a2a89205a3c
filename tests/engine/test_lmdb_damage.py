"""Damage in LMDB's own file: never wrong rows. LMDB has no checksums, so what it does with a damaged page is not in our
hands: it may raise, and on some pages it aborts the process, which is loud, and no wrong answer."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytestmark = pytest.mark.process
PAGE = 4096


def _child(folder: Path, what: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.engine.lmdb_child", str(folder), what], capture_output=True, check=False
    ).returncode


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    (folder / "index").mkdir()
    assert _child(folder, "make") == 0
    return folder


@pytest.mark.parametrize("seed", range(6))
def test_no_wrong_row_is_shown(device: Path, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    folder = tmp_path / "copy"
    shutil.copytree(device, folder)
    path = folder / "index" / "data.mdb"
    data = bytearray(path.read_bytes())
    if seed % 2:
        page = random.randrange(2, len(data) // PAGE) * PAGE
        data[page : page + PAGE] = random.randbytes(PAGE)
    else:
        for _ in range(20):
            data[random.randrange(2 * PAGE, len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)
    assert _child(folder, "read") in (0, 3, -signal.SIGABRT)
