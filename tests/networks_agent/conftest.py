from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from compute_plugin.networks.agent.requirements import TOOLS
from tests.cluster.machines import why_not
from tests.networks_agent.cloud import Cloud, cloud


@pytest.fixture(name="cloud")
async def _cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    async with cloud(tmp_path) as made:
        yield made
