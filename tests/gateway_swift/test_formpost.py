"""Forms that browsers send with files."""

from __future__ import annotations

import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.swift.forms.formpost import PARTS_MAX
from gateway.swift.forms.multipart import FormReader, MultipartError, parameters
from gateway.swift.protocol.request import Request
from tests.gateway_swift.client import HOME, Answer, Client

BOUNDARY = "----WebKitFormBoundaryNcxTqxSlX7t4TDkR"
FILES = {"one.txt": b"first\n", "two": b"x" * 100_000}


def form(fields: Mapping[str, str], files: Mapping[str, bytes], heads: str = "Content-Type: text/x\r\n") -> bytes:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts += [
        f'Content-Disposition: form-data; name="f"; filename="{name}"\r\n{heads}\r\n'.encode() + data
        for name, data in files.items()
    ]
    return b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--".encode()


def signed(path: str = "c/up/", key: str = "k", digest: str = "sha256", **more: str) -> dict[str, str]:
    fields = {"redirect": "", "max_file_size": "200000", "max_file_count": "2", "expires": "4000000000", **more}
    text = "\n".join(
        [f"/v1/{HOME}/{path}", *(fields[name] for name in ("redirect", "max_file_size", "max_file_count"))]
    )
    signature = hmac.new(key.encode(), f"{text}\n{fields['expires']}".encode(), digest).hexdigest()
    return {name: value for name, value in fields.items() if value} | {"signature": more.get("signature", signature)}


@pytest.fixture
async def ready(client: Client) -> Client:
    await client("PUT", "c", {"X-Container-Meta-Temp-URL-Key": "k"})
    await client("PUT", "other", {"X-Container-Meta-Temp-URL-Key": "else"})
    return client


async def send(client: Client, fields: Mapping[str, str], path: str = "c/up/", step: int = 0, **more: str) -> Answer:
    body = form(fields, FILES)
    pieces = [body[start : start + step] for start in range(0, len(body), step)] if step else [body]
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **more}
    return await client("POST", path, headers, pieces, token=None, chunked=True)


@pytest.mark.parametrize("step", [0, 777])
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
async def test_files_become_objects(ready: Client, step: int, digest: str) -> None:
    answer = await send(ready, signed(digest=digest), step=step)
    assert (answer.status, answer.body) == (201, b"201 Created")
    assert (await ready("GET", "c/up/one.txt")).body == FILES["one.txt"]
    seen = await ready("GET", "c/up/two")
    assert (seen.body, seen["content-type"]) == (FILES["two"], "text/x")


async def test_what_a_form_says_of_its_files(ready: Client) -> None:
    fields = signed(redirect="http://a/?x=<y>")
    extra = {"content-type": "text/html", "content-encoding": "gzip", "x_delete_after": "100"}
    answer = await send(ready, fields | extra)
    assert answer.status == 303
    assert answer["location"] == "http://a/?x=%3Cy%3E&status=201&message="
    assert b"<y>" not in answer.body
    seen = await ready("HEAD", "c/up/two")
    assert (seen["content-type"], seen["content-encoding"], "x-delete-at" in seen.headers) == (
        "text/html",
        "gzip",
        True,
    )
    assert (await send(ready, signed("c"), "c")).status == 201
    assert (await ready("HEAD", "c/two")).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        (signed(key="wrong"), 401, "FormPost: Invalid Signature"),
        (signed(path="c/elsewhere/"), 401, "FormPost: Invalid Signature"),
        (signed(signature="x"), 401, "FormPost: Invalid Signature"),
        (signed(expires="1"), 401, "FormPost: Form Expired"),
        ({}, 400, "400 Bad Request\r\nFormPost: Max File Count Exceeded"),
        (signed(max_file_count="1"), 400, "400 Bad Request\r\nFormPost: Max File Count Exceeded"),
        (signed(max_file_count="x"), 400, "FormPost: max_file_count not an integer"),
        (signed(expires="x"), 400, "FormPost: expires not an integer"),
        (signed(max_file_size="7"), 400, "FormPost: max_file_size exceeded"),
        (signed() | {"x_delete_at": "x"}, 400, "FormPost: x_delete_at not an integer"),
        (signed() | {"x_delete_at": "1"}, 400, "X-Delete-At in past"),
        (signed() | {"content-type": "a\x01b"}, 400, "FormPost: a header with control characters"),
    ],
)
async def test_refusals(ready: Client, fields: dict[str, str], status: int, text: str) -> None:
    answer = await send(ready, fields)
    assert (answer.status, answer.body.decode()) == (status, text)
    assert b"up/two" not in (await ready("GET", "c")).body


async def test_a_form_opens_nothing_but_its_container(ready: Client) -> None:
    assert (await send(ready, signed("other/up/"), "other/up/")).status == 401
    assert (await send(ready, signed(""), "")).status == 401
    assert (await send(ready, signed("none/x"), "none/x")).status == 401
    await ready("POST", headers={"X-Account-Meta-Temp-URL-Key-2": "k"})
    assert (await send(ready, signed("other/up/"), "other/up/")).status == 201
    assert (await send(ready, signed("none/x"), "none/x")).status == 404
    await ready("POST", "c", {"X-Container-Meta-Quota-Bytes": "100"})
    answer = await send(ready, signed())
    assert (answer.status, answer.body) == (413, b"Upload exceeds quota.")
    answer = await send(ready, signed(redirect="http://a"))
    assert answer["location"] == "http://a?status=413&message="


async def test_pages_of_other_sites_are_told(ready: Client) -> None:
    await ready("POST", "c", {"X-Container-Meta-Access-Control-Allow-Origin": "http://page"})
    assert (await send(ready, signed(), Origin="http://page"))["access-control-allow-origin"] == "http://page"


async def test_what_is_no_form(ready: Client) -> None:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    whole = form(signed(), FILES)
    for body in (b"", b"x", whole[10:], whole[:500], whole[:-100_000], f"--{BOUNDARY}x\r\n".encode()):
        answer = await ready("POST", "c/up/", kind, body, token=None)
        assert answer.status == 400, body[:50]
        assert answer.body.startswith(b"FormPost: ")
    answer = await ready("POST", "c/up/", kind, form(signed(), {}), token=None)
    assert answer.body == b"400 Bad Request\r\nFormPost: No Files To Process"
    answer = await ready("POST", "c/up/", kind, [whole[:50_000], None], token=None, chunked=True)
    assert answer.status == 499
    assert (await ready("POST", "c/up/", {"Content-Type": "multipart/form-data"}, token=None)).status == 401


async def collect(body: bytes, boundary: bytes, step: int) -> list[tuple[dict[bytes, bytes], bytes]]:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    found = []
    async with aclosing(pieces()) as coming:
        reader = FormReader(coming, boundary)
        while (heads := await reader.part()) is not None:
            async with aclosing(reader.content()) as content:
                found.append((heads, b"".join([piece async for piece in content])))
    return found


contents = st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"--", b"\r\n--", b"\r\n--bx", b""]), max_size=4)


@settings(max_examples=60)
@given(contents, st.integers(1, 40), st.booleans())
async def test_any_content_comes_through(found: list[bytes], step: int, blank: bool) -> None:
    found = [data.replace(b"\r\n--bound", b"") for data in found]
    body = b"".join(b"--bound\r\nX: y\r\n\r\n" + data + b"\r\n" for data in found) + b"--bound--\r\n"
    read = await collect((b"\r\n" if blank else b"") + body, b"bound", step)
    assert read == [({b"x": b"y"}, data) for data in found]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([b"--b", b"\r\n", b"--b\r\n", b"a: b", b"--", b"\r\n\r\n", b"x"]), max_size=12),
    st.integers(1, 9),
)
async def test_anything_is_a_form_or_is_refused(pieces: list[bytes], step: int) -> None:
    with suppress(MultipartError):
        await collect(b"".join(pieces), b"b", step)


@given(st.binary(max_size=50))
def test_any_header_has_parameters_or_none(value: bytes) -> None:
    parameters(value)


def test_parameters() -> None:
    assert parameters(b'form-data; name="a;b"; FileName="x=y.txt"') == (
        "form-data",
        {"name": "a;b", "filename": "x=y.txt"},
    )
    assert parameters(b"Multipart/Form-Data;boundary=x-y") == ("multipart/form-data", {"boundary": "x-y"})


def test_a_header_that_fits_nothing_is_given_up_at_once() -> None:
    """Were the blanks tried in every way, this would not end before the test's time is up."""
    assert parameters(b"form-data; a=b; c=" + b" " * 1_000_000 + b'"') == ("form-data", {"a": "b"})


async def test_a_form_that_no_key_could_have_signed_is_not_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_self: Request) -> None:
        pytest.fail("it was read, although nobody can have signed it")

    await client("PUT", "c")
    monkeypatch.setattr(Request, "pieces", read)
    assert (await send(client, signed())).status == 401


async def test_parts_of_a_form_are_bounded(ready: Client) -> None:
    many = {f"field{number}": "" for number in range(PARTS_MAX + 1)}
    answer = await send(ready, many | signed())
    assert answer.status == 400
    assert (await ready("GET", "c")).body == b""
