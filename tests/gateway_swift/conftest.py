from __future__ import annotations

import pytest

from tests.gateway_swift.client import Client


@pytest.fixture
def client() -> Client:
    return Client()
