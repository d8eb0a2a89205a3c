"""The image registry over a registry, objects and volumes in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.image_registry.cloud import Cloud


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    """A test that waits for something asks for `autojump_clock`, too."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud()
        await nursery.start(cloud.service.run)
        yield cloud
        nursery.cancel_scope.cancel()
