"""Limits and what is used of them, as everybody sees their own project's."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT, usage_of
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import asked, know
from compute_plugin.v2.operating.quota_names import quota_names
from gateway.rest.answers import answer
from gateway.rest.app import Routes

POLICY: Final = "os_compute_api:limits"
NO_IMAGES: Final = 39
"""From this microversion on images have no limits here."""

LIMITS: Final = {
    "ram": ("maxTotalRAMSize", "totalRAMUsed"),
    "instances": ("maxTotalInstances", "totalInstancesUsed"),
    "cores": ("maxTotalCores", "totalCoresUsed"),
    "key_pairs": ("maxTotalKeypairs", ""),
    "floating_ips": ("maxTotalFloatingIps", "totalFloatingIpsUsed"),
    "metadata_items": ("maxServerMeta", ""),
    "injected_files": ("maxPersonality", ""),
    "injected_file_content_bytes": ("maxPersonalitySize", ""),
    "security_groups": ("maxSecurityGroups", "totalSecurityGroupsUsed"),
    "security_group_rules": ("maxSecurityGroupRules", ""),
    "server_groups": ("maxServerGroups", "totalServerGroupsUsed"),
    "server_group_members": ("maxServerGroupMembers", ""),
}
"""How a limit is called here, and what is used of it."""


async def show_limits(call: Call) -> Response:
    know(call, "tenant_id")
    await call.allow(POLICY)
    project = asked(call, "tenant_id")
    if project is None:
        project = await call.project()
    else:
        await call.allow(f"{POLICY}:other_project")
    records = await call.records()
    limits, used = call.service.settings.limits_of(records, project), usage_of(records, project)
    shown: dict[str, int] = {}
    for name in quota_names(call):
        limit_name, used_name = LIMITS.get(name, ("", ""))
        if limit_name:
            shown[limit_name] = limits.get(name, NO_LIMIT)
        if used_name:
            shown[used_name] = used.get(name, 0)
    if not call.since(NO_IMAGES):
        shown["maxImageMeta"] = limits["metadata_items"]
    return answer({"limits": {"rate": [], "absolute": shown}})


ROUTES: Final[Routes[Call]] = {"/limits": {"GET": show_limits}}
