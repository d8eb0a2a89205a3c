"""Flavors: how large servers are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A size that servers can have."""

    id: str
    """As clients say it: any text."""
    name: str
    vcpus: int
    ram: int
    """MiB."""
    disk: int
    """GiB of the root disk; 0: as large as the image."""
    ephemeral: int = 0
    """GiB of a disk besides, which is empty."""
    swap: int = 0
    """MiB."""
    rxtx_factor: float = 1.0
    public: bool = True
    disabled: bool = False
    description: str | None = None
    projects: tuple[str, ...] = ()
    """Those that may use one that is not public."""
    extra_specs: dict[str, str] = field(default_factory=dict)
    created_us: int = 0


FLAVOR_CODEC: Final = record_codec("flavor", Flavor)
