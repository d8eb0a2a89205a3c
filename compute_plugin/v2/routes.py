"""What answers which path, below `/v2.1`."""

from __future__ import annotations

from compute_plugin.v2.frame.call import Call
from gateway.rest.app import Routes


def routes() -> Routes[Call]:
    """Of all resources."""
    return {}
