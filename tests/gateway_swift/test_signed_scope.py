"""A signature gives what it names, whatever handler a request finds its way to and whatever requests it stands for."""

from __future__ import annotations

import hashlib
import hmac
import io
import tarfile
from collections.abc import Mapping

import pytest

from gateway.objects.errors import SignatureError
from gateway.swift.access.tempurl import Signed
from gateway.swift.protocol.request import Message
from tests.gateway_swift.client import HOME, Answer, Client
from tests.twins.clock import DAWN_US

EXPIRES = DAWN_US // 1_000_000 + 1000
KEY = "the account's"


@pytest.fixture
async def ready(client: Client) -> Client:
    await client("POST", headers={"X-Account-Meta-Temp-URL-Key": KEY})
    await client.fill("c", ["signed", "dear"], b"data")
    await client.fill("other", ["dear"], b"dear")
    return client


async def use(
    client: Client,
    method: str,
    path: str = "c/signed",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    signed_for: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Answer:
    """A request whose signature is good for `method` (or `signed_for`) and `path`."""
    message = f"{signed_for or method}\n{EXPIRES}\n/v1/{HOME}/{path}"
    signature = hmac.new(KEY.encode(), message.encode(), "sha256").hexdigest()
    full = {**(query or {}), "temp_url_sig": signature, "temp_url_expires": str(EXPIRES)}
    return await client(method, path, headers, body, token=None, query=full)


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_a_list_of_names_is_not_signed(ready: Client, method: str) -> None:
    names = b"c/dear\nother/dear\nc/signed\nother\n"
    await use(ready, method, headers={"Content-Type": "text/plain"}, body=names, query={"bulk-delete": ""})
    for kept in ("c/dear", "other/dear", "other"):
        assert (await ready("HEAD", kept)).status in (200, 204), kept
    assert (await ready("HEAD", "c/signed")).status == (404 if method == "DELETE" else 200)


async def test_an_archive_is_not_signed(ready: Client) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in ("other/dear", "new/x"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"evil"))
    answer = await use(ready, "PUT", body=held.getvalue(), query={"extract-archive": "tar"})
    assert answer.status == 201
    assert (await ready("GET", "other/dear")).body == b"dear"
    assert (await ready("HEAD", "new")).status == 404
    assert (await ready("GET", "c/signed")).body == held.getvalue()


async def test_a_signed_write_copies_nothing(ready: Client) -> None:
    """Whoever may write one object, and read what they wrote, must not read every other through it."""
    for source in ("other/dear", "c/dear", "/c/dear"):
        assert (await use(ready, "PUT", headers={"X-Copy-From": source, "Content-Length": "0"})).status == 400
    assert (await ready("GET", "c/signed")).body == b"data"


@pytest.mark.parametrize("header", ["X-Symlink-Target", "X-Object-Manifest", "X-Copy-From"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_signed_write_points_nowhere(ready: Client, method: str, header: str) -> None:
    answer = await use(ready, method, headers={header: "other/dear"})
    assert (answer.status, answer.body) == (400, f"The header {header!r} is not allowed in this tempurl".encode())
    assert (await ready("GET", "c/signed")).body == b"data"


async def test_a_signed_write_names_no_segments(ready: Client) -> None:
    manifest = b'[{"path": "/other/dear"}]'
    assert (await use(ready, "PUT", body=manifest, query={"multipart-manifest": "put"})).status == 201
    assert (await ready("GET", "c/signed")).body == manifest


async def test_a_signed_deletion_leaves_segments(ready: Client) -> None:
    await ready("PUT", "c/signed", body=b'[{"path": "/other/dear"}]', query={"multipart-manifest": "put"})
    assert (await use(ready, "DELETE", query={"multipart-manifest": "delete", "async": "on"})).status == 204
    assert (await ready("HEAD", "other/dear")).status == 200


async def test_versions_are_not_signed(ready: Client) -> None:
    await ready("POST", "c", {"X-Versions-Enabled": "true"})
    first = await ready("PUT", "c/signed", body=b"first")
    await ready("PUT", "c/signed", body=b"second")
    old = first["x-object-version-id"]
    assert (await use(ready, "GET", query={"version-id": old})).body == b"second"
    assert (await use(ready, "PUT", query={"version-id": old})).status == 201
    assert (await use(ready, "DELETE", query={"version-id": old})).status == 204
    assert (await ready("GET", "c/signed", query={"version-id": old})).body == b"first"


async def test_reading_goes_where_the_key_goes(ready: Client) -> None:
    """As in Swift, what an object stands for is read with it, as far as the key that signed reaches."""
    await ready("PUT", "c/link", {"X-Symlink-Target": "other/dear"})
    await ready("PUT", "c/large", body=b'[{"path": "/other/dear"}]', query={"multipart-manifest": "put"})
    await ready("PUT", "c/dynamic", {"X-Object-Manifest": "other/d"})
    for name in ("c/link", "c/large", "c/dynamic"):
        assert (await use(ready, "GET", name)).body == b"dear"
        assert (await use(ready, "HEAD", name, signed_for="PUT")).status == 200
    await ready("PUT", "c/theirs", {"X-Symlink-Target": "x/o", "X-Symlink-Target-Account": "AUTH_away-id"})
    assert (await use(ready, "GET", "c/theirs")).status == 401


async def form(
    client: Client, path: str, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> Answer:
    """A form with one file, rightly signed for `path`."""
    values = {"redirect": "", "max_file_size": "100", "max_file_count": "1", "expires": str(EXPIRES)}
    message = "\n".join([f"/v1/{HOME}/{path}", *values.values()])
    values["signature"] = hmac.new(KEY.encode(), message.encode(), hashlib.sha256).hexdigest()
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in values.items()]
    parts.append('Content-Disposition: form-data; name="f"; filename="x"\r\n\r\nfile')
    body = "".join(f"--B\r\n{part}\r\n" for part in parts) + "--B--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=B", **(headers or {})}
    return await client("POST", path, kind, body.encode(), token=None, query=query)


async def test_a_form_writes_below_its_path(ready: Client) -> None:
    assert (await form(ready, "c/up/")).status == 201
    assert (await ready("GET", "c/up/x")).body == b"file"
    sly = {"X-Copy-From": "other/dear", "X-Symlink-Target": "other/dear", "X-Object-Manifest": "other/d"}
    assert (await form(ready, "c/sly-", sly, query={"multipart-manifest": "put"})).status == 201
    assert (await ready("GET", "c/sly-x")).body == b"file"


async def test_what_signs_a_url_signs_no_form(ready: Client) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nfile\r\n--B--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    assert (await use(ready, "POST", "c/signed", kind, body)).status == 400
    assert (await ready("HEAD", "c/signedx")).status == 404


async def test_the_right_itself_ends_where_the_signature_does(ready: Client) -> None:
    """Whatever a handler to come may do on behalf of whoever signed."""
    signed = Signed(HOME, "", "PUT", "c/signed")
    form = Signed(HOME, "c", "PUT", "c/up/", below=True)

    def may(who: Signed, method: str, container: str, name: str, *, reading: bool = False) -> bool:
        try:
            who.require(HOME, container, "", reading=reading, object=name)
        except SignatureError:
            return False
        return who.allows(method)

    assert may(signed, "PUT", "c", "signed")
    assert may(form, "PUT", "c", "up/x")
    for who, name in ((signed, "signed"), (form, "up/x")):
        assert not may(who, "DELETE", "c", name)
        assert not may(who, "PUT", "c", "")
        assert not may(who, "PUT", "c", "other")
        assert not may(who, "PUT", "other", name)
        assert not may(who, "PUT", "c", name, reading=True)
    reader = Signed(HOME, "c", "GET", "c/signed")
    assert may(reader, "GET", "c", "segment", reading=True)
    assert not may(reader, "GET", "other", "segment", reading=True)
    assert not may(reader, "GET", "c", "signed")


async def no_body() -> Message:
    raise AssertionError("nothing is read")


async def no_answer(message: Message) -> None:
    raise AssertionError("nothing is answered")
