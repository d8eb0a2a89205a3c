"""Small features that an account, a container or an operator chooses: quoted etags, what expired, old clients."""

from __future__ import annotations

import hashlib

from gateway.swift.access import tempurl
from gateway.swift.config import Config
from tests.gateway_swift.client import HOME, Client

BARE = hashlib.md5(b"data").hexdigest()
FLAG = "X-Container-Rfc-Compliant-Etags"


async def test_etags_in_quotes(client: Client) -> None:
    await client.fill("c", ["o"], b"data")

    async def shown() -> str:
        assert (await client("PUT", "c/o", body=b"data"))["etag"] == (await client("HEAD", "c/o"))["etag"]
        return (await client("GET", "c/o"))["etag"]

    assert await shown() == BARE
    for flag, expected in (("t", f'"{BARE}"'), ("f", BARE)):
        assert (await client("POST", "c", {FLAG: flag})).status == 204
        assert await shown() == expected
    assert (await client("HEAD", "c"))[FLAG.lower()] == "False"
    await client("POST", headers={"X-Account-Rfc-Compliant-Etags": "yes"})
    assert await shown() == BARE
    await client("POST", "c", {FLAG: ""})
    assert await shown() == f'"{BARE}"'
    assert (await client("GET", "c/o", {"If-None-Match": f'"{BARE}"'})).status == 304
    await client("POST", headers={"X-Remove-Account-Rfc-Compliant-Etags": "x"})
    assert await shown() == BARE
    await client("PUT", "d", {FLAG: "1"})
    copied = await client("COPY", "c/o", {"Destination": "d/o"})
    assert copied["etag"] == f'"{BARE}"'


async def test_etags_in_quotes_by_default() -> None:
    client = Client(Config(quote_etags=True))
    await client.fill("c", ["o"], b"data")
    assert (await client("HEAD", "c/o"))["etag"] == f'"{BARE}"'
    assert (await client("GET", "/info", raw=True)).json()["etag_quoter"] == {"enable_by_default": True}


async def test_what_has_expired_can_be_seen_and_saved_where_allowed() -> None:
    for allowed in (True, False):
        for data in (b"data", b"x" * 200_000):
            client = Client(Config(open_expired=allowed))
            await client.fill("c", ["o"])
            now = client.clock.wall_us() // 1_000_000
            ends = {"X-Delete-At": str(now + 10), "X-Object-Meta-A": "a"}
            assert (await client("PUT", "c/o", ends, data)).status == 201
            client.clock.advance(11)
            wanted = {"X-Open-Expired": "true"}
            for method in ("GET", "HEAD", "POST"):
                assert (await client(method, "c/o")).status == 404
                assert (await client(method, "c/none", wanted)).status == 404
            assert (await client("GET", "c/o", wanted)).status == (200 if allowed else 404)
            assert (await client("HEAD", "c/o", wanted)).status == (200 if allowed else 404)
            assert (await client("POST", "c/o", {**wanted, "X-Object-Meta-B": "b"})).status == (202 if allowed else 404)
            answer = await client("GET", "c/o")
            assert answer.status == (200 if allowed else 404)
            if allowed:
                assert (answer.body, answer["x-object-meta-b"]) == (data, "b")


async def test_a_signed_url_opens_nothing_that_has_expired() -> None:
    client = Client(Config(open_expired=True))
    await client("PUT", "c", {"X-Container-Meta-Temp-URL-Key": "k"})
    now = client.clock.wall_us() // 1_000_000
    await client("PUT", "c/o", {"X-Delete-At": str(now + 10)}, b"data")
    signature = tempurl.sign("GET", 4_000_000_000, f"/v1/{HOME}/c/o", "k", "sha256").hex()
    query = {"temp_url_sig": signature, "temp_url_expires": "4000000000"}
    wanted = {"X-Open-Expired": "true"}
    assert (await client("GET", "c/o", wanted, token=None, query=query)).status == 200
    client.clock.advance(11)
    assert (await client("GET", "c/o", wanted, token=None, query=query)).status == 404
    assert (await client("GET", "c/o", wanted)).status == 200


async def test_crossdomain(client: Client) -> None:
    answer = await client("GET", "/crossdomain.xml", raw=True, token=None)
    assert answer.status == 200
    assert answer["content-type"].startswith("application/xml")
    assert b'<allow-access-from domain="*" secure="false" />' in answer.body
    assert (await client("PUT", "/crossdomain.xml", raw=True)).status == 412


async def test_a_put_that_says_nothing_moves_last_modified(client: Client) -> None:
    await client("PUT", "c")
    before = (await client("HEAD", "c"))["last-modified"]
    client.clock.advance(2)
    assert (await client("PUT", "c")).status == 202
    answer = await client("HEAD", "c")
    assert answer["last-modified"] != before
    assert not [name for name in answer.headers if name.startswith(".")]


async def test_etags_are_quoted_by_what_is_read_through_a_link_or_copied() -> None:
    client = Client()
    await client("PUT", "quoting", {FLAG: "true"})
    await client("PUT", "quoting/o", body=b"data")
    await client("PUT", "plain")
    await client("PUT", "plain/link", {"X-Symlink-Target": "quoting/o"})
    for method in ("GET", "HEAD"):
        assert (await client(method, "plain/link"))["etag"].startswith('"')
    assert (await client("COPY", "quoting/o", {"Destination": "plain/copy"}))["etag"].startswith('"')
    assert not (await client("GET", "plain/copy"))["etag"].startswith('"')
