"""Machines for the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import clock, porcupine
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


@pytest.fixture(scope="session")
def judge_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = porcupine.build(tmp_path_factory.mktemp("judge"))
    if isinstance(built, str):
        pytest.skip(built)
    return built
