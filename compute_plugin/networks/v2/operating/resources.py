"""What the API has: the answer to `/v2.0`."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.v2.frame.call import PREFIX, Call
from gateway.rest.answers import answer

SHOWN: Final = (
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("subnetpool", "subnetpools"),
    ("router", "routers"),
    ("floatingip", "floatingips"),
    ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"),
    ("rbac_policy", "rbac-policies"),
    ("quota", "quotas"),
    ("extension", "extensions"),
)


async def show_resources(call: Call) -> Response:
    """Those that clients begin with; the others are told of by the extensions that bring them."""
    await call.credentials()
    base = f"{call.origin}{PREFIX}/v2.0"
    found: list[dict[str, Any]] = [
        {"name": name, "collection": path, "links": [{"rel": "self", "href": f"{base}/{path}"}]} for name, path in SHOWN
    ]
    return answer({"resources": found})
