"""Devices that answer at once, and late."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.answering import AT_ONCE, answer, answers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    answers(metafunc)


@pytest.fixture(autouse=True)
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """How devices answer."""
    way: str = getattr(request, "param", AT_ONCE)
    # Its own: a test may undo what it has patched in the middle.
    with pytest.MonkeyPatch.context() as patch:
        answer(patch, way)
        yield way
