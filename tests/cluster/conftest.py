"""Machines for the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import clock
from tests.cluster.machines import Site, why_not


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reason = clock.why_not()
    if reason:
        pytest.skip(reason)
    return clock.build(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Site(tmp_path) as made:
        yield made
