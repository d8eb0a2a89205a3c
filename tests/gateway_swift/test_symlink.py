"""Symlinks: making them, reading through them, and what they show of themselves."""

from __future__ import annotations

import json

import pytest

from tests.gateway_swift.client import HOME, Client

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.fixture
async def there(client: Client) -> Client:
    await client.fill("target", ["thing"], b"target body")
    await client.fill("links", [])
    return client


async def link(client: Client, name: str, target: str, etag: str = "") -> None:
    headers = {"X-Symlink-Target": target}
    if etag:
        headers["X-Symlink-Target-Etag"] = etag
    answer = await client("PUT", f"links/{name}", headers)
    assert answer.status == 201, answer.body


async def etag_of(client: Client, path: str = "target/thing") -> str:
    return (await client("HEAD", path))["etag"].strip('"')


async def test_info_says_so(client: Client) -> None:
    info = (await client("GET", "/info", raw=True)).json()
    assert info["symlink"] == {"symloop_max": 2, "static_links": True}


async def test_what_is_read_is_the_target(there: Client) -> None:
    await link(there, "a", "target/thing")
    for method in ("GET", "HEAD"):
        answer = await there(method, "links/a")
        assert answer.status == 200
        assert answer["content-location"] == f"/v1/{HOME}/target/thing"
        assert answer["content-length"] == "11"
        assert answer["etag"] == await etag_of(there)
        assert "x-symlink-target" not in answer.headers
    assert (await there("GET", "links/a")).body == b"target body"
    part = await there("GET", "links/a", {"Range": "bytes=7-"})
    assert (part.status, part.body) == (206, b"body")


async def test_the_link_itself(there: Client) -> None:
    await link(there, "a", "target/th%20ing")
    for method in ("GET", "HEAD"):
        answer = await there(method, "links/a", query={"symlink": "get"})
        assert answer.status == 200
        assert answer["x-symlink-target"] == "target/th%20ing"
        assert answer["content-type"] == "application/symlink"
        assert (answer["content-length"], answer["etag"]) == ("0", EMPTY)
        assert "content-location" not in answer.headers
    await link(there, "a", "target/thing", await etag_of(there))
    answer = await there("HEAD", "links/a", query={"symlink": "get"})
    assert answer["x-symlink-target-etag"] == await etag_of(there)
    assert answer["x-symlink-target-bytes"] == "11"


async def test_conditions_are_about_the_target(there: Client) -> None:
    await link(there, "a", "target/thing")
    etag = await etag_of(there)
    assert (await there("GET", "links/a", {"If-Match": etag})).status == 200
    answer = await there("GET", "links/a", {"If-Match": "other"})
    assert (answer.status, answer["content-location"]) == (412, f"/v1/{HOME}/target/thing")
    assert (await there("GET", "links/a", {"If-None-Match": etag})).status == 304
    assert (await there("GET", "links/a", {"If-Match": EMPTY}, query={"symlink": "get"})).status == 200


async def test_a_target_that_is_not_there(there: Client) -> None:
    await link(there, "a", "target/none")
    for method in ("GET", "HEAD"):
        answer = await there(method, "links/a")
        assert (answer.status, answer["content-location"]) == (404, f"/v1/{HOME}/target/none")
    await link(there, "b", "nowhere/none")
    assert (await there("GET", "links/b")).status == 404


async def test_chains_end(there: Client) -> None:
    await link(there, "a", "target/thing")
    await link(there, "b", "links/a")
    await link(there, "c", "links/b")
    assert (await there("GET", "links/b")).body == b"target body"
    answer = await there("GET", "links/c")
    assert (answer.status, answer.body) == (409, b"Too many levels of symbolic links, maximum allowed is 2")
    assert "content-location" not in answer.headers
    assert (await there("HEAD", "links/c")).status == 409
    await link(there, "a", "links/b")
    assert (await there("GET", "links/a")).status == 409


async def test_static_links_hold_to_their_etag(there: Client) -> None:
    etag = await etag_of(there)
    await link(there, "a", "target/thing", f'"{etag}"')
    await link(there, "b", "links/a", etag)
    await link(there, "over", "links/b", etag)
    assert (await there("GET", "links/b")).body == b"target body"
    assert (await there("GET", "links/over")).status == 409
    await there("PUT", "target/thing", body=b"other")
    for headers in ({}, {"If-Match": etag}, {"If-Match": "no"}):
        answer = await there("GET", "links/a", headers)
        assert (answer.status, answer["content-location"]) == (409, f"/v1/{HOME}/target/thing")
    await there("DELETE", "target/thing")
    assert (await there("GET", "links/a")).status == 404


async def test_a_static_link_of_a_link_that_is_not(there: Client) -> None:
    await link(there, "soft", "target/thing")
    await link(there, "hard", "links/soft", EMPTY)
    assert (await there("GET", "links/hard")).body == b"target body"
    await there("DELETE", "target/thing")
    await link(there, "another", "links/soft", EMPTY)
    assert (await there("GET", "links/another")).status == 404
    await there("PUT", "links/soft", body=b"no link any more")
    assert (await there("GET", "links/hard")).status == 409


@pytest.mark.parametrize(
    ("headers", "body", "status", "text"),
    [
        ({"X-Symlink-Target": "thing"}, b"", 412, b"X-Symlink-Target header must be of the form"),
        ({"X-Symlink-Target": "/target/thing"}, b"", 412, b"X-Symlink-Target header must be of the form"),
        ({"X-Symlink-Target": "target/th%00ing"}, b"", 412, b"Invalid UTF8 or contains NULL"),
        ({"X-Symlink-Target": "links/a"}, b"", 400, b"Symlink cannot target itself"),
        ({"X-Symlink-Target": "target/thing"}, b"x", 400, b"Symlink requests require a zero byte body"),
        ({"X-Symlink-Target": "target/thing", "X-Symlink-Target-Account": "a/b"}, b"", 412, b"Account name cannot"),
        ({"X-Symlink-Target": "target/thing", "X-Symlink-Target-Etag": "a;b"}, b"", 400, b"Bad X-Symlink-Target-Etag"),
        ({"X-Symlink-Target": "target/none", "X-Symlink-Target-Etag": EMPTY}, b"", 409, b"X-Symlink-Target does not"),
        ({"X-Symlink-Target": "none/none", "X-Symlink-Target-Etag": EMPTY}, b"", 409, b"X-Symlink-Target does not"),
        ({"X-Symlink-Target": "target/thing", "X-Symlink-Target-Etag": "bad"}, b"", 409, b"Object Etag 'ab706c400731"),
    ],
)
async def test_links_that_cannot_be_made(
    there: Client, headers: dict[str, str], body: bytes, status: int, text: bytes
) -> None:
    for chunked in (False, True):
        answer = await there("PUT", "links/a", headers, body, chunked=chunked)
        assert answer.status == status
        assert answer.body.startswith(text)
    assert (await there("HEAD", "links/a")).status == 404


async def test_post_changes_the_link_and_says_where_its_target_is(there: Client) -> None:
    etag = await etag_of(there)
    await link(there, "a", "target/thing", etag)
    answer = await there("POST", "links/a", {"X-Object-Meta-Taste": "sour", "Content-Type": "a/b"})
    assert (answer.status, answer["location"]) == (307, f"/v1/{HOME}/target/thing")
    assert answer["x-symlink-target-etag"] == etag
    itself = await there("HEAD", "links/a", query={"symlink": "get"})
    assert (itself["x-object-meta-taste"], itself["x-symlink-target"]) == ("sour", "target/thing")
    assert "x-object-meta-taste" not in (await there("HEAD", "links/a")).headers
    (row,) = (await there("GET", "links", query={"format": "json"})).json()
    assert (row["content_type"], row["symlink_path"]) == ("a/b", f"/v1/{HOME}/target/thing")
    answer = await there("POST", "target/thing", {"X-Symlink-Target": "a/b"})
    assert (answer.status, answer.body) == (400, b"A PUT request is required to set a symlink target")


async def test_delete_removes_the_link_alone(there: Client) -> None:
    await link(there, "a", "target/thing")
    assert (await there("DELETE", "links/a")).status == 204
    assert (await there("GET", "links/a")).status == 404
    assert (await there("GET", "target/thing")).status == 200


async def test_listings(there: Client) -> None:
    await there("PUT", "target/thing", {"Content-Type": "application/target"}, b"target body")
    etag = await etag_of(there)
    await link(there, "hard", "target/thing", etag)
    await link(there, "soft", "target/th ing")
    hard, soft = (await there("GET", "links", query={"format": "json"})).json()
    assert (hard["hash"], hard["bytes"], hard["content_type"]) == (EMPTY, 0, "application/target")
    assert hard["symlink_path"] == f"/v1/{HOME}/target/thing"
    assert (hard["symlink_etag"], hard["symlink_bytes"]) == (etag, 11)
    assert soft["symlink_path"] == f"/v1/{HOME}/target/th%20ing"
    assert soft["content_type"] == "application/symlink"
    assert "symlink_etag" not in soft
    assert b"symlink" not in (await there("GET", "links", query={"format": "xml"})).body.replace(b"/symlink", b"")


async def test_copies_of_links_and_of_what_they_name(there: Client) -> None:
    await link(there, "a", "target/thing")
    assert (await there("COPY", "links/a", {"Destination": "links/itself"}, query={"symlink": "get"})).status == 201
    assert (await there("HEAD", "links/itself", query={"symlink": "get"}))["x-symlink-target"] == "target/thing"
    assert (await there("PUT", "links/copy", {"X-Copy-From": "links/a"})).status == 201
    answer = await there("GET", "links/copy", query={"symlink": "get"})
    assert answer.body == b"target body"
    assert "x-symlink-target" not in answer.headers
    assert (await there("COPY", "links/a", {"Destination": "target/thing"}, query={"symlink": "get"})).status == 400
    answer = await there("PUT", "links/b", {"X-Copy-From": "target/thing", "X-Symlink-Target": "target/thing"})
    assert answer.status == 400


async def test_the_principals_right_decides(there: Client) -> None:
    away = "AUTH_away-id"
    stranger = {"token": "stranger", "account": away}
    assert (await there("PUT", "mine", **stranger)).status == 201  # type: ignore[arg-type]
    headers = {"X-Symlink-Target": "target/thing", "X-Symlink-Target-Account": HOME}
    assert (await there("PUT", "mine/a", headers, **stranger)).status == 201  # type: ignore[arg-type]
    etag = await etag_of(there)
    static = {**headers, "X-Symlink-Target-Etag": etag}
    assert (await there("PUT", "mine/b", static, **stranger)).status == 403  # type: ignore[arg-type]
    answer = await there("GET", "mine/a", **stranger)  # type: ignore[arg-type]
    assert (answer.status, answer["content-location"]) == (403, f"/v1/{HOME}/target/thing")
    await there("POST", "target", {"X-Container-Read": "away-id:*"})
    assert (await there("GET", "mine/a", **stranger)).body == b"target body"  # type: ignore[arg-type]
    assert (await there("PUT", "mine/b", static, **stranger)).status == 201  # type: ignore[arg-type]
    itself = await there("HEAD", "mine/a", query={"symlink": "get"}, **stranger)  # type: ignore[arg-type]
    assert itself["x-symlink-target-account"] == HOME
    (row, _) = (await there("GET", "mine", query={"format": "json"}, **stranger)).json()  # type: ignore[arg-type]
    assert row["symlink_path"] == f"/v1/{HOME}/target/thing"


async def test_large_objects_behind_links_and_links_within_them(there: Client) -> None:
    await there.fill("target", ["part1", "part2"], b"abc")
    await link(there, "seg", "target/part1")
    manifest = json.dumps([{"path": "links/seg"}, {"path": "target/part2"}]).encode()
    answer = await there("PUT", "target/whole", body=manifest, query={"multipart-manifest": "put"})
    assert answer.status == 201
    assert (await there("GET", "target/whole")).body == b"abcabc"
    manifest_etag = (await there("HEAD", "target/whole"))["x-manifest-etag"]
    answer = await there(
        "PUT",
        "links/bad",
        {"X-Symlink-Target": "target/whole", "X-Symlink-Target-Etag": await etag_of(there, "target/whole")},
    )
    assert answer.status == 409
    await link(there, "whole", "target/whole", manifest_etag)
    answer = await there("GET", "links/whole", {"Range": "bytes=2-3"})
    assert (answer.status, answer.body) == (206, b"ca")
    assert answer["content-location"] == f"/v1/{HOME}/target/whole"
    assert (await there("HEAD", "links/whole"))["content-length"] == "6"
    for method in ("GET", "HEAD"):
        answer = await there(method, "links/whole", query={"multipart-manifest": "get"})
        assert answer["content-type"].startswith("application/json")
    rows = (await there("GET", "links", query={"format": "json"})).json()
    assert (rows[1]["symlink_bytes"], rows[1]["symlink_etag"]) == (6, manifest_etag)
    assert rows[1]["slo_etag"] == (await there("HEAD", "target/whole"))["etag"]
    await there("PUT", "target/dynamic", {"X-Object-Manifest": "target/part"})
    await link(there, "dynamic", "target/dynamic")
    assert (await there("GET", "links/dynamic")).body == b"abcabc"
    await there("PUT", "links/seg", {"X-Symlink-Target": "target/none"})
    assert (await there("GET", "target/whole")).status == 409
