"""Which flavors callers see."""

from __future__ import annotations

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call


async def find_flavor(call: Call, records: Records, id_: str) -> Flavor:
    """Raises NotFoundError, also for one that the caller's project may not use."""
    found = records.flavors.require(id_)
    if await call.is_admin() or usable(found, await call.project()):
        return found
    raise records.flavors.missing(id_)


def usable(flavor: Flavor, project: str) -> bool:
    """By a project."""
    return flavor.public or project in flavor.projects
