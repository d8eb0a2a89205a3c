"""How much projects have, counted from the records in the moment it is asked, and whether there is room for more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.settings import Settings
from gateway.rest.errors import OverLimitError

NO_LIMIT: Final = -1


def usage_of(records: Records, project: str, user: str = "") -> dict[str, int]:
    """What a project has of what projects have limits of, by the names of quotas; or what a user has in it."""
    servers = [one for one in counted(records, project) if user in ("", one.user_id)]
    groups = [one for one in records.groups.by("project", project) if user in ("", one.user_id)]
    return {
        "instances": len(servers),
        "cores": sum(_largest(one, "vcpus") for one in servers),
        "ram": sum(_largest(one, "ram") for one in servers),
        "server_groups": len(groups),
    }


def _largest(server: Server, name: str) -> int:
    """Of what a server is and what it can be again, until its resize is confirmed: so that is never over a quota."""
    held = [server.flavor] if server.before is None else [server.flavor, server.before.flavor]
    return max(int(getattr(one, name)) for one in held)


def counted(records: Records, project: str) -> list[Server]:
    """A project's servers but for those that are deleted and may be restored: as in stock nova they count no more."""
    return [one for one in records.servers.by("project", project) if one.state is not VmState.SOFT_DELETED]


def members(records: Records, group: str) -> Iterator[Server]:
    """The servers of a server group."""
    yield from records.servers.by("group", group)


def user_quota(project: str, user: str) -> str:
    """The id of the record of the limits that a user has in a project."""
    return f"{project}/{user}"


def limits_in(records: Records, settings: Settings, project: str, user: str = "") -> dict[str, int]:
    """Of a project, or of a user in it: what is not said of the user is as of the project."""
    limits = settings.limits_of(records, project)
    own = records.quotas.get(user_quota(project, user)) if user else None
    return {**limits, **(own.limits if own is not None else {})}


def require_room(records: Records, settings: Settings, project: str, wanted: Mapping[str, int], user: str = "") -> None:
    """For so many more of each, in the project and where a user has limits of their own for them, too. Raises
    OverLimitError in nova's words."""
    _require(settings.limits_of(records, project), usage_of(records, project), wanted)
    if user and records.quotas.get(user_quota(project, user)) is not None:
        _require(limits_in(records, settings, project, user), usage_of(records, project, user), wanted)


def require_members(records: Records, settings: Settings, project: str, group: str, user: str, more: int = 1) -> None:
    """Room for more servers of a user in a server group. Raises OverLimitError."""
    limit = limits_in(records, settings, project, user)["server_group_members"]
    held = sum(1 for one in members(records, group) if one.user_id == user)
    if limit != NO_LIMIT and held + more > limit:
        raise OverLimitError("Quota exceeded, too many servers in group")


def _require(limits: Mapping[str, int], used: Mapping[str, int], wanted: Mapping[str, int]) -> None:
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
