"""A minute of the soak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import soak


@pytest.mark.process
@pytest.mark.timeout(400)
def test_a_minute_of_everything(tmp_path: Path) -> None:
    assert soak(tmp_path / "data", minutes=1.0, workers=6, seed=7, quiet=True) == []
