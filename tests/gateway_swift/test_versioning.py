"""Object versioning: `X-Versions-Enabled`, version ids, delete markers, listings of versions."""

from __future__ import annotations

import pytest

from tests.gateway_swift.client import HOME, Answer, Client

VERSION = "x-object-version-id"


@pytest.fixture
async def kept(client: Client) -> Client:
    assert (await client("PUT", "box", {"X-Versions-Enabled": "true"})).status == 201
    return client


async def put(client: Client, body: bytes, path: str = "box/a", **headers: str) -> str:
    answer = await client("PUT", path, headers, body)
    assert answer.status == 201, answer.body
    return answer[VERSION]


async def get(client: Client, version: str = "", path: str = "box/a") -> Answer:
    return await client("GET", path, query={"version-id": version} if version else None)


async def test_info_says_so(client: Client) -> None:
    info = (await client("GET", "/info", raw=True)).json()
    assert info["object_versioning"] == {}
    assert info["versioned_writes"] == {"allowed_flags": ["x-versions-location", "x-history-location"]}


async def test_every_write_is_kept(kept: Client) -> None:
    assert (await kept("HEAD", "box"))["x-versions-enabled"] == "True"
    first, second = await put(kept, b"one"), await put(kept, b"two" * 40_000)
    assert first < second
    now = await get(kept)
    assert (now.body, now[VERSION]) == (b"two" * 40_000, second)
    assert now["content-location"] == f"/v1/{HOME}/box/a?version-id={second}"
    old = await get(kept, first)
    assert (old.status, old.body, old[VERSION]) == (200, b"one", first)
    assert (await kept("HEAD", "box/a"))["etag"] == now["etag"]


async def test_sizes_of_every_kind_of_write(kept: Client) -> None:
    """Known length, chunks, a copy, a manifest: all make versions."""
    ids = [await put(kept, b"known")]
    answer = await kept("PUT", "box/a", body=[b"x" * 50_000, b"y" * 50_000], chunked=True)
    ids.append(answer[VERSION])
    await kept.fill("other", ["src"], b"copied")
    answer = await kept("PUT", "box/a", {"X-Copy-From": "other/src"})
    assert answer.status == 201
    ids.append(answer[VERSION])
    manifest = b'[{"path": "other/src"}]'
    answer = await kept("PUT", "box/a", body=manifest, query={"multipart-manifest": "put"})
    assert answer.status == 201
    ids.append(answer[VERSION])
    assert [(await get(kept, each)).body for each in ids] == [b"known", b"x" * 50_000 + b"y" * 50_000, *[b"copied"] * 2]
    assert (await kept("GET", "box/a", {"Range": "bytes=2-3"}, query={"version-id": ids[3]})).body == b"pi"
    (row,) = (await kept("GET", "box", query={"format": "json"})).json()
    assert row["bytes"] == 6
    assert row["slo_etag"] == (await get(kept))["etag"]


async def test_deletion_is_a_version(kept: Client) -> None:
    first = await put(kept, b"one")
    gone = await kept("DELETE", "box/a")
    assert gone.status == 204
    assert (await get(kept)).status == 404
    assert (await get(kept, first)).body == b"one"
    marker = await get(kept, gone[VERSION])
    assert (marker.status, marker[VERSION]) == (404, gone[VERSION])
    assert marker["content-type"].startswith("application/x-deleted")
    again = await kept("DELETE", "box/a")
    assert again.status == 404
    assert again[VERSION] > gone[VERSION]
    second = await put(kept, b"two")
    assert second > again[VERSION]
    rows = (await kept("GET", "box", query="versions")).json()
    assert [row["version_id"] for row in rows] == [second, again[VERSION], gone[VERSION], first]
    assert [row["is_latest"] for row in rows] == [True, False, False, False]


async def test_one_version_is_removed(kept: Client) -> None:
    first, second = await put(kept, b"one"), await put(kept, b"two")
    answer = await kept("DELETE", "box/a", query={"version-id": first})
    assert (answer.status, answer[VERSION], answer["x-object-current-version-id"]) == (204, first, second)
    assert (await get(kept, first)).status == 404
    assert (await get(kept)).body == b"two"
    assert (await kept("DELETE", "box/a", query={"version-id": first})).status == 404
    answer = await kept("DELETE", "box/a", query={"version-id": second})
    assert (answer.status, answer["x-object-current-version-id"]) == (204, "null")
    assert (await get(kept)).status == 404


async def test_an_older_version_is_made_current(kept: Client) -> None:
    first, second = await put(kept, b"one"), await put(kept, b"two")
    answer = await kept("PUT", "box/a", query={"version-id": first})
    assert (answer.status, answer[VERSION]) == (201, first)
    assert (await get(kept)).body == b"one"
    rows = (await kept("GET", "box", query="versions")).json()
    assert [(row["version_id"], row["is_latest"]) for row in rows] == [(second, False), (first, True)]
    third = await put(kept, b"three")
    assert (await get(kept))[VERSION] == third
    assert (await kept("PUT", "box/a", body=b"x", query={"version-id": first})).status == 400
    assert (await kept("PUT", "box/a", query={"version-id": "null"})).status == 400
    assert (await kept("PUT", "box/a", query={"version-id": "0000000001.00000"})).status == 404
    gone = await kept("DELETE", "box/a")
    assert (await kept("PUT", "box/a", query={"version-id": gone[VERSION]})).status == 404
    assert (await kept("PUT", "box/a", query={"version-id": second})).status == 201
    assert (await get(kept)).body == b"two"


async def test_copies_of_older_versions(kept: Client) -> None:
    first = await put(kept, b"one", **{"X-Object-Meta-Taste": "sour"})
    second = await put(kept, b"two")
    answer = await kept("COPY", "box/a", {"Destination": "box/a"}, query={"version-id": first})
    assert answer.status == 201
    assert answer[VERSION] > second
    now = await get(kept)
    assert (now.body, now["x-object-meta-taste"], now[VERSION]) == (b"one", "sour", answer[VERSION])
    answer = await kept("PUT", "box/b", {"X-Copy-From": "box/a"}, query={"version-id": second})
    assert (await get(kept, path="box/b")).body == b"two"


async def test_what_cannot_be_asked_of_versions(kept: Client) -> None:
    first = await put(kept, b"one")
    assert (await kept("POST", "box/a", query={"version-id": first})).status == 400
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert (await kept(method, "box/a", query={"version-id": "soon"})).status == 400
    await kept.fill("plain", ["a"], b"plain")
    assert (await get(kept, first, "plain/a")).status == 400
    answer = await get(kept, "null", "plain/a")
    assert (answer.status, answer.body) == (200, b"plain")
    assert (await get(kept, "null")).status == 404


async def test_older_versions_are_for_owners(kept: Client) -> None:
    first = await put(kept, b"one")
    await kept("POST", "box", {"X-Container-Read": "away-id:*", "X-Container-Write": "away-id:*"})
    assert (await kept("GET", "box/a", token="stranger")).status == 200
    for method in ("GET", "HEAD", "DELETE"):
        answer = await kept(method, "box/a", token="stranger", query={"version-id": first})
        assert answer.status == 403
    assert (await kept("GET", "box/a", token=None, query={"version-id": first})).status == 401
    copy = {"Destination": "box/b"}
    assert (await kept("COPY", "box/a", copy, token="stranger", query={"version-id": first})).status == 403
    assert (await kept("PUT", "box/a", token="stranger", query={"version-id": first})).status == 201
    assert (await kept("GET", "box/a", token="reader", query={"version-id": first})).status == 200
    assert (await kept("DELETE", "box/a", token="reader", query={"version-id": first})).status == 403
    assert (await get(kept, first)).body == b"one"


async def test_objects_from_before(client: Client) -> None:
    await client.fill("box", ["small", "large"], b"x" * 100_000)
    await client("PUT", "box/small", {"X-Object-Meta-Taste": "sour"}, b"old")
    await client("POST", "box", {"X-Versions-Enabled": "true"})
    before = await get(client, path="box/small")
    assert before[VERSION] == "null"
    assert "content-location" not in before.headers
    assert (await get(client, "null", "box/small")).body == b"old"
    for name in ("small", "large"):
        await put(client, b"new", f"box/{name}")
        assert (await get(client, "null", f"box/{name}")).status == 404
    rows = (await client("GET", "box", query="versions&prefix=small")).json()
    assert [(row["bytes"], row["is_latest"]) for row in rows] == [(3, True), (3, False)]
    old = await get(client, rows[1]["version_id"], "box/small")
    assert (old.body, old["x-object-meta-taste"]) == (b"old", "sour")
    rows = (await client("GET", "box", query="versions&prefix=large")).json()
    assert (await get(client, rows[1]["version_id"], "box/large")).body == b"x" * 100_000


async def test_suspended(kept: Client) -> None:
    first = await put(kept, b"one")
    assert (await kept("POST", "box", {"X-Versions-Enabled": "false"})).status == 204
    assert (await kept("HEAD", "box"))["x-versions-enabled"] == "False"
    assert (await get(kept)).body == b"one"
    answer = await kept("PUT", "box/a", body=b"null one")
    assert VERSION not in answer.headers
    now = await get(kept)
    assert (now.body, now[VERSION]) == (b"null one", "null")
    rows = (await kept("GET", "box", query="versions")).json()
    assert [(row["version_id"], row["is_latest"]) for row in rows] == [("null", True), (first, False)]
    assert (await kept("DELETE", "box/a")).status == 204
    assert (await get(kept, first)).body == b"one"
    rows = (await kept("GET", "box", query="versions")).json()
    assert [(row["version_id"], row["is_latest"]) for row in rows] == [(first, False)]


async def test_metadata_change_the_current_version(kept: Client) -> None:
    first = await put(kept, b"one")
    second = await put(kept, b"two")
    answer = await kept("POST", "box/a", {"X-Object-Meta-Taste": "sour", "Content-Type": "a/b"})
    assert answer.status == 202
    for version in ("", second):
        answer = await get(kept, version)
        assert (answer["x-object-meta-taste"], answer["content-type"], answer.body) == ("sour", "a/b", b"two")
    assert "x-object-meta-taste" not in (await get(kept, first)).headers
    (row,) = (await kept("GET", "box", query={"format": "json"})).json()
    assert (row["content_type"], row["bytes"], row["hash"]) == ("a/b", 3, (await get(kept))["etag"])
    assert row["symlink_path"] == f"/v1/{HOME}/box/a?version-id={second}"


async def test_the_object_expires_and_its_versions_do_not(kept: Client) -> None:
    first = await put(kept, b"one", **{"X-Delete-After": "10"})
    assert "x-delete-at" in (await get(kept)).headers
    kept.clock.advance(11)
    assert (await get(kept)).status == 404
    assert (await get(kept, first)).body == b"one"
    second = await put(kept, b"two")
    await kept("POST", "box/a", {"X-Delete-After": "10"})
    kept.clock.advance(11)
    assert (await get(kept)).status == 404
    assert (await get(kept, second)).body == b"two"


async def test_conditions(kept: Client) -> None:
    await put(kept, b"one")
    etag = (await get(kept))["etag"]
    for chunked in (False, True):
        for headers in ({"If-None-Match": "*"}, {"If-Match": "other"}):
            assert (await kept("PUT", "box/a", headers, b"no", chunked=chunked)).status == 412
    assert (await kept("DELETE", "box/a", {"If-Match": "other"})).status == 412
    assert len((await kept("GET", "box", query="versions")).json()) == 1
    await put(kept, b"two", **{"If-Match": etag})
    assert (await kept("DELETE", "box/a", {"If-Match": etag})).status == 412
    assert (await kept("GET", "box/a", {"If-Match": etag})).status == 412
    await kept("POST", "box", {"X-Versions-Enabled": "false"})
    assert (await kept("PUT", "box/a", {"If-Match": etag}, b"no")).status == 412
    etag = (await get(kept))["etag"]
    assert (await kept("PUT", "box/a", {"If-Match": etag}, b"three")).status == 201
    assert (await kept("DELETE", "box/a", {"If-Match": "other"})).status == 412


async def test_what_is_counted(kept: Client) -> None:
    await put(kept, b"one")
    await put(kept, b"fives")
    await kept.fill("plain", ["x"], b"1234")
    answer = await kept("HEAD", "box")
    assert (answer["x-container-object-count"], answer["x-container-bytes-used"]) == ("1", "8")
    rows = (await kept("GET", "", query={"format": "json"})).json()
    assert [(row["name"], row["count"], row["bytes"]) for row in rows] == [("box", 1, 8), ("plain", 1, 4)]
    answer = await kept("HEAD", "")
    assert (answer["x-account-container-count"], answer["x-account-object-count"]) == ("2", "2")
    assert answer["x-account-bytes-used"] == "12"
    assert not any(name.startswith(".") for name in answer.headers)


async def test_a_container_goes_when_its_versions_have(kept: Client) -> None:
    first = await put(kept, b"one")
    gone = await kept("DELETE", "box/a")
    answer = await kept("DELETE", "box")
    assert (answer.status, answer.body) == (409, b"Delete all versions before deleting container.")
    for version in (first, gone[VERSION]):
        assert (await kept("DELETE", "box/a", query={"version-id": version})).status == 204
    assert (await kept("DELETE", "box")).status == 204
    await kept("PUT", "box", {"X-Versions-Enabled": "true"})
    assert (await kept("GET", "box", query="versions")).json() == []
    assert (await kept("DELETE", "box")).status == 204
    assert (await kept("DELETE", "", token="reseller")).status == 204


async def test_hidden_names_are_out_of_reach(kept: Client) -> None:
    await put(kept, b"one")
    answer = await kept("GET", f"/v1/{HOME}%00versions".encode(), raw=True, token="reseller")
    assert answer.status == 412
    headers = {"X-Copy-From": "box/a", "X-Copy-From-Account": f"{HOME}%00versions"}
    assert (await kept("PUT", "box/b", headers, token="reseller")).status == 412
    assert (await kept("PUT", f"box/{'n' * 1020}", body=b"x")).status == 400


async def test_links_in_and_into_containers_with_versions(kept: Client) -> None:
    await kept.fill("plain", ["target"], b"target")
    link = await put(kept, b"", **{"X-Symlink-Target": "plain/target"})
    assert (await get(kept)).body == b"target"
    itself = await kept("GET", "box/a", query={"symlink": "get"})
    assert (itself["x-symlink-target"], itself[VERSION]) == ("plain/target", link)
    await put(kept, b"no link")
    assert (await get(kept, link)).body == b"target"
    assert (await get(kept)).body == b"no link"
    etag = (await get(kept))["etag"]
    answer = await kept("PUT", "plain/link", {"X-Symlink-Target": "box/a", "X-Symlink-Target-Etag": etag})
    assert answer.status == 201
    assert (await kept("GET", "plain/link")).body == b"no link"
    await put(kept, b"changed")
    assert (await kept("GET", "plain/link")).status == 409
    await put(kept, b"", **{"X-Symlink-Target": "plain/target"})
    assert (await kept("POST", "box/a", {"X-Object-Meta-A": "b"})).status == 307


@pytest.mark.parametrize("older", ["X-Versions-Location", "X-History-Location"])
async def test_one_kind_of_versions_at_a_time(client: Client, older: str) -> None:
    await client("PUT", "box", {older: "elsewhere"})
    assert (await client("POST", "box", {"X-Versions-Enabled": "true"})).status == 400
    await client("POST", "box", {f"X-Remove-{older[2:]}": "x"})
    assert (await client("POST", "box", {"X-Versions-Enabled": "true"})).status == 204
    assert (await client("POST", "box", {older: "elsewhere"})).status == 400
    assert (await client("POST", "box", {f"X-Remove-{older[2:]}": "x"})).status == 204
    assert (await client("HEAD", "box"))["x-versions-enabled"] == "True"
    await put(client, b"one")
