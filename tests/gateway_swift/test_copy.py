"""Copies made by the gateway."""

from __future__ import annotations

import pytest

from gateway.swift.config import Config, Limits
from tests.gateway_swift.client import HOME, Client

DATA = {"small": b"data", "large": bytes(i * 7 % 251 for i in range(1_500_000))}
AWAY = "AUTH_away-id"


@pytest.fixture(params=["small", "large"])
async def ready(client: Client, request: pytest.FixtureRequest) -> tuple[Client, bytes]:
    data = DATA[request.param]
    await client("PUT", "c")
    await client("PUT", "d e")
    headers = {"Content-Type": "x/y", "X-Object-Meta-A": "1", "X-Object-Meta-B": "2", "Content-Encoding": "gzip"}
    await client("PUT", "c/ö/1", {**headers, "X-Delete-At": "1800000000"}, data)
    return client, data


@pytest.mark.parametrize("way", ["COPY", "PUT"])
async def test_both_ways(ready: tuple[Client, bytes], way: str) -> None:
    client, data = ready
    headers = {"X-Object-Meta-B": "3", "X-Object-Meta-C": "4"}
    if way == "COPY":
        answer = await client("COPY", "c/ö/1", {"Destination": "/d%20e/n%c3%b6", **headers})
    else:
        answer = await client("PUT", "d e/nö", {"X-Copy-From": "c/%C3%B6/1", **headers})
    assert answer.status == 201
    source = await client("HEAD", "c/ö/1")
    assert answer["x-copied-from"] == "c/%C3%B6/1"
    assert answer["x-copied-from-account"] == HOME
    assert answer["x-copied-from-last-modified"] == source["last-modified"]
    assert answer["x-object-meta-b"] == "3"
    assert answer["etag"] == source["etag"]
    seen = await client("GET", "d e/nö")
    assert seen.body == data
    assert [seen[f"x-object-meta-{name}"] for name in "abc"] == ["1", "3", "4"]
    assert (seen["content-type"], seen["content-encoding"]) == ("x/y", "gzip")
    assert seen["x-delete-at"] == "1800000000"


async def test_fresh_metadata(ready: tuple[Client, bytes]) -> None:
    client, data = ready
    headers = {"Destination": "c/2", "X-Fresh-Metadata": "true", "X-Object-Meta-C": "4"}
    assert (await client("COPY", "c/ö/1", headers)).status == 201
    seen = await client("GET", "c/2")
    assert seen.body == data
    assert seen["x-object-meta-c"] == "4"
    assert seen["content-type"] == "x/y"
    assert not {"x-object-meta-a", "content-encoding", "x-delete-at"} & set(seen.headers)
    await client("COPY", "c/ö/1", {"Destination": "c/3", "Content-Type": "new/type"})
    assert (await client("HEAD", "c/3"))["content-type"] == "new/type"


async def test_onto_itself(ready: tuple[Client, bytes]) -> None:
    client, data = ready
    answer = await client("COPY", "c/ö/1", {"Destination": "c/ö/1", "X-Object-Meta-New": "x"})
    assert answer.status == 201
    seen = await client("GET", "c/ö/1")
    assert (seen.body, seen["x-object-meta-new"], seen["x-object-meta-a"]) == (data, "x", "1")


async def test_ranges(ready: tuple[Client, bytes]) -> None:
    client, data = ready
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "Range": "bytes=1-2"})).status == 201
    assert (await client("GET", "c/2")).body == data[1:3]
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "Range": "bytes=99999999-"})).status == 416
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "Range": "bytes=0-0,2-2"})).status == 400


async def test_conditions(ready: tuple[Client, bytes]) -> None:
    client, _data = ready
    etag = (await client("HEAD", "c/ö/1"))["etag"]
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "If-Match": "x"})).status == 412
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "If-Match": etag})).status == 201
    assert (await client("COPY", "c/ö/1", {"Destination": "c/2", "If-None-Match": "*"})).status == 412
    assert (await client("COPY", "c/ö/1", {"Destination": "c/3", "If-None-Match": "*"})).status == 201


@pytest.mark.parametrize("destination", ["", "c", "c/", "/c", "//o", "/"])
async def test_destinations_that_name_nothing(client: Client, destination: str) -> None:
    await client.fill("c", ["o"])
    assert (await client("COPY", "c/o", {"Destination": destination})).status == 412
    assert (await client("PUT", "c/x", {"X-Copy-From": destination or "/"})).status == 412


async def test_refusals(client: Client) -> None:
    await client.fill("c", ["o"])
    assert (await client("COPY", "c/o")).status == 412
    assert (await client("COPY", "c/none", {"Destination": "c/x"})).status == 404
    assert (await client("COPY", "none/o", {"Destination": "c/x"})).status == 404
    assert (await client("COPY", "c/o", {"Destination": "none/x"})).status == 404
    assert (await client("COPY", "c/o", {"Destination": "c/" + "x" * 1025})).status == 400
    assert (await client("COPY", "c/o", {"Destination": "c/%ff"})).status == 412
    assert (await client("COPY", "c/o", {"Destination": "c/%00"})).status == 412
    assert (await client("PUT", "c/x", {"X-Copy-From": "c/o"}, b"body")).status == 400
    assert (await client("COPY", "c/o", {"Destination": "c/x", "Destination-Account": "a/b"})).status == 412
    assert (await client("COPY", "c/o", {"Destination": "c/x", "Destination-Account": ""})).status == 412


async def test_metadata_may_not_grow_over_the_limit(client: Client) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", {f"X-Object-Meta-A{index}": "x" for index in range(60)})
    more = {f"X-Object-Meta-B{index}": "x" for index in range(60)}
    assert (await client("COPY", "c/o", {"Destination": "c/x", **more})).status == 400
    assert (await client("COPY", "c/o", {"Destination": "c/x", "X-Fresh-Metadata": "1", **more})).status == 201


async def test_between_accounts(client: Client) -> None:
    await client.fill("c", ["o"], b"data")
    await client("PUT", "theirs", account=AWAY, token="stranger")
    to = {"Destination": "theirs/x", "Destination-Account": AWAY}
    assert (await client("COPY", "c/o", to)).status == 403
    await client("POST", "theirs", {"X-Container-Write": "home:olga"}, account=AWAY, token="stranger")
    answer = await client("COPY", "c/o", to)
    assert (answer.status, answer["x-copied-from-account"]) == (201, HOME)
    assert (await client("GET", "theirs/x", account=AWAY, token="stranger")).body == b"data"
    back = {"X-Copy-From": "theirs/x", "X-Copy-From-Account": AWAY}
    assert (await client("PUT", "c/back", back)).status == 403
    await client("POST", "theirs", {"X-Container-Read": "home:olga"}, account=AWAY, token="stranger")
    answer = await client("PUT", "c/back", back)
    assert (answer.status, answer["x-copied-from-account"]) == (201, AWAY)


async def test_what_is_too_large() -> None:
    client = Client(Config(limits=Limits(max_file_size=10)))
    await client.fill("c", ["s1", "s2"], b"123456")
    await client("PUT", "c/m", {"X-Object-Manifest": "c/s"})
    assert (await client("COPY", "c/m", {"Destination": "c/x"})).status == 413
    assert (await client("PUT", "c/y", body=[b"x" * 11], chunked=True)).status == 413
    large = [b"x" * 70_000, b"y"]
    assert (await client("PUT", "c/y", body=large, chunked=True)).status == 413
    assert (await client("HEAD", "c/y")).status == 404
