"""Flavors as clients see them."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.v2.frame.call import Call, of

DESCRIPTION: Final = 55
"""From this microversion on flavors have one."""
EXTRA_SPECS: Final = 61
NUMBERS: Final = 75
"""From this microversion on no swap is 0; before, it is an empty text."""


def brief(call: Call, flavor: Flavor) -> dict[str, Any]:
    """As in a plain list."""
    shown: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": call.links(f"flavors/{flavor.id}")}
    return shown | {"description": flavor.description} if call.since(DESCRIPTION) else shown


def whole(call: Call, flavor: Flavor, *, specs: bool) -> dict[str, Any]:
    """All of it. `specs`: see `shows_specs`."""
    shown = brief(call, flavor) | {
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": flavor.swap or (0 if call.since(NUMBERS) else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.public,
        "rxtx_factor": flavor.rxtx_factor,
    }
    return shown | {"extra_specs": flavor.extra_specs} if specs else shown


async def shows_specs(call: Call) -> bool:
    """Whether extra specs are shown along with a flavor."""
    if not call.since(EXTRA_SPECS):
        return False
    project = (await call.credentials()).get("project_id")
    return await call.may("os_compute_api:os-flavor-extra-specs:index", of(str(project)))
