"""Who may do what: those of other projects see nothing, readers change nothing, members do nothing that is for
administrators."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compute_servers.cloud import Cloud

ADMIN = "admin@blue"
NOBODY = "11111111-1111-4111-8111-111111111111"
MEMBERS: list[tuple[str, Any]] = [
    ("os-start", None), ("os-stop", None), ("reboot", {"type": "HARD"}), ("pause", None), ("unpause", None),
    ("suspend", None), ("resume", None), ("lock", None), ("unlock", None), ("rescue", None), ("unrescue", None),
    ("changePassword", {"adminPass": "x"}), ("resize", {"flavorRef": "2"}), ("confirmResize", None),
    ("revertResize", None), ("rebuild", {"imageRef": NOBODY}), ("shelve", None), ("unshelve", None),
    ("createImage", {"name": "x"}), ("createBackup", {"name": "x", "backup_type": "d", "rotation": 1}),
    ("forceDelete", None), ("restore", None), ("os-getConsoleOutput", {}), ("addSecurityGroup", {"name": "default"}),
    ("removeSecurityGroup", {"name": "default"}),
]  # fmt: skip
ADMINS: list[tuple[str, Any]] = [
    ("os-resetState", {"state": "active"}), ("migrate", None), ("evacuate", {}),
    ("os-migrateLive", {"host": None, "block_migration": "auto"}), ("injectNetworkInfo", None), ("resetNetwork", None),
]  # fmt: skip
PATHS: list[tuple[str, str, Any]] = [
    ("DELETE", "", None), ("PUT", "", {"server": {"name": "x"}}), ("POST", "/metadata", {"metadata": {}}),
    ("PUT", "/metadata", {"metadata": {}}), ("PUT", "/metadata/a", {"meta": {"a": "b"}}),
    ("DELETE", "/metadata/a", None),
    ("PUT", "/tags", {"tags": []}), ("PUT", "/tags/a", None), ("DELETE", "/tags", None), ("DELETE", "/tags/a", None),
    ("POST", "/os-volume_attachments", {"volumeAttachment": {"volumeId": NOBODY}}),
    ("POST", "/os-interface", {}), ("DELETE", f"/os-interface/{NOBODY}", None),
    ("POST", "/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}),
    ("DELETE", "/os-server-password", None),
]  # fmt: skip
SEEN = ["", "/metadata", "/tags", "/ips", "/os-instance-actions", "/os-volume_attachments", "/os-interface",
        "/os-security-groups"]  # fmt: skip


@pytest.fixture
async def id_(cloud: Cloud) -> str:
    return await cloud.server(await cloud.image(), metadata={"a": "1"})


@pytest.mark.parametrize(("action", "said"), MEMBERS + ADMINS, ids=lambda one: one if isinstance(one, str) else "")
async def test_actions(cloud: Cloud, id_: str, action: str, said: Any) -> None:
    path = f"/servers/{id_}/action"
    before = cloud.compute.store.records.servers.require(id_)
    await cloud.refused(404, "POST", path, {action: said}, token="member@green")
    await cloud.refused(404, "POST", f"/servers/{NOBODY}/action", {action: said})
    await cloud.refused(403, "POST", path, {action: said}, token="reader@blue")
    if (action, said) in ADMINS:
        await cloud.refused(403, "POST", path, {action: said})
    assert cloud.compute.store.records.servers.require(id_) == before


@pytest.mark.parametrize(("method", "path", "said"), PATHS, ids=lambda one: one if isinstance(one, str) else "")
async def test_changes(cloud: Cloud, id_: str, method: str, path: str, said: Any) -> None:
    before = cloud.compute.store.records.servers.require(id_)
    await cloud.refused(404, method, f"/servers/{id_}{path}", said, token="member@green")
    await cloud.refused(403, method, f"/servers/{id_}{path}", said, token="reader@blue")
    await cloud.refused(404, method, f"/servers/{NOBODY}{path}", said)
    assert cloud.compute.store.records.servers.require(id_) == before


async def test_what_is_seen(cloud: Cloud, id_: str) -> None:
    for path in SEEN:
        await cloud.done("GET", f"/servers/{id_}{path}", token="reader@blue")
        await cloud.done("GET", f"/servers/{id_}{path}", token="admin@green")
        await cloud.refused(404, "GET", f"/servers/{id_}{path}", token="member@green")
        assert (await cloud.ask("GET", f"/servers/{id_}{path}", token="nobody")).status == 401
    await cloud.refused(403, "GET", f"/servers/{id_}/diagnostics")


async def test_readers_make_no_servers(cloud: Cloud) -> None:
    body = {"name": "x", "flavorRef": "1", "imageRef": await cloud.image(), "networks": "none"}
    await cloud.refused(403, "POST", "/servers", {"server": body}, token="reader@blue")
    await cloud.refused(403, "POST", "/servers", {"server": body}, token="stranger@blue")
