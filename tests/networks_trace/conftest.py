from __future__ import annotations

from tests.networks_agent.conftest import _cloud

__all__ = ["_cloud"]
