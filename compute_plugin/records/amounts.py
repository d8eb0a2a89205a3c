"""How much projects have, counted from the records in the moment it is asked, and whether there is room for more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.settings import Settings
from gateway.rest.errors import OverLimitError

NO_LIMIT: Final = -1


def usage_of(records: Records, project: str) -> dict[str, int]:
    """What a project has of what projects have limits of, by the names of quotas."""
    servers = counted(records, project)
    return {
        "instances": len(servers),
        "cores": sum(one.flavor.vcpus for one in servers),
        "ram": sum(one.flavor.ram for one in servers),
        "server_groups": len(records.groups.by("project", project)),
    }


def counted(records: Records, project: str) -> list[Server]:
    """A project's servers but for those that are deleted and may be restored: as in stock nova they count no more."""
    return [one for one in records.servers.by("project", project) if one.state is not VmState.SOFT_DELETED]


def members(records: Records, group: str) -> Iterator[Server]:
    """The servers of a server group."""
    yield from records.servers.by("group", group)


def require_room(records: Records, settings: Settings, project: str, wanted: Mapping[str, int]) -> None:
    """For so many more of each. Raises OverLimitError in nova's words."""
    limits, used = settings.limits_of(records, project), usage_of(records, project)
    over = [
        name
        for name, more in sorted(wanted.items())
        if more > 0 and limits[name] != NO_LIMIT and used[name] + more > limits[name]
    ]
    if over:
        names = ", ".join(over)
        raise OverLimitError(
            f"Quota exceeded for {names}: Requested {', '.join(str(wanted[one]) for one in over)}, but already used "
            f"{', '.join(str(used[one]) for one in over)} of {', '.join(str(limits[one]) for one in over)} {names}"
        )


def require_members(records: Records, settings: Settings, project: str, group: str, user: str, more: int = 1) -> None:
    """Room for more servers of a user in a server group. Raises OverLimitError."""
    limit = settings.limits_of(records, project)["server_group_members"]
    held = sum(1 for one in members(records, group) if one.user_id == user)
    if limit != NO_LIMIT and held + more > limit:
        raise OverLimitError("Quota exceeded, too many servers in group")
