"""Availability zones: there is one."""

from __future__ import annotations

from collections.abc import Iterable

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.v2.frame.view import View


def require_zones(view: View, hints: Iterable[str]) -> None:
    """Raises MissingError where somebody asks for another one."""
    for hint in hints:
        if hint != view.settings.zone:
            raise MissingError("AvailabilityZoneNotFound", f"AvailabilityZone {hint} could not be found.")
