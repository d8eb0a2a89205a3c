"""Whoever looks for security groups finds the project's `default`: the first look makes it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.frame.readers import NAME_MAX
from compute_plugin.networks.v2.frame.requests import VERSION, Handler, routes_of
from compute_plugin.networks.v2.security.default_groups import default_group, ensure_default_group
from compute_plugin.networks.v2.security.security_group_rules import SecurityGroupRules
from compute_plugin.networks.v2.security.security_groups import SecurityGroups

LOOKED_AT: Final[tuple[Collection[Any], ...]] = (SecurityGroups(), SecurityGroupRules())


def routes() -> dict[str, dict[str, Handler]]:
    """Of the lists."""
    found: dict[str, dict[str, Handler]] = {}
    for kind in LOOKED_AT:
        path = f"{VERSION}{kind.path}"
        held = routes_of(kind)[path]
        found[path] = {**held, "GET": partial(_list, held["GET"])}
    return found


async def _list(listed: Handler, call: Call) -> Response:
    view = await call.view()
    project = call.query.get("project_id") or call.query.get("tenant_id") or view.project
    own = project == view.project or (view.is_admin and len(project) <= NAME_MAX)
    if project and own and default_group(view.records, project) is None:
        over = await call.change()
        await call.service.store.change(lambda records: ensure_default_group(over(records), project))
    return await listed(call)
