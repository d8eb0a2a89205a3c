"""Times as Neutron writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def shown_s(us: int) -> str:
    """Microseconds since the epoch, as whole seconds in UTC."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
