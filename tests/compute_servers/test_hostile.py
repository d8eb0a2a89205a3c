"""Whatever people write in names, metadata, user data and hints: it is kept and shown, and breaks nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pycdlib import PyCdlib

from tests.compute_servers.cloud import Cloud

ADMIN = "admin@blue"
HOSTILE = [
    "'; DROP TABLE servers; --", "<domain type='kvm'/>", "]]>&amp;\"'", "$(reboot)`id`", "../../etc/passwd", "%00%n%s",
    "日本語 العربية", "a" * 255, "{{7*7}}", "\\x00\\u0000", "-rf", "𝕬𝖇", "é" * 255,
]  # fmt: skip


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = ["and", found]
    return found


@pytest.mark.parametrize("text", HOSTILE)
async def test_texts_are_shown_as_they_were_said(cloud: Cloud, text: str) -> None:
    network = await cloud.network()
    data = base64.b64encode(text.encode()).decode()
    id_ = await cloud.server(
        await cloud.image(), name=text, metadata={"key": text}, description=text, user_data=data, config_drive=True,
        networks=[{"uuid": network}], adminPass=text,
    )  # fmt: skip
    shown = await cloud.show(id_)
    assert (shown["name"], shown["metadata"], shown["description"]) == (text, {"key": text}, text)
    guest = cloud.hypervisors["one"].running[id_].guest
    assert guest.title == text
    assert guest.name.startswith("instance-")
    drive = next(disk.file for disk in guest.disks if disk.file)
    iso = PyCdlib()
    iso.open(drive)
    try:
        with iso.open_file_from_iso(rr_path="/openstack/latest/user_data") as file:
            assert file.read() == text.encode()
    finally:
        iso.close()
    rows = (await cloud.done("GET", "/servers/detail"))["servers"]
    assert [row["id"] for row in rows] == [id_]
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await cloud.settled(id_, "ACTIVE")
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")


@pytest.mark.parametrize(
    "hints",
    [
        {"query": "{"}, {"query": "[]"}, {"query": "[\">=\"]"}, {"query": "[\"?\", 1, 2]"}, {"query": "[[], 1, 2]"},
        {"query": "[\">=\", \"$free_ram_mb\", \"text\"]"}, {"query": "[\"not\"]"}, {"query": "[" * 5000},
        {"query": "[\"and\"," * 900 + "1" + "]" * 900}, {"query": "[\">\", \"$nothing\", 1]"},
        {"query": ["=", "$host", "mars"]}, {"query": 0}, {"query": [{"a": 1}, 1, 2]},
        {"build_near_host_ip": "mars"}, {"build_near_host_ip": "10.0.0.1", "cidr": {"a": 1}},
    ],
    ids=lambda one: str(one)[:40],
)  # fmt: skip
async def test_hints_that_mean_nothing_find_no_host(cloud: Cloud, hints: dict[str, Any]) -> None:
    body = {"name": "w", "imageRef": await cloud.image(), "flavorRef": "1", "networks": "none"}
    answer = await cloud.ask("POST", "/servers", {"server": body, "os:scheduler_hints": hints})
    assert answer.status in (202, 400), answer.body
    await cloud.quiet()
    for server in cloud.compute.store.records.servers:
        if "build_near_host_ip" not in hints:
            assert server.fault is not None
            assert "JsonFilter" in server.fault.message
    await cloud.server(body["imageRef"])


@pytest.mark.parametrize(
    "hints",
    [
        {"group": "x"}, {"group": 7}, {"group": "11111111-1111-4111-8111-111111111111"}, {"same_host": "x"},
        {"different_host": ["x"]}, {"same_host": 7}, {"query": 2**70}, {"any": 1e400}, {"a": "\ud800"},
        {"a": deep(600)}, [], "x", {"a" * 300: 1, "b": "x" * 100_000},
    ],
    ids=lambda one: str(one)[:40].encode("ascii", "replace").decode(),
)  # fmt: skip
async def test_hints_that_cannot_be_kept_are_refused(cloud: Cloud, hints: Any) -> None:
    body = {"name": "w", "imageRef": await cloud.image(), "flavorRef": "1", "networks": "none"}
    await cloud.refused(400, "POST", "/servers", {"server": body, "os:scheduler_hints": hints})
    assert not list(cloud.compute.store.records.servers)
    await cloud.server(body["imageRef"])


@pytest.mark.parametrize("path", ["/servers/%00", "/servers/..%2f..", "/servers/" + "a" * 5000, "/servers/é"])
async def test_ids_that_are_none(cloud: Cloud, path: str) -> None:
    await cloud.refused(404, "GET", path)
    answer = await cloud.ask("POST", f"{path}/action", {"os-stop": None})
    assert answer.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {}, {"os-stop": None, "os-start": None}, {"nothing": None}, {"": None}, [], "x", None, {"reboot": None},
        {"reboot": {"type": "MEDIUM"}}, {"reboot": []}, {"resize": {"flavorRef": {}}}, {"createImage": None},
        {"os-getConsoleOutput": {"length": "x"}}, {"lock": {"locked_reason": 7}}, {"unshelve": {}},
        {"evacuate": {"host": 7}}, {"os-resetState": {"state": "perfect"}}, {"changePassword": {"adminPass": None}},
        {"rescue": {"rescue_image_ref": []}}, {"a" * 10000: None},
    ],
    ids=lambda one: str(one)[:30],
)  # fmt: skip
async def test_bodies_that_are_no_actions(cloud: Cloud, body: Any) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.refused(400, "POST", f"/servers/{id_}/action", body, token=ADMIN)
    assert (await cloud.show(id_))["status"] == "ACTIVE"
