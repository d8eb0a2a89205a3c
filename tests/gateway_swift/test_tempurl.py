"""Temporary URLs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import tarfile
from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.swift.access import tempurl
from gateway.swift.config import Config
from tests.gateway_swift.client import HOME, Answer, Client
from tests.twins.clock import DAWN_US

EXPIRES = DAWN_US // 1_000_000 + 1000
ISO = "2023-11-14T22:30:00Z"
KEYS = {"account": "key one", "container": "ключ"}


@pytest.fixture
async def ready(client: Client) -> Client:
    await client("POST", headers={"X-Account-Meta-Temp-URL-Key-2": KEYS["account"]})
    await client("PUT", "c", {"X-Container-Meta-Temp-URL-Key": KEYS["container"]})
    await client("PUT", "other")
    await client("PUT", "c/a/ö", {"X-Object-Meta-A": "1", "X-Object-Meta-Public-B": "2"}, b"data")
    return client


def sign(method: str, path: str, key: str = KEYS["account"], digest: str = "sha256", expires: int = EXPIRES) -> str:
    return hmac.new(key.encode(), f"{method}\n{expires}\n{path}".encode(), digest).hexdigest()


async def use(
    client: Client,
    method: str = "GET",
    path: str = "c/a/ö",
    *,
    signature: str | None = None,
    expires: int | str = EXPIRES,
    headers: dict[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
    **query: str,
) -> Answer:
    if signature is None:
        signature = sign(method, f"/v1/{HOME}/{path}")
    full = {"temp_url_sig": signature, "temp_url_expires": str(expires), **query, **(extra or {})}
    return await client(method, path, headers, token=None, query=full)


@pytest.mark.parametrize("key", KEYS.values())
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
async def test_reading(ready: Client, key: str, digest: str) -> None:
    hexadecimal = sign("GET", f"/v1/{HOME}/c/a/ö", key, digest)
    packed = bytes.fromhex(hexadecimal)
    for signature in (
        hexadecimal,
        f"{digest}:{base64.b64encode(packed).decode()}",
        f"{digest}:{base64.urlsafe_b64encode(packed).decode().rstrip('=')}",
    ):
        answer = await use(ready, signature=signature)
        assert (answer.status, answer.body) == (200, b"data")
        assert "x-object-meta-a" not in answer.headers
        assert answer["x-object-meta-public-b"] == "2"
        assert answer["content-disposition"] == f"attachment; filename=\"{quote('ö')}\"; filename*=UTF-8''{quote('ö')}"
        assert answer["expires"] == "Tue, 14 Nov 2023 22:30:00 GMT"
        assert (await use(ready, "HEAD", signature=signature)).status == 200
        assert (await use(ready, signature=signature, expires=ISO)).status == 200
        assert (await use(ready, "PUT", signature=signature)).status == 401


async def test_writing(ready: Client) -> None:
    path = f"/v1/{HOME}/c/new"
    put = sign("PUT", path)
    assert (await use(ready, "PUT", "c/new", signature=put)).status == 201
    assert (await use(ready, "HEAD", "c/new", signature=put)).status == 200
    assert (await use(ready, "HEAD", "c/new", signature=sign("POST", path))).status == 200
    assert (await use(ready, "HEAD", "c/new", signature=sign("DELETE", path))).status == 401
    assert (await use(ready, "GET", "c/new", signature=put)).status == 401
    assert (await use(ready, "POST", "c/new")).status == 202
    assert (await use(ready, "COPY", "c/new", headers={"Destination": "c/x"})).status == 401
    assert (await use(ready, "DELETE", "c/new")).status == 204
    assert (await use(ready, "GET", "c/new")).status == 404


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("header", ["X-Object-Manifest", "X-Symlink-Target", "X-Copy-From"])
async def test_a_write_may_not_point_elsewhere(ready: Client, method: str, header: str) -> None:
    refused = await use(ready, method, headers={header: "other/o"})
    assert (refused.status, refused.body) == (400, f"The header {header!r} is not allowed in this tempurl".encode())
    assert (await ready("GET", "c/a/ö", query={"symlink": "get"})).body == b"data"


@pytest.mark.parametrize(
    "query",
    [
        {"temp_url_sig": ""},
        {"temp_url_sig": "x"},
        {"temp_url_sig": "0" * 64},
        {"temp_url_sig": "é" * 64},
        {"temp_url_sig": "sha256:!"},
        {"temp_url_sig": "md5:AAAA"},
        {"temp_url_expires": ""},
        {"temp_url_expires": "soon"},
        {"temp_url_expires": "1"},
        {"temp_url_expires": "9" * 5000},
        {"temp_url_expires": str(EXPIRES + 1)},
        {"temp_url_ip_range": "192.0.2.0/24"},
        {"temp_url_prefix": "b"},
        {"temp_url_prefix": "a"},
    ],
)
async def test_refusals(ready: Client, query: dict[str, str]) -> None:
    full = {"temp_url_sig": sign("GET", f"/v1/{HOME}/c/a/ö"), "temp_url_expires": str(EXPIRES), **query}
    answer = await ready("GET", "c/a/ö", token=None, query=full)
    assert (answer.status, answer.body) == (401, b"401 Unauthorized: Temp URL invalid\n")
    assert answer["www-authenticate"] == f'Swift realm="{HOME}"'
    for half in ("temp_url_sig", "temp_url_expires"):
        assert (await ready("GET", "c/a/ö", token=None, query={half: full[half]})).status == 401


async def test_time_runs_out(ready: Client) -> None:
    assert (await use(ready)).status == 200
    ready.clock.advance(1001)
    assert (await use(ready)).status == 401


async def test_only_objects_are_signed(ready: Client) -> None:
    for path in ("", "c", "c/"):
        assert (await use(ready, path=path)).status == 401
    assert (await use(ready, path="none/o")).status == 404
    container_key = sign("GET", f"/v1/{HOME}/other/o", KEYS["container"])
    assert (await use(ready, path="other/o", signature=container_key)).status == 401
    unsigned = await ready("GET", "c/a/ö", query={"temp_url_prefix": "x"})
    assert unsigned.status == 200


async def test_prefixes(ready: Client) -> None:
    await ready("PUT", "c/b", body=b"no")
    signature = sign("GET", f"prefix:/v1/{HOME}/c/a/")
    assert (await use(ready, signature=signature, temp_url_prefix="a/")).body == b"data"
    assert (await use(ready, path="c/b", signature=signature, temp_url_prefix="a/")).status == 401
    everything = sign("GET", f"prefix:/v1/{HOME}/c/")
    assert (await use(ready, path="c/b", signature=everything, temp_url_prefix="")).body == b"no"


@pytest.mark.parametrize(("network", "status"), [("192.0.2.0/24", 200), ("192.0.2.7", 200), ("192.0.3.0/24", 401)])
async def test_networks(ready: Client, network: str, status: int) -> None:
    message = f"ip={network}\nGET\n{EXPIRES}\n/v1/{HOME}/c/a/ö"
    signature = hmac.new(KEYS["account"].encode(), message.encode(), "sha256").hexdigest()
    assert (await use(ready, signature=signature, temp_url_ip_range=network)).status == status


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filename": "ä b/c"}, "attachment; filename=\"%C3%A4 b/c\"; filename*=UTF-8''%C3%A4%20b/c"),
        ({"inline": ""}, "inline"),
        ({"inline": "", "filename": "x"}, "inline; filename=\"x\"; filename*=UTF-8''x"),
        ({"filename": 'a"\r\nb'}, "attachment; filename=\"a%22%0D%0Ab\"; filename*=UTF-8''a%22%0D%0Ab"),
    ],
)
async def test_dispositions(ready: Client, query: dict[str, str], expected: str) -> None:
    assert (await use(ready, extra=query))["content-disposition"] == expected
    await ready("POST", "c/a/ö", {"Content-Disposition": "attachment; filename=own"})
    assert (await use(ready))["content-disposition"] == "attachment; filename=own"


async def test_what_a_signature_does_not_cover(ready: Client) -> None:
    await ready("PUT", "c/m", body=b'[{"path": "c/a/\xc3\xb6"}]', query={"multipart-manifest": "put"})
    answer = await use(ready, path="c/m", extra={"multipart-manifest": "get"})
    assert answer.body == b"data"
    assert (await use(ready, "DELETE", path="c/m", extra={"multipart-manifest": "delete"})).status == 204
    assert (await ready("HEAD", "c/a/ö")).status == 200
    sly = {"X-Copy-From": "theirs/o", "X-Copy-From-Account": "AUTH_away-id"}
    assert (await use(ready, "PUT", "c/x", headers=sly)).status == 400


async def test_how_far_keys_reach(ready: Client) -> None:
    await ready("PUT", "other/1", body=b"far")
    await ready("PUT", "c/m", {"X-Object-Manifest": "other/1"})
    assert (await use(ready, path="c/m")).body == b"far"
    near = sign("GET", f"/v1/{HOME}/c/m", KEYS["container"])
    assert (await use(ready, path="c/m", signature=near)).status == 401


async def test_digests_can_be_forbidden(client: Client) -> None:
    client = Client(Config(tempurl_digests=("sha512",), tempurl_methods=("GET",)))
    await client("POST", headers={"X-Account-Meta-Temp-URL-Key": KEYS["account"]})
    await client.fill("c", ["o"], b"data")
    path = f"/v1/{HOME}/c/o"
    assert (await use(client, path="c/o")).status == 401
    assert (await use(client, path="c/o", signature=sign("GET", path, digest="sha512"))).status == 200
    assert (await use(client, "PUT", "c/o", signature=sign("PUT", path, digest="sha512"))).status == 401


@given(st.text(max_size=130) | st.text(alphabet="0123456789abcdef", min_size=38, max_size=66))
def test_any_signature_can_be_read(value: str) -> None:
    found = tempurl.parse_signature(value)
    if found is not None:
        assert found[0] in hashlib.algorithms_available


@given(st.text(max_size=30) | st.text(alphabet="0123456789-:TZ", max_size=25), st.text(max_size=20))
def test_anything_can_be_read(value: str, other: str) -> None:
    assert tempurl.parse_expires(value) >= 0 or value
    assert tempurl.in_network(other, value) in (True, False)
    assert tempurl.disposition(other, value, None, inline=False)


@pytest.mark.parametrize("key", KEYS.values())
@pytest.mark.parametrize("query", ["bulk-delete", "extract-archive", "multipart-manifest"])
async def test_a_signature_for_one_object_reaches_no_other(ready: Client, key: str, query: str) -> None:
    """Whatever parameter calls for another handler is not in what was signed."""
    for name in ("c/mine", "c/other", "other/o"):
        await ready("PUT", name, body=b"data")
    path = f"/v1/{HOME}/c/mine"
    if query == "bulk-delete":
        extra, method, body = {"bulk-delete": ""}, "DELETE", b"c/other\nother/o\nc/a/%C3%B6\n"
    elif query == "multipart-manifest":
        extra, method, body = {"multipart-manifest": "delete"}, "DELETE", b""
    else:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as packed:
            member = tarfile.TarInfo("other")
            packed.addfile(member, io.BytesIO(b""))
        extra, method, body = {"extract-archive": "tar"}, "PUT", held.getvalue()
    full = {"temp_url_sig": sign(method, path, key), "temp_url_expires": str(EXPIRES), **extra}
    answer = await ready(method, "c/mine", None, body, token=None, query=full)
    assert answer.status == {"PUT": 201, "DELETE": 204}[method]
    for name in ("c/other", "other/o", "c/a/\u00f6"):
        assert (await ready("HEAD", name)).status == 200
    mine = await ready("GET", "c/mine")
    assert (mine.status, mine.body) == ((200, body) if method == "PUT" else (404, mine.body))
    assert (await ready("HEAD", "c/mine/other")).status == 404


@pytest.mark.parametrize("header", ["X-Object-Manifest", "X-Symlink-Target", "X-Copy-From"])
async def test_a_signed_write_names_no_other_object(ready: Client, header: str) -> None:
    await ready("PUT", "other/secret", body=b"secret")
    answer = await use(ready, "PUT", "c/new", headers={header: "other/secret"})
    assert answer.status == 400
    assert (await ready("HEAD", "c/new")).status == 404
