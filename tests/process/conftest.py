"""One running program shared by tests that only need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import Program, running


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Four devices, three replicas, and a policy of 2+1."""
    folder: Path = tmp_path_factory.mktemp("program") / "data"
    with running(folder, "--devices", "4", "--policy", "standard=3", "--policy", "archive=2+1") as started:
        yield started
