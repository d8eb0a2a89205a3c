"""Security groups with more rules than one change can take away: they go in several, the group with the last ones."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.requests import VERSION, Handler, routes_of
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.security.security_groups import SecurityGroups, require_deletable, rules_around

RULES_MAX: Final = 50
"""At once: each may be in a group of its own, which is another one then."""


def routes() -> dict[str, dict[str, Handler]]:
    """Of a group."""
    kind = SecurityGroups()
    path = f"{VERSION}{kind.path}/{{id}}"
    held = routes_of(kind)[path]
    return {path: {**held, "DELETE": partial(_delete, held["DELETE"])}}


async def _delete(deleted: Handler, call: Call) -> Response:
    """Whoever means a certain revision means all of it, or none."""
    if "if-match" in call.request.headers:
        return await deleted(call)
    over = await call.change()

    def step(records: Records) -> bool:
        change: Change = over(records)
        kind = SecurityGroups()
        group = seen(kind, change, call.path("id"))
        change.allow(kind.line("delete"), kind.target(change, group))
        require_deletable(change, group)
        rules = rules_around(change.records, group)
        if len(rules) <= RULES_MAX:
            return False
        for rule in rules[:RULES_MAX]:
            change.records.rules.delete(rule.id)
        return True

    while await call.service.store.change(step):
        pass
    return await deleted(call)
