"""Whatever is sent to any path, it is answered, and never by an error that nobody foresaw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from compute_plugin.v2.routes import RESOURCES
from compute_plugin.v2.servers import routes as server_routes
from tests.compute_api.proxied import WholeCloud
from tests.gateway_rest.service import ask

MODULES: Final = [one for one in RESOURCES if one is not server_routes]
ODD: Final[list[Any]] = [
    None, {}, [], "x", 5, {"x": None}, {"add_host": None}, {"addTenantAccess": 5}, {"set_metadata": {"metadata": None}},
]  # fmt: skip
VALUES: Final[list[Any]] = [
    None,
    "",
    "\0",
    "\ud800",
    "x" * 70_000,
    -1,
    10**30,
    1.5,
    True,
    [],
    [[]],
    [{}],
    {},
    {"a": {}},
]
ID: Final = "11111111-2222-4333-8444-555555555555"
WHOLE: Final[dict[str, dict[str, Any]]] = {
    "flavor": {
        "name": "n",
        "ram": 1,
        "vcpus": 1,
        "disk": 1,
        "id": "n",
        "swap": 1,
        "rxtx_factor": 1,
        "description": "n",
    },
    "keypair": {"name": "n", "public_key": "ssh-rsa AAAA", "type": "ssh", "user_id": "n"},
    "server_group": {"name": "n", "policy": "anti-affinity", "rules": {"max_server_per_host": 1}},
    "aggregate": {"name": "n", "availability_zone": "n"},
    "quota_set": {"cores": 1, "instances": 1, "force": True},
    "quota_class_set": {"cores": 1},
    "add_host": {"host": "x"},
    "remove_host": {"host": "x"},
    "set_metadata": {"metadata": {"a": "b"}},
    "addTenantAccess": {"tenant": "blue"},
    "removeTenantAccess": {"tenant": "blue"},
    "extra_specs": {"a": "b", "hw:cpu_policy": "shared"},
    "metadata": {"a": "b"},
    "meta": {"x": "b"},
    "volume": {"size": 1, "display_name": "n", "volume_type": "standard", "snapshot_id": ID, "metadata": {"a": "b"}},
    "snapshot": {"volume_id": ID, "force": True, "display_name": "n"},
    "security_group": {"name": "n", "description": "n"},
    "security_group_rule": {"parent_group_id": ID, "ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "::/0"},
}
"""What some request takes; each field of it is made odd."""
PLAIN: Final[tuple[dict[str, Any], ...]] = (
    {"host": "x", "binary": "nova-compute", "disabled_reason": "n", "forced_down": True},
    {"status": "disabled", "disabled_reason": "n", "forced_down": True},
    {"status": "enable", "maintenance_mode": "enable"},
    {"cache": [{"id": ID}]},
    {"events": [{"name": "network-changed", "server_uuid": ID, "status": "completed", "tag": "n"}]},
    {"pool": "n"},
    {"x": "n"},
)
PARTS: Final = ("1", "x", "%00", "\x7f" * 300, "11111111-2222-4333-8444-555555555555", "default")
QUERY: Final = (
    "?limit=9999999999999999999&marker=%00&offset=-1&start=9999-99-99&changes-since=x&sort_key=%ff&user_id=%00"
)


@pytest.mark.parametrize("module", MODULES, ids=lambda one: str(one.__name__).rpartition(".")[2])
async def test_every_request_is_answered(module: Any, tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        cloud = WholeCloud(tmp_path)
        await nursery.start(cloud.run)
        await cloud.host("x")
        bodies = [*ODD, *_bodies()]
        for path, handlers in module.ROUTES.items():
            for method in handlers:
                for version in ("2.1", "2.96"):
                    await _asked(cloud, method, path, version, bodies if method in ("POST", "PUT") else [None])
        nursery.cancel_scope.cancel()


def _bodies() -> Iterator[Any]:
    for name, fields in WHOLE.items():
        yield from ({name: one} for one in (*VALUES, *_odd(fields)))
    for fields in PLAIN:
        yield from _odd(fields)


def _odd(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in fields:
        yield from ({**fields, name: value} for value in VALUES)


async def _asked(cloud: WholeCloud, method: str, path: str, version: str, bodies: list[Any]) -> None:
    for number, body in enumerate(bodies):
        part = PARTS[number % len(PARTS)]
        concrete = "/".join(part if piece.startswith("{") else piece for piece in path.split("/"))
        answer = await cloud.admin(method, concrete, body, version)
        assert answer.status < 500 or answer.status == 501, (method, concrete, body, answer.body)
    for part in PARTS:
        concrete = "/".join(part if piece.startswith("{") else piece for piece in path.split("/"))
        headers = {"X-Auth-Token": "admin@blue", "OpenStack-API-Version": f"compute {version}"}
        answer = await ask(cloud.app, method, f"/compute/v2.1{concrete}{QUERY}", headers)
        assert answer.status < 500 or answer.status == 501, (method, concrete, answer.body)
