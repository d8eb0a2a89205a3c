"""All paths of servers."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.servers import attachments, console_actions, interfaces, migrations, parts, servers
from gateway.rest.app import Routes

ROUTES: Final[Routes[Call]] = {
    **servers.ROUTES,
    **parts.ROUTES,
    **attachments.ROUTES,
    **interfaces.ROUTES,
    **console_actions.ROUTES,
    **migrations.ROUTES,
}
