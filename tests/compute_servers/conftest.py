"""A cloud with one host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.compute_servers.cloud import Cloud


@pytest.fixture
async def cloud(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> AsyncIterator[Cloud]:
    """A test that lets time pass asks for `autojump_clock`, too."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud(tmp_path)
        await nursery.start(cloud.run)
        await cloud.flavors()
        await cloud.host()
        yield cloud
        nursery.cancel_scope.cancel()
