"""`drystone network trace` of hosts of a lab, and what really happens there."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import trio
from starlette.applications import Starlette

from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.trace.hosts import SeenHost
from drystone.network_looks import HostLooks
from drystone.network_routes import network_routes
from tests.gateway_rest.service import ask
from tests.networks_agent.inside import Inside
from tests.networks_agent.routing import Lab, source_seen

LOOK = """
import json, trio
from compute_plugin.networks.trace.looking import look
print(json.dumps(trio.run(look)))
"""
Traced = dict[str, Any]


class Looks:
    """Looks at hosts of a lab, as their own processes would."""

    def __init__(self, lab: Lab) -> None:
        self._hosts = {host.name: host for host in lab.hosts}

    async def look(self, host: str) -> SeenHost:
        command = self._hosts[host].machine.entering([sys.executable, "-c", LOOK])
        done = await trio.run_process(command, capture_stdout=True)
        return SeenHost(host, json.loads(done.stdout))


async def traced(lab: Lab, sender: str, receiver: str, protocol: str = "icmp", port: int = 0) -> Traced:
    """What the serving process answers. `sender` and `receiver`: ids of ports, or addresses."""
    service = cast(NetworkService, SimpleNamespace(store=lab.cloud.store, states=lab.cloud.states))
    app = Starlette(routes=network_routes(service, cast(HostLooks, Looks(lab))))
    query = urlencode({"from": sender, "to": receiver, "protocol": protocol, "port": port})
    answer = await ask(app, "GET", f"/networks/trace?{query}")
    assert answer.status == 200, answer.body
    found: Traced = answer.json
    return found


async def really(sender: Inside, receiver: Inside, address: str, protocol: str, port: int) -> bool:
    """Whether it arrives, and is answered."""
    if protocol == "tcp":
        return await source_seen(sender, receiver, address, port) != ""
    return not await sender.loses(address)
