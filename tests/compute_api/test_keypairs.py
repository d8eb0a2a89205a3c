"""Key pairs: made, imported, and whose they are."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from compute_plugin.settings import Settings
from tests.compute_api.cloud import Cloud

KEY = (
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    .public_key()
    .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    .decode()
)


async def create(
    cloud: Cloud, name: str = "one", token: str = "member@blue", version: str = "2.91", **asked: Any
) -> dict[str, Any]:
    body = {"keypair": {"name": name, "public_key": KEY, **asked}}
    found: dict[str, Any] = (await cloud.done("POST", "/os-keypairs", body, version, token))["keypair"]
    return found


async def names(cloud: Cloud, query: str = "", token: str = "member@blue") -> list[str]:
    return [one["keypair"]["name"] for one in (await cloud.got(f"/os-keypairs{query}", token))["keypairs"]]


async def test_a_key_is_imported_shown_and_deleted(cloud: Cloud) -> None:
    made = await create(cloud)
    digest = hashlib.md5(base64.b64decode(KEY.split()[1]), usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    assert made == {
        "name": "one", "public_key": KEY, "fingerprint": fingerprint, "type": "ssh", "user_id": "member-id",
    }  # fmt: skip
    shown = (await cloud.got("/os-keypairs/one"))["keypair"]
    created = shown.pop("created_at")
    assert created.startswith("2023-11-")
    assert shown == made | {"id": 1, "updated_at": None, "deleted": False, "deleted_at": None}
    answer = await cloud.ask("DELETE", "/os-keypairs/one")
    assert (answer.status, answer.body) == (204, b"")
    await cloud.refused(404, "GET", "/os-keypairs/one", token="member@blue")
    await cloud.refused(404, "DELETE", "/os-keypairs/one", token="member@blue")


async def test_statuses_and_types_came_with_2_2(cloud: Cloud) -> None:
    body = {"keypair": {"name": "old", "public_key": KEY}}
    answer = await cloud.ask("POST", "/os-keypairs", body, version="2.1")
    assert answer.status == 200
    assert "type" not in answer.json["keypair"]
    assert (await cloud.ask("DELETE", "/os-keypairs/old", version="2.1")).status == 202
    assert (await cloud.ask("POST", "/os-keypairs", body, version="2.2")).status == 201
    typed = {"keypair": {"name": "typed", "public_key": KEY, "type": "ssh"}}
    await cloud.refused(400, "POST", "/os-keypairs", typed, "member@blue", "2.1")


async def test_a_key_is_made_until_2_91(cloud: Cloud) -> None:
    body = {"keypair": {"name": "made"}}
    made = (await cloud.done("POST", "/os-keypairs", body, "2.91", "member@blue"))["keypair"]
    key = serialization.load_pem_private_key(made["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made["public_key"].startswith(public.decode())
    assert "private_key" not in (await cloud.got("/os-keypairs/made"))["keypair"]
    await cloud.refused(400, "POST", "/os-keypairs", {"keypair": {"name": "late"}}, "member@blue", "2.92")


async def test_a_certificate_is_made_and_imported(cloud: Cloud) -> None:
    body = {"keypair": {"name": "made", "type": "x509"}}
    made = (await cloud.done("POST", "/os-keypairs", body, "2.2", "member@blue"))["keypair"]
    certificate = x509.load_pem_x509_certificate(made["public_key"].encode())
    key, inner, _ = pkcs12.load_key_and_certificates(base64.b64decode(made["private_key"]), None)
    assert inner == certificate
    assert key is not None
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    assert made["fingerprint"].count(":") == 19
    again = await create(cloud, "again", public_key=made["public_key"], type="x509")
    assert again["fingerprint"] == made["fingerprint"]


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""}, {"name": " x"}, {"name": "a/b"}, {"name": "a@b"}, {"name": "x" * 256}, {"name": None},
        {"public_key": ""}, {"public_key": "ssh-rsa"}, {"public_key": "ssh-rsa AAAA"}, {"public_key": 5},
        {"public_key": "-----BEGIN CERTIFICATE-----"}, {"type": "x509"}, {"type": "pgp"}, {"more": 1},
        {"user_id": 5},
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused(cloud: Cloud, asked: dict[str, Any]) -> None:
    body = {"keypair": {"name": "one", "public_key": KEY, **asked}}
    await cloud.refused(400, "POST", "/os-keypairs", body, "member@blue", "2.91")


async def test_names_have_more_characters_from_2_92_on(cloud: Cloud) -> None:
    assert (await create(cloud, "me@home.example", version="2.92"))["name"] == "me@home.example"
    assert await names(cloud) == ["me@home.example"]


async def test_a_name_is_taken_once_by_each_user(cloud: Cloud) -> None:
    await create(cloud)
    body = {"keypair": {"name": "one", "public_key": KEY}}
    assert "already exists" in await cloud.refused(409, "POST", "/os-keypairs", body, "member@blue")
    await create(cloud, token="reader@blue")
    assert await names(cloud) == await names(cloud, token="reader@blue") == ["one"]
    assert await names(cloud, token="member@green") == ["one"]


async def test_lists_are_sorted_and_paged_from_2_35_on(cloud: Cloud) -> None:
    for name in ("b", "a", "c"):
        await create(cloud, name)
    page = await cloud.got("/os-keypairs?limit=2")
    assert [one["keypair"]["name"] for one in page["keypairs"]] == ["a", "b"]
    assert page["keypairs_links"][0]["href"].endswith("/os-keypairs?limit=2&marker=b")
    assert await names(cloud, "?limit=2&marker=b") == ["c"]
    await cloud.refused(400, "GET", "/os-keypairs?marker=none")
    await cloud.refused(400, "GET", "/os-keypairs?unknown=1")
    older = await cloud.got("/os-keypairs?limit=1&marker=none", version="2.34")
    assert len(older["keypairs"]) == 3


async def test_administrators_look_after_those_of_others_from_2_10_on(cloud: Cloud) -> None:
    made = await create(cloud, token="admin@blue", user_id="member-id")
    assert made["user_id"] == "member-id"
    assert await names(cloud) == ["one"]
    assert await names(cloud, token="admin@blue") == []
    assert await names(cloud, "?user_id=member-id", "admin@blue") == ["one"]
    await cloud.refused(404, "GET", "/os-keypairs/one?user_id=member-id", version="2.9")
    await cloud.refused(403, "GET", "/os-keypairs/one?user_id=admin-id", token="member@blue")
    body = {"keypair": {"name": "two", "public_key": KEY, "user_id": "admin-id"}}
    await cloud.refused(403, "POST", "/os-keypairs", body, "member@blue")
    assert (await cloud.admin("DELETE", "/os-keypairs/one?user_id=member-id")).status == 204


async def test_a_user_has_so_many_however_many_ask_at_once() -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(settings=Settings(limits={"key_pairs": 3}))
        await nursery.start(cloud.service.run)
        statuses: list[int] = []

        async def one(number: int) -> None:
            body = {"keypair": {"name": f"key-{number}", "public_key": KEY}}
            statuses.append((await cloud.ask("POST", "/os-keypairs", body)).status)

        async with trio.open_nursery() as asking:
            for number in range(8):
                asking.start_soon(one, number)
        assert sorted(statuses) == [201] * 3 + [403] * 5
        assert len(await names(cloud)) == 3
        await create(cloud, token="reader@blue")
        nursery.cancel_scope.cancel()
