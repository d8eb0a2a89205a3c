"""Which flavors a list has, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.v2.flavors.finding import usable
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import PAGING, Page, asked, know, paged
from store.core.errors import InvalidError

PATH: Final = "flavors"

SORTS: Final[Mapping[str, Callable[[Flavor], Any]]] = {
    "created_at": lambda one: one.created_us,
    "description": lambda one: one.description or "",
    "disabled": lambda one: one.disabled,
    "ephemeral_gb": lambda one: one.ephemeral,
    "flavorid": lambda one: one.id,
    "id": lambda one: one.created_us,
    "is_public": lambda one: one.public,
    "memory_mb": lambda one: one.ram,
    "name": lambda one: one.name,
    "root_gb": lambda one: one.disk,
    "rxtx_factor": lambda one: one.rxtx_factor,
    "swap": lambda one: one.swap,
    "updated_at": lambda _: 0,
    "vcpu_weight": lambda _: 0,
    "vcpus": lambda one: one.vcpus,
}

_YES: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_NO: Final = frozenset({"0", "f", "false", "off", "n", "no"})


async def listed(call: Call, path: str) -> Page[Flavor]:
    """What the query asks for. Raises InvalidError."""
    know(call, *PAGING, "is_public", "minRam", "minDisk", "sort_key", "sort_dir")
    sort = asked(call, "sort_key") or "flavorid"
    direction = asked(call, "sort_dir") or "asc"
    if sort not in SORTS or direction not in ("asc", "desc"):
        raise InvalidError(f"Invalid input for query parameters sort_key or sort_dir: {sort[:64]!a} {direction[:64]!a}")
    admin, project = await call.is_admin(), (await call.credentials()).get("project_id")
    public = _public(asked(call, "is_public")) if admin else True
    ram, disk = _least(call, "minRam"), _least(call, "minDisk")

    def wanted(one: Flavor) -> bool:
        if one.disabled and not admin:
            return False
        listed = public is None or one.public is public or (public and usable(one, str(project)))
        return listed and one.ram >= ram and one.disk >= disk

    rows = sorted((one for one in (await call.records()).flavors if wanted(one)), key=lambda one: one.id)
    rows.sort(key=SORTS[sort], reverse=direction == "desc")
    return paged(call, rows, lambda one: one.id, path)


def _public(value: str | None) -> bool | None:
    """None: whether a flavor is public makes no difference."""
    if value is None:
        return True
    said = value.strip().lower()
    if said == "none":
        return None
    if said not in _YES | _NO:
        raise InvalidError(f"Invalid is_public filter [{value[:64]}]")
    return said in _YES


def _least(call: Call, name: str) -> int:
    value = asked(call, name)
    if value is None:
        return 0
    try:
        return int(value[:64])
    except ValueError as error:
        raise InvalidError(f"Invalid {name} filter [{value[:64]}]") from error
