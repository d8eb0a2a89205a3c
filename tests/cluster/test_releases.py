"""Two releases side by side, the second of the last tag, or of what is here where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cluster import clock, porcupine, releases
from tests.cluster.machines import why_not


@pytest.mark.process
@pytest.mark.timeout(1200)
def test_nodes_are_upgraded_one_by_one_and_one_is_rolled_back(tmp_path: Path) -> None:
    reason = why_not() or clock.why_not() or (None if shutil.which("etcd") else "not installed: etcd")
    if reason:
        pytest.skip(reason)
    built = porcupine.build(tmp_path)
    if isinstance(built, str):
        pytest.skip(built)
    assert releases.run(releases.last_tag(), "etcd", 1, tmp_path)
