"""What was kept under older names is found, shown to clients as before, and renamed when it is changed."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.objects.versions.names import MODE, STACK, hidden_account, hidden_container, ticks_of, version_name
from store.objects.model import ObjectHead, ObjectInfo
from tests.gateway_swift.client import HOME, Client


async def before(client: Client, headers: dict[str, str]) -> None:
    """A container as programs before wrote it."""
    await client.store.put_account(HOME, {})
    await client.store.put_container(HOME, "c", headers)


async def stored(client: Client) -> dict[str, str]:
    return dict((await client.store.container(HOME, "c")).headers)


async def test_access_lists() -> None:
    client = Client()
    await before(client, {"x-container-read": ".r:*", "x-container-write": "away:sven", "x-container-meta-k": "v"})
    assert (await client("PUT", "c/o", body=b"x", token="stranger")).status == 201
    assert (await client("GET", "c/o", token=None)).body == b"x"
    answer = await client("HEAD", "c")
    assert (answer["x-container-read"], answer["x-container-write"]) == (".r:*", "away:sven")
    assert (await client("POST", "c", {"X-Container-Read": "away:sven"})).status == 204
    assert (await client("GET", "c/o", token=None)).status == 401
    assert (await client("POST", "c", {"X-Remove-Container-Write": "x"})).status == 204
    assert (await client("PUT", "c/o", body=b"x", token="stranger")).status == 403
    assert await stored(client) == {".read-access": "away:sven", "x-container-meta-k": "v"}


async def test_quotas() -> None:
    client = Client()
    await before(client, {"x-container-meta-quota-bytes": "3", "x-container-meta-quota-count": "9"})
    assert (await client("PUT", "c/o", body=b"four")).status == 413
    assert (await client("HEAD", "c"))["x-container-meta-quota-bytes"] == "3"
    assert (await client("POST", "c", {"X-Remove-Container-Meta-Quota-Bytes": "x"})).status == 204
    assert (await client("PUT", "c/o", body=b"four")).status == 201
    assert (await client("POST", "c", {"X-Container-Meta-Quota-Count": "1"})).status == 204
    assert (await client("PUT", "c/p", body=b"")).status == 413
    assert await stored(client) == {".quota-count": "1"}


async def test_accounts() -> None:
    client = Client()
    await before(client, {})
    access = json.dumps({"read-only": ["away:sven"]})
    await client.store.put_account(
        HOME,
        {
            "x-account-access-control": access,
            "x-account-quota-bytes": "3",
            "x-account-quota-bytes-policy-standard": "2",
        },
    )
    answer = await client("HEAD")
    assert (answer["x-account-access-control"], answer["x-account-quota-bytes"]) == (access, "3")
    assert answer["x-account-meta-quota-bytes"] == "3"
    assert (await client("GET", token="stranger")).status == 200
    assert (await client("PUT", "c/o", body=b"xxx")).status == 413
    assert (await client("POST", "", {"X-Account-Quota-Bytes-Policy-Standard": ""}, token="reseller")).status == 204
    assert (await client("PUT", "c/o", body=b"xxx")).status == 201
    assert (await client("POST", "", {"X-Account-Access-Control": ""})).status == 204
    assert (await client("GET", token="stranger")).status == 403
    assert "x-account-access-control" not in (await client.store.account(HOME)).headers


async def test_manifests() -> None:
    client = Client()
    await client.fill("c", ["s/1", "s/2"], b"part")
    whole = '"' + "0" * 32 + '"'
    entry = {"name": "/c/s/1", "bytes": 4, "hash": (await client("HEAD", "c/s/1"))["etag"]}
    notes = {"x-static-large-object": "True", ".slo-etag": whole.strip('"'), ".slo-size": "4"}
    container = await client.store.container(HOME, "c")
    await client.store.put(container, "slo", json.dumps([entry]).encode(), ObjectHead("t", notes))
    await client.store.put(container, "dlo", b"", ObjectHead("t", {"x-object-manifest": "c/s/"}))
    for method in ("HEAD", "GET"):
        answer = await client(method, "c/slo")
        assert (answer["x-static-large-object"], answer["etag"], answer["content-length"]) == ("True", whole, "4")
        answer = await client(method, "c/dlo")
        assert (answer["x-object-manifest"], answer["content-length"]) == ("c/s/", "8")
    assert (await client("GET", "c/slo")).body == b"part"
    assert (await client("GET", "c/dlo")).body == b"partpart"
    assert (await client("POST", "c/slo", {"X-Object-Meta-K": "v"})).status == 202
    answer = await client("GET", "c/slo")
    assert (answer.body, answer["x-static-large-object"], answer["x-object-meta-k"]) == (b"part", "True", "v")
    assert (await client("COPY", "c/dlo", {"Destination": "c/copy"})).status == 201
    assert (await client("GET", "c/copy")).body == b"partpart"
    assert (await client("POST", "c/dlo")).status == 202  # which takes the prefix away, as ever
    assert "x-object-manifest" not in (await client("HEAD", "c/dlo")).headers
    answer = await client("DELETE", "c/slo", query={"multipart-manifest": "delete"})
    assert (await client("HEAD", "c/s/1")).status == 404


async def test_versions_of_manifests() -> None:
    client = Client()
    await client("PUT", "c", {"X-Versions-Enabled": "true"})
    await client.fill("s", ["1"], b"part")
    await client("PUT", "c/dlo", {"X-Object-Manifest": "s/1"})
    version = (await client("HEAD", "c/dlo"))["x-object-version-id"]
    container = await client.store.container(HOME, "c")
    hidden = await client.store.container(hidden_account(HOME), hidden_container(container))
    name = version_name("dlo", ticks_of(version) or 0)

    def older(info: ObjectInfo) -> ObjectHead:
        assert info.head.headers == {".prefix-manifest": "s/1"}
        return replace(info.head, headers={"x-object-manifest": "s/1"})

    await client.store.update(hidden, name, older)
    assert (await client("GET", "c/dlo")).body == b"part"
    assert (await client("GET", "c/dlo", query={"version-id": version})).body == b"part"
    assert (await client("HEAD", "c/dlo"))["x-object-manifest"] == "s/1"


async def test_where_versions_go() -> None:
    client = Client()
    await client("PUT", "old")
    await before(client, {"x-versions-location": "old", MODE: STACK})
    for body in (b"1", b"2"):
        assert (await client("PUT", "c/o", body=body)).status == 201
    assert (await client("HEAD", "old"))["x-container-object-count"] == "1"
    assert (await client("DELETE", "c/o")).status == 204
    assert (await client("GET", "c/o")).body == b"1"
    assert (await client("HEAD", "c"))["x-versions-location"] == "old"
