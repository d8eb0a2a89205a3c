"""The compute API over a registry in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.compute_api.cloud import Cloud


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with trio.open_nursery() as nursery:
        cloud = Cloud()
        await nursery.start(cloud.service.run)
        yield cloud
        nursery.cancel_scope.cancel()
