"""Static large objects."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.objects.notes import MANIFEST_DEPTH
from gateway.swift.config import Config, Limits
from store.core.errors import FullError
from store.objects.model import ObjectHead, ObjectInfo
from tests.gateway_swift.client import HOME, Answer, Client

A, B, C = b"a" * 100, b"b" * 200_000, b"c" * 7
PUT, GET, RAW = (
    {"multipart-manifest": "put"},
    {"multipart-manifest": "get"},
    {"multipart-manifest": "get", "format": "raw"},
)
Entry = dict[str, Any]


def md5(*data: bytes | str) -> str:
    return hashlib.md5(b"".join(part.encode() if isinstance(part, str) else part for part in data)).hexdigest()


def entry(path: str, data: bytes, **more: Any) -> Entry:
    return {"path": path, "etag": md5(data), "size_bytes": len(data), **more}


@pytest.fixture
async def ready(client: Client) -> Client:
    await client("PUT", "c")
    await client("PUT", "segs")
    for name, data in (("a", A), ("b", B), ("ö c", C)):
        await client("PUT", f"segs/{name}", body=data)
    assert (await put(client, "c/m", [entry("/segs/a", A), entry("segs/b", B), entry("/segs/ö c", C)])).status == 201
    return client


async def _full(*_args: Any, **_more: Any) -> Any:
    raise FullError("no room")


async def put(client: Client, path: str, entries: Any, headers: dict[str, str] | None = None, **query: str) -> Answer:
    return await client("PUT", path, headers, json.dumps(entries).encode(), query={**PUT, **query})


async def test_reading(ready: Client) -> None:
    whole = A + B + C
    etag = f'"{md5(md5(A), md5(B), md5(C))}"'
    answer = await ready("GET", "c/m")
    assert answer.body == whole
    assert answer.whole
    assert answer["etag"] == etag
    assert answer["x-static-large-object"] == "True"
    assert "x-manifest-etag" in answer.headers
    head = await ready("HEAD", "c/m")
    assert (head["content-length"], head["etag"]) == (str(len(whole)), etag)
    assert head["x-manifest-etag"] == answer["x-manifest-etag"]
    assert not [name for name in head.headers if "slo" in name]
    row = (await ready("GET", "c", query={"format": "json"})).json()[0]
    assert (row["bytes"], row["slo_etag"], row["hash"]) == (len(whole), etag, head["x-manifest-etag"])


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (99, 101), (100, 200_100), (50, 200_105), (200_100, 200_107), (0, 200_107)]
)
async def test_ranges(ready: Client, start: int, stop: int) -> None:
    whole = A + B + C
    answer = await ready("GET", "c/m", {"Range": f"bytes={start}-{stop - 1}"})
    assert (answer.status, answer.body) == (206, whole[start:stop])
    assert answer["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


async def test_other_ranges(ready: Client) -> None:
    answer = await ready("GET", "c/m", {"Range": "bytes=98-101,-2"})
    assert answer.status == 206
    assert answer.whole
    assert b"\r\n\r\naabb\r\n" in answer.body
    assert (await ready("GET", "c/m", {"Range": "bytes=99999999-"})).status == 416


async def test_conditions(ready: Client) -> None:
    head = await ready("HEAD", "c/m")
    for method in ("GET", "HEAD"):
        assert (await ready(method, "c/m", {"If-None-Match": head["etag"]})).status == 304
        assert (await ready(method, "c/m", {"If-Match": head["etag"]})).status == 200
        assert (await ready(method, "c/m", {"If-Match": head["x-manifest-etag"]})).status == 412


async def test_the_manifest_itself(ready: Client) -> None:
    answer = await ready("GET", "c/m", query=GET)
    assert answer["content-type"] == "application/json; charset=utf-8"
    assert answer["etag"] == md5(answer.body)
    first, _, last = answer.json()
    assert last["name"] == "/segs/ö c"
    assert first.pop("last_modified").startswith("2023-11-14T")
    assert first == {"name": "/segs/a", "bytes": 100, "hash": md5(A), "content_type": "application/octet-stream"}
    assert (await ready("HEAD", "c/m", query=GET))["content-length"] == str(len(answer.body))
    raw = await ready("GET", "c/m", query=RAW)
    assert raw.json()[0] == entry("/segs/a", A)
    assert raw["etag"] == md5(raw.body)
    assert (await ready("PUT", "c/m2", body=raw.body, query=PUT)).status == 201
    assert (await ready("GET", "c/m2")).body == A + B + C


async def test_parts_of_segments_and_bytes_within(ready: Client) -> None:
    data = base64.b64encode(b"inline").decode()
    entries = [
        entry("segs/a", A, range="10-19"),
        {"data": data},
        entry("segs/b", B, range="-5"),
        entry("segs/a", A, range="0-99"),
    ]
    answer = await put(ready, "c/p", entries)
    assert answer.status == 201
    etag = md5(md5(A), ":10-19;", md5(b"inline"), md5(B), ":199995-199999;", md5(A))
    assert answer["etag"] == f'"{etag}"'
    whole = A[10:20] + b"inline" + B[-5:] + A
    assert (await ready("GET", "c/p")).body == whole
    for start in range(0, 25, 3):
        answer = await ready("GET", "c/p", {"Range": f"bytes={start}-{start + 7}"})
        assert answer.body == whole[start : start + 8]
    raw = (await ready("GET", "c/p", query=RAW)).json()
    assert raw[0]["range"] == "10-19"
    assert "range" not in raw[3]
    assert raw[1] == {"data": data}


async def test_manifests_within(ready: Client) -> None:
    whole = A + B + C
    head = await ready("HEAD", "c/m")
    sub = {"path": "c/m", "etag": head["etag"].strip('"'), "size_bytes": len(whole)}
    assert (await put(ready, "c/n", [sub, entry("segs/a", A), {**sub, "range": "50-150"}])).status == 201
    expected = whole + A + whole[50:151]
    assert (await ready("GET", "c/n")).body == expected
    assert (await ready("GET", "c/n", {"Range": "bytes=99-200000"})).body == expected[99:200_001]
    assert (await ready("GET", "c/n", {"Range": "bytes=-20"})).body == expected[-20:]
    assert (await ready("GET", "c/n", query=GET)).json()[0]["sub_slo"] is True
    deep = "c/n"
    for depth in range(8):
        size = int((await ready("HEAD", deep))["content-length"])
        assert (await put(ready, f"c/deep{depth}", [{"path": deep, "size_bytes": size}])).status == 201
        deep = f"c/deep{depth}"
    assert (await ready("GET", "c/deep7")).body == expected
    refused = await put(ready, "c/deep8", [{"path": deep}])
    assert refused.status == 400
    assert b"c/deep7, Nested too deeply: at most 10 manifests can be within each other" in refused.body
    assert (await ready("HEAD", "c/deep8")).status == 404
    # Where a link points is known only when it is read.
    assert (await ready("PUT", "c/link", {"X-Symlink-Target": "c/deep7", "Content-Length": "0"})).status == 201
    assert (await put(ready, "c/behind", [{"path": "c/link"}])).status == 201
    assert (await ready("GET", "c/behind")).status == 409


async def test_manifests_that_do_not_say_how_deep_they_are(ready: Client) -> None:
    """Those kept before the depth was noted are looked through."""
    depths = [path := "c/m"]
    for depth in range(9):
        assert (await put(ready, f"c/deep{depth}", [{"path": path}, entry("segs/a", A)])).status == 201
        depths.append(path := f"c/deep{depth}")
    held = await ready.store.container(HOME, "c")
    for name in depths:

        def without(info: ObjectInfo) -> ObjectHead:
            headers = {name: value for name, value in info.head.headers.items() if name != MANIFEST_DEPTH}
            return replace(info.head, headers=headers)

        await ready.store.update(held, name.removeprefix("c/"), without)
    assert (await put(ready, "c/deeper", [{"path": "c/deep7"}])).status == 201
    refused = await put(ready, "c/too-deep", [{"path": "c/deep8"}])
    assert (refused.status, b"Nested too deeply" in refused.body) == (400, True)
    await ready("DELETE", "c/deep0")
    assert (await put(ready, "c/too-deep", [{"path": "c/deep8"}])).status == 201  # and is not to be read anyhow


async def test_mistakes_are_listed(ready: Client) -> None:
    answer = await put(
        ready,
        "c/x",
        [
            {"path": "segs/a", "etag": "0" * 32},
            {"path": "segs/a", "size_bytes": 5},
            {"path": "segs/n o"},
            {"path": "none/none"},
            {"path": "segs/a", "range": "100-"},
        ],
    )
    assert answer.status == 400
    assert answer.body == (
        b"Errors:\nsegs/a, Etag Mismatch\nsegs/a, Size Mismatch\nsegs/n%20o, 404 Not Found\n"
        b"none/none, 404 Not Found\nsegs/a, Unsatisfiable Range\n"
    )
    answer = await put(ready, "c/x", [{"path": "segs/none"}], {"Accept": "application/json"})
    assert answer.json() == {"Errors": [["segs/none", "404 Not Found"]]}
    answer = await put(ready, "c/x", [{"path": "segs/<"}], {"Accept": "text/xml"})
    assert b"<upload>" in answer.body
    assert b"<name>segs/%3C</name>" in answer.body
    assert (await ready("HEAD", "c/x")).status == 404


async def test_empty_segments(ready: Client) -> None:
    await ready("PUT", "segs/empty")
    answer = await put(ready, "c/x", [{"path": "segs/empty"}, {"path": "segs/a"}])
    assert b"Too small" in answer.body
    assert (await put(ready, "c/x", [{"path": "segs/a"}, {"path": "segs/empty"}])).status == 201
    assert (await ready("GET", "c/x")).body == A
    assert (await put(ready, "c/x", [])).status == 201
    answer = await ready("GET", "c/x")
    assert (answer.status, answer.body) == (200, b"")


async def test_etags_that_clients_state(ready: Client) -> None:
    whole = md5(md5(A))
    assert (await put(ready, "c/x", [{"path": "segs/a"}], {"ETag": "0" * 32})).status == 422
    assert (await put(ready, "c/x", [{"path": "segs/a"}], {"ETag": f'"{whole}"'})).status == 201
    assert (await put(ready, "c/x", [{"path": "segs/a"}], {"If-None-Match": "*"})).status == 412


async def test_writes_know_the_whole_by_its_etag(ready: Client) -> None:
    head = await ready("HEAD", "c/m")
    for etag, status in ((head["x-manifest-etag"], 412), ("x", 412), (head["etag"], 204)):
        assert (await ready("DELETE", "c/m", {"If-Match": etag})).status == status
    assert (await put(ready, "c/m", [{"path": "segs/a"}], {"If-Match": "*"})).status == 412
    assert (await put(ready, "c/m", [{"path": "segs/a"}], {"If-None-Match": "*"})).status == 201
    whole = md5(md5(A))
    assert (await put(ready, "c/m", [{"path": "segs/b"}], {"If-Match": whole})).status == 201
    assert (await ready("PUT", "c/m", {"If-Match": whole}, b"x")).status == 412
    assert (await ready("PUT", "c/m", {"If-Match": md5(md5(B))}, b"x")).status == 201


async def test_limits() -> None:
    client = Client(Config(limits=Limits(max_manifest_segments=3)))
    await client.fill("c", ["a"], b"x")
    assert (await put(client, "c/m", [{"path": "c/a"}] * 3)).status == 201
    answer = await put(client, "c/m", [{"path": "c/a"}] * 4)
    assert (answer.status, answer.body) == (413, b"Number of object-backed segments must be <= 3")
    assert (await put(client, "c/m", [{"path": "c/a"}, *[{"data": "YQ=="}] * 30])).status == 413
    client = Client(Config(limits=Limits(max_manifest_segments=3, max_manifest_size=500)))
    await client.fill("c", ["a"], b"x")
    for chunked in (False, True):
        answer = await client("PUT", "c/m", body=b" " * 501, query=PUT, chunked=chunked)
        assert (answer.status, answer.body) == (413, b"Manifest File > 500 bytes")
    assert (await client("PUT", "c/m", body=[b"[]"], query=PUT)).status == 411


async def test_a_long_manifest(client: Client) -> None:
    await client.fill("c", [f"{'n' * 100}{index}" for index in range(400)], b"xy")
    entries = [{"path": f"c/{'n' * 100}{index}"} for index in range(400)]
    assert (await put(client, "c/m", entries)).status == 201
    assert client.store.uploads_begun == client.store.uploads_left == 1
    assert (await client("GET", "c/m")).body == b"xy" * 400


async def test_what_is_refused(ready: Client) -> None:
    assert (await ready("PUT", "c/x", body=b"{", query=PUT)).status == 400
    assert (await put(ready, "none/x", [{"path": "segs/a"}])).status == 404
    assert (await put(ready, "c/x", [{"path": "c/x"}])).status == 400
    assert (await ready("PUT", "c/x", {"X-Copy-From": "c/m"}, query=PUT)).status == 405
    assert (await ready("PUT", "c/x", {"X-Static-Large-Object": "True"})).status == 400


async def test_segments_that_changed(ready: Client) -> None:
    await ready("PUT", "segs/ö c", body=b"changed")
    answer = await ready("GET", "c/m")
    assert not answer.whole
    assert answer.body == A + B
    assert (await ready("GET", "c/m", {"Range": "bytes=0-99"})).status == 206
    assert (await ready("GET", "c/m", {"Range": "bytes=-1"})).status == 409
    assert (await ready("COPY", "c/m", {"Destination": "c/copy"})).status == 409
    assert (await ready("HEAD", "c/copy")).status == 404
    await ready("DELETE", "segs/a")
    assert (await ready("GET", "c/m")).status == 409
    assert (await ready("HEAD", "c/m")).status == 200


async def test_segments_are_read_in_the_principals_name(ready: Client) -> None:
    await ready("POST", "c", {"X-Container-Read": ".r:*"})
    assert (await ready("GET", "c/m", token=None)).status == 409
    await ready("POST", "segs", {"X-Container-Read": ".r:*"})
    assert (await ready("GET", "c/m", token=None)).body == A + B + C


async def test_parts_by_number(ready: Client) -> None:
    whole = A + B + C
    for number, piece in ((1, A), (2, B), (3, C)):
        answer = await ready("GET", "c/m", query={"part-number": number})
        assert (answer.status, answer.body, answer["x-parts-count"]) == (206, piece, "3")
        at = whole.index(piece)
        assert answer["content-range"] == f"bytes {at}-{at + len(piece) - 1}/{len(whole)}"
        head = await ready("HEAD", "c/m", query={"part-number": number})
        assert (head.status, head["content-length"]) == (206, str(len(piece)))
    assert (await ready("GET", "c/m", query={"part-number": 4})).status == 416
    assert (await ready("HEAD", "c/m", query={"part-number": 4}))["content-length"] == "0"
    for bad in ("0", "-1", "x", "", "1.5"):
        assert (await ready("GET", "c/m", query={"part-number": bad})).status == 400
        assert (await ready("HEAD", "c/m", query={"part-number": bad})).status == 400
    assert (await ready("GET", "c/m", {"Range": "bytes=0-1"}, query={"part-number": 1})).status == 400
    assert (await ready("GET", "segs/a", query={"part-number": 9})).status == 200
    await ready("COPY", "c/m", {"Destination": "c/part"}, query={"part-number": 3})
    assert (await ready("GET", "c/part")).body == C
    assert (await ready("COPY", "c/m", {"Destination": "c/part"}, query={"part-number": 4})).status == 416


async def test_copies(ready: Client) -> None:
    await ready("POST", "c/m", {"X-Object-Meta-A": "b", "Content-Type": "x/y"})
    assert (await ready("GET", "c/m"))["x-object-meta-a"] == "b"
    assert (await ready("COPY", "c/m", {"Destination": "c/whole"})).status == 201
    seen = await ready("GET", "c/whole")
    assert seen.body == A + B + C
    assert "x-static-large-object" not in seen.headers
    assert seen["etag"] == md5(A + B + C)
    answer = await ready("COPY", "c/m", {"Destination": "c/m2"}, query=GET)
    assert (answer.status, answer["x-copied-from"]) == (201, "c/m")
    seen = await ready("GET", "c/m2")
    assert (seen.body, seen["x-object-meta-a"], seen["content-type"]) == (A + B + C, "b", "x/y")
    assert (await ready("GET", "c/m2", query=GET)).json()[0]["name"] == "/segs/a"
    row = next(row for row in (await ready("GET", "c", query={"format": "json"})).json() if row["name"] == "whole")
    assert "slo_etag" not in row


async def test_removal_with_segments(ready: Client) -> None:
    size = int((await ready("HEAD", "c/m"))["content-length"])
    await put(ready, "c/n", [{"path": "c/m", "size_bytes": size}, {"path": "segs/a"}, {"path": "segs/a"}])
    await ready("PUT", "segs/kept")
    answer = await ready("DELETE", "c/n", {"Accept": "application/json"}, query={"multipart-manifest": "delete"})
    assert answer.status == 200
    assert answer.json() == {
        "Response Status": "200 OK",
        "Response Body": "",
        "Number Deleted": 5,
        "Number Not Found": 2,
        "Errors": [],
    }
    assert (await ready("GET", "c")).body == b""
    assert (await ready("GET", "segs")).body == b"kept\n"


async def test_removals_that_fail(ready: Client) -> None:
    query = {"multipart-manifest": "delete"}
    answer = await ready("DELETE", "segs/a", query=query)
    assert b"Response Status: 400 Bad Request\n" in answer.body
    assert b"segs/a, Not an SLO manifest\n" in answer.body
    answer = await ready("DELETE", "c/none", query=query)
    assert b"Number Not Found: 1\n" in answer.body
    assert (await ready("DELETE", "c/m", {"Accept": "image/png"}, query=query)).status == 406
    assert (await ready("DELETE", "c/m", query=query, token="stranger")).status == 403
    await ready("POST", "c", {"X-Container-Write": "away:sven"})
    answer = await ready("DELETE", "c/m", query=query, token="stranger")
    assert b"/segs/a, 403 Forbidden\n" in answer.body
    assert (await ready("HEAD", "segs/a")).status == 200


async def test_removal_in_one_container(ready: Client) -> None:
    query = {"multipart-manifest": "delete", "async": "on"}
    await put(ready, "c/mixed", [{"path": "segs/a"}, {"path": "c/m"}])
    assert (await ready("DELETE", "c/mixed", query=query)).status == 400
    await put(ready, "c/sub", [{"path": "c/m"}])
    assert (await ready("DELETE", "c/sub", query=query)).status == 400
    assert (await ready("DELETE", "c/m", query=query)).status == 204
    assert (await ready("GET", "segs")).body == b""
    assert (await ready("DELETE", "c/m", query=query)).status == 404


async def test_a_removal_of_too_much_removes_nothing() -> None:
    client = Client(Config(limits=Limits(max_manifest_segments=2)))
    await client.fill("c", ["a"], b"x")
    path = "c/a"
    for depth in range(10):
        assert (await put(client, f"c/m{depth}", [{"path": path}, {"path": "c/a"}])).status == 201
        path = f"c/m{depth}"
    assert (await client("DELETE", "c/m9", query={"multipart-manifest": "delete"})).status == 400
    assert (await client("HEAD", "c/a")).status == 200
    answer = await client("DELETE", "c/m8", query={"multipart-manifest": "delete"})
    assert b"Number Deleted: 10\n" in answer.body


async def test_plain_removal_keeps_segments(ready: Client) -> None:
    assert (await ready("DELETE", "c/m")).status == 204
    assert (await ready("HEAD", "segs/a")).status == 200


async def test_heartbeats(ready: Client) -> None:
    answer = await put(ready, "c/x", [{"path": "segs/a"}], {"Accept": "application/json"}, heartbeat="on")
    assert answer.status == 202
    blanks, _, report = answer.body.partition(b"\r\n\r\n")
    assert blanks.strip() == b""
    found = json.loads(report)
    assert found["Response Status"] == "201 Created"
    assert found["Etag"] == f'"{md5(md5(A))}"'
    answer = await put(ready, "c/y", [{"path": "segs/none"}], heartbeat="on")
    assert answer.status == 202
    assert b"Response Status: 400 Bad Request\n" in answer.body
    assert b"Errors:\nsegs/none, 404 Not Found\n" in answer.body
    answer = await put(ready, "c/y", [{"path": "segs/a"}], {"ETag": "x"}, heartbeat="on")
    assert b"Response Status: 422 Unprocessable Entity\n" in answer.body
    answer = await put(ready, "c/x", [{"path": "segs/a"}], {"X-Else": "x"}, heartbeat="on")
    assert answer.whole
    ready.store.put = _full  # type: ignore[method-assign]
    answer = await put(ready, "c/y", [{"path": "segs/a"}], heartbeat="on")
    assert answer.whole
    assert b"Response Status: 507 Insufficient Storage\n" in answer.body
    assert (await ready("HEAD", "c/y")).status == 404


async def test_a_name_that_nothing_can_have_is_not_found(client: Client) -> None:
    await client.fill("c", [])
    answer = await put(client, "c/slo", [{"path": "/c/" + "n" * 3000}])
    assert (answer.status, b"404 Not Found" in answer.body) == (400, True)
