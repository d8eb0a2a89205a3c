"""`drystone network trace` of hosts of a lab, and what really happens there."""

from __future__ import annotations

import json
import subprocess
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
from tests.cluster.machines import WAIT_SECONDS
from tests.gateway_rest.service import ask
from tests.networks_agent.inside import Inside
from tests.networks_agent.routing import Lab, source_seen

LOOK = """
import json, sys, trio
from compute_plugin.networks.trace.looking import look
for _ in sys.stdin:
    print(json.dumps(trio.run(look)), flush=True)
"""
Traced = dict[str, Any]


class Looks:
    """Looks at hosts of a lab, as their own processes would: a process on each, which looks again for each line."""

    def __init__(self, lab: Lab) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for host in lab.hosts:
            command = host.machine.entering([sys.executable, "-c", LOOK])
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes[host.name] = process
            lab.cloud.closing.callback(_end, process)

    async def look(self, host: str) -> SeenHost:
        return SeenHost(host, json.loads(await trio.to_thread.run_sync(_asked, self._processes[host])))


def _asked(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process.stdout.readline()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=WAIT_SECONDS)


async def traced(lab: Lab, looks: Looks, sender: str, receiver: str, protocol: str = "icmp", port: int = 0) -> Traced:
    """What the serving process answers. `sender` and `receiver`: ids of ports, or addresses."""
    service = cast(NetworkService, SimpleNamespace(store=lab.cloud.store, states=lab.cloud.states))
    app = Starlette(routes=network_routes(service, cast(HostLooks, looks)))
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
