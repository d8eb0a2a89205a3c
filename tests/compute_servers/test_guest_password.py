"""A guest leaves its password with the metadata service; who has its key pair reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from compute_plugin.metadata.answers import PASSWORD_MOST, ServerAnswers
from compute_plugin.networks.agent.metadata.asking import Answer, Asked
from compute_plugin.records.server import Server
from tests.compute_servers.cloud import Cloud

PATH = "/openstack/2013-10-17/password"


class Guest:
    """Of a server with one port, which is all that the service knows it by."""

    def __init__(self, cloud: Cloud, port: str) -> None:
        self._answers = ServerAnswers(cloud.compute.store, self._ports, cloud.compute.settings, cloud.random)
        found = cloud.networks.store.records.ports.get(port)
        assert found is not None
        self._port = found

    async def _ports(self, _: Server) -> list[Mapping[str, Any]]:
        return []

    async def asks(self, method: str, path: str = PATH, body: bytes = b"") -> Answer:
        port = self._port
        return await self._answers(Asked(port.network_id, port.fixed_ips[0].address, port, method, path, {}, body))


async def guest(cloud: Cloud) -> tuple[str, Guest]:
    port = await cloud.port(await cloud.network())
    return await cloud.server(await cloud.image(), networks=[{"port": port}]), Guest(cloud, port)


async def test_a_password_is_left_once_and_read_by_whoever_may(cloud: Cloud) -> None:
    id_, inside = await guest(cloud)
    path = f"/servers/{id_}/os-server-password"
    assert await cloud.done("GET", path) == {"password": ""}
    assert (await inside.asks("POST", body=b"c2VjcmV0")).status == 200
    assert await cloud.done("GET", path) == {"password": "c2VjcmV0"}
    assert (await inside.asks("GET")).body == b"c2VjcmV0"
    assert (await inside.asks("POST", body=b"b3RoZXI=")).status == 409
    assert await cloud.done("GET", path) == {"password": "c2VjcmV0"}
    await cloud.done("DELETE", path)
    assert (await inside.asks("POST", body=b"b3RoZXI=")).status == 200
    assert await cloud.done("GET", path) == {"password": "b3RoZXI="}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH, b"x" * (PASSWORD_MOST + 1), 400),
        (PATH, b"\xff", 400),
        ("/latest/meta-data/hostname", b"x", 405),
        ("/openstack/latest/user_data", b"x", 405),
    ],
)
async def test_what_a_guest_may_not_leave(cloud: Cloud, path: str, body: bytes, status: int) -> None:
    id_, inside = await guest(cloud)
    assert (await inside.asks("POST", path, body)).status == status
    assert await cloud.done("GET", f"/servers/{id_}/os-server-password") == {"password": ""}


async def test_the_longest_password_is_kept_whole(cloud: Cloud) -> None:
    id_, inside = await guest(cloud)
    assert (await inside.asks("POST", body=b"x" * PASSWORD_MOST)).status == 200
    assert await cloud.done("GET", f"/servers/{id_}/os-server-password") == {"password": "x" * PASSWORD_MOST}
