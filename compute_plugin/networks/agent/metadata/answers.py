"""What is known of a server from its port alone, where nobody asks the compute service. Pure."""

from __future__ import annotations

import json

from compute_plugin.networks.agent.metadata.asking import Answer, Asked
from compute_plugin.networks.plan.host_names import host_name
from compute_plugin.networks.records.port import Port

NOT_FOUND = Answer(
    404,
    b"<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
    b"  The resource could not be found.<br /><br />\n\n\n </body>\n</html>",
    "text/html; charset=UTF-8",
)
"""In stock Nova's words."""


async def from_port(asked: Asked) -> Answer:
    """See Answers."""
    return answer(asked.path, asked.port) if asked.method != "POST" else Answer(405, b"")


def answer(path: str, port: Port) -> Answer:
    parts = [part for part in path.partition("?")[0].split("/") if part]
    found: object = tree(port)
    for part in parts:
        if not isinstance(found, dict) or part not in found:
            return NOT_FOUND
        found = found[part]
    if isinstance(found, dict):
        lines = [f"{name}/" if isinstance(one, dict) else name for name, one in found.items()]
        return Answer(200, "\n".join(lines).encode())
    if path.endswith(".json"):
        return Answer(200, str(found).encode(), "application/json")
    return Answer(200, str(found).encode())


def tree(port: Port) -> dict[str, object]:
    """As paths lead through it."""
    addresses = [one.address for one in port.fixed_ips]
    of4 = [one for one in addresses if ":" not in one]
    name = host_name(port, (of4 or addresses or ["none"])[0])
    told = {
        "instance-id": port.device_id,
        "hostname": name,
        "local-hostname": name,
        "local-ipv4": of4[0] if of4 else "",
        "mac": port.mac,
    }
    document = {"uuid": port.device_id, "hostname": name, "name": name, "project_id": port.project_id}
    return {
        "openstack": {"latest": {"meta_data.json": json.dumps(document)}},
        "latest": {"meta-data": told},
    }
