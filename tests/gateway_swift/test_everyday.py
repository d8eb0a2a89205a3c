"""The verbs of accounts, containers and objects, as an everyday client uses them."""

from __future__ import annotations

import hashlib

import pytest

from tests.gateway_swift.client import HOME, Client


async def test_a_life(client: Client) -> None:
    assert (await client("PUT", "photos")).status == 201
    assert (await client("PUT", "photos")).status == 202
    answer = await client("PUT", "photos/one", {"Content-Type": "image/png", "X-Object-Meta-Who": "é"}, b"data")
    assert answer.status == 201
    assert answer["etag"] == hashlib.md5(b"data").hexdigest()
    assert answer["last-modified"].endswith("GMT")
    answer = await client("GET", "photos/one")
    assert (answer.status, answer.body) == (200, b"data")
    assert answer["content-type"] == "image/png"
    assert answer["x-object-meta-who"] == "é"
    assert answer["accept-ranges"] == "bytes"
    assert answer.pieces == 1
    answer = await client("HEAD", "photos/one")
    assert (answer.status, answer.body, answer["content-length"]) == (200, b"", "4")
    answer = await client("POST", "photos/one", {"X-Object-Meta-Else": "x"})
    assert answer.status == 202
    answer = await client("HEAD", "photos/one")
    assert "x-object-meta-who" not in answer.headers
    assert answer["x-object-meta-else"] == "x"
    assert answer["content-type"] == "image/png"
    assert (await client("DELETE", "photos")).status == 409
    assert (await client("DELETE", "photos/one")).status == 204
    assert (await client("DELETE", "photos/one")).status == 404
    assert (await client("GET", "photos/one")).status == 404
    assert (await client("DELETE", "photos")).status == 204
    assert (await client("DELETE", "photos")).status == 404


async def test_an_account_looks_empty_before_its_first_write(client: Client) -> None:
    answer = await client("GET")
    assert (answer.status, answer.body) == (204, b"")
    assert answer["x-account-container-count"] == "0"
    assert (await client("GET", query={"format": "json"})).json() == []
    assert (await client("HEAD")).status == 204
    assert (await client("GET", "none")).status == 404
    assert (await client("POST", headers={"X-Account-Meta-A": "b"})).status == 204
    assert (await client("HEAD"))["x-account-meta-a"] == "b"


async def test_counts(client: Client) -> None:
    await client.fill("c", ["a", "b"], b"12345")
    answer = await client("HEAD", "c")
    assert (answer.status, answer["x-container-object-count"], answer["x-container-bytes-used"]) == (204, "2", "10")
    assert answer["x-storage-policy"] == "standard"
    answer = await client("HEAD")
    assert answer["x-account-object-count"] == "2"
    assert answer["x-account-bytes-used"] == "10"
    assert answer["x-account-container-count"] == "1"
    assert answer["x-account-storage-policy-standard-container-count"] == "1"
    assert answer["x-account-storage-policy-standard-object-count"] == "2"
    assert answer["x-account-storage-policy-standard-bytes-used"] == "10"


async def test_a_policy_of_empty_containers_is_counted(client: Client) -> None:
    await client("PUT", "c")
    await client("PUT", "d")
    answer = await client("HEAD")
    assert answer["x-account-storage-policy-standard-container-count"] == "2"
    assert answer["x-account-storage-policy-standard-object-count"] == "0"
    assert answer["x-account-storage-policy-standard-bytes-used"] == "0"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_all_sizes(client: Client, size: int, chunked: bool) -> None:
    await client("PUT", "c")
    data = bytes(i * 7 % 251 for i in range(size))
    pieces = [data[at : at + 50_000] for at in range(0, size, 50_000)] or [b""]
    headers = {} if chunked else {"Content-Length": str(size)}
    answer = await client("PUT", "c/o", headers, pieces, chunked=chunked)
    assert answer.status == 201
    assert answer["etag"] == hashlib.md5(data).hexdigest()
    answer = await client("GET", "c/o")
    assert answer.body == data
    assert answer["content-length"] == str(size)
    assert client.store.uploads_begun == client.store.uploads_left == (size > 65_536)


async def test_a_body_that_ends_early_leaves_nothing(client: Client) -> None:
    await client("PUT", "c")
    for size in (10, 1_000_000):
        answer = await client("PUT", "c/o", {"Content-Length": str(size)}, [b"half", None])
        assert answer.status == 499
        answer = await client("PUT", "c/o", {"Content-Length": str(size)}, [b"half"])
        assert answer.status == 499
        assert (await client("PUT", "c/o", {}, [b"x" * 100_000, None], chunked=True)).status == 499
    assert (await client("HEAD", "c/o")).status == 404
    assert client.store.uploads_begun == client.store.uploads_left > 0


async def test_a_wrong_etag_is_refused(client: Client) -> None:
    await client("PUT", "c")
    for size in (10, 100_000):
        data = b"x" * size
        for chunked in (False, True):
            answer = await client("PUT", "c/o", {"ETag": "0" * 32}, data, chunked=chunked)
            assert answer.status == 422
            assert (await client("HEAD", "c/o")).status == 404
            right = f'"{hashlib.md5(data).hexdigest()}"'
            assert (await client("PUT", "c/o", {"ETag": right}, data, chunked=chunked)).status == 201
            assert (await client("DELETE", "c/o")).status == 204


async def test_what_a_put_must_state(client: Client) -> None:
    await client("PUT", "c")
    assert (await client("PUT", "c/o", body=[b"x"])).status == 411
    assert (await client("PUT", "c/o", {"Content-Length": "5368709123"})).status == 413
    assert (await client("PUT", "c/o", {"Content-Length": "-1"})).status == 400
    assert (await client("PUT", "c/o", {"Content-Length": "x"})).status == 400
    assert (await client("PUT", "c/o", {"Transfer-Encoding": "gzip"})).status == 501
    assert (await client("PUT", "none/o")).status == 404
    answer = await client("PUT", "c/o", {"Content-Type": "text/plain; swift_bytes=3"})
    assert answer.status == 400


async def test_an_account_is_made_and_removed_by_a_reseller_alone(client: Client) -> None:
    assert (await client("PUT")).status == 403
    assert (await client("PUT", token="reseller")).status == 201
    assert (await client("PUT", token="reseller")).status == 202
    assert (await client("DELETE")).status == 403
    await client("PUT", "c")
    assert (await client("DELETE", token="reseller")).status == 409
    await client("DELETE", "c")
    assert (await client("DELETE", token="reseller")).status == 204
    assert (await client("DELETE", token="reseller", account=HOME)).status == 404
