"""Archives that become objects, and many removals in one request."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import quote

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.swift.bulk.tar import TarError, TarReader, _pax, decompressed
from gateway.swift.config import Config, Limits
from gateway.swift.protocol.request import Request
from tests.gateway_swift.client import Client
from tests.twins.turns import with_turns

JSON = {"Accept": "application/json"}
MODES = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2"}


def archive(
    members: dict[str, bytes], mode: str = "w", pax: dict[str, dict[str, str]] | None = None, kind: int | None = None
) -> bytes:
    """An archive of files with these names."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode, format=tarfile.PAX_FORMAT if kind is None else kind) as packed:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.pax_headers = (pax or {}).get(name, {})
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            packed.addfile(member, io.BytesIO(data))
    return held.getvalue()


async def extract(client: Client, body: bytes, path: str = "", kind: str = "tar", **more: Any) -> dict[str, Any]:
    answer = await client("PUT", path, JSON, body, query={"extract-archive": kind}, **more)
    assert answer.status == 200
    report: dict[str, Any] = answer.json()
    return report


@pytest.mark.parametrize("kind", list(MODES))
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("step", [0, 1000])
async def test_members_become_objects(client: Client, kind: str, form: int, step: int) -> None:
    members = {
        "./c/one": b"1" * 5,
        "c/dir/": b"",
        "/c/dir/two": b"2" * 100_000,
        "d/" + "n" * 90: b"",
        "file": b"ignored",
    }
    if form != tarfile.USTAR_FORMAT:
        members["d/" + "é" * 300] = b"3"
    body = archive(members, MODES[kind], kind=form)
    pieces = [body[start : start + step] for start in range(0, len(body), step)] if step else [body]
    answer = await client("PUT", "", JSON, pieces, query={"extract-archive": kind}, chunked=True)
    assert answer.json() == {
        "Response Status": "201 Created",
        "Response Body": "",
        "Number Files Created": len(members) - 2,
        "Errors": [],
    }
    assert (await client("GET", "c")).body == b"dir/two\none\n"
    assert (await client("GET", "c/dir/two")).body == b"2" * 100_000
    names = (await client("GET", "d")).body.decode().split()
    assert names == ["n" * 90, "é" * 300][: len(names)]


async def test_an_archive_below_a_path(client: Client) -> None:
    body = archive({"one": b"1", "dir/two": b"2"})
    await extract(client, body, "c")
    await extract(client, body, "c/below/")
    assert (await client("GET", "c")).body == b"below/dir/two\nbelow/one\ndir/two\none\n"


async def test_metadata_of_members_and_of_the_request(client: Client) -> None:
    pax = {
        "c/one": {"SCHILY.xattr.user.mime_type": "food/diet", "SCHILY.xattr.user.meta.Lunch": "sopa de albóndigas"},
        "c/bad": {"SCHILY.xattr.user.meta.x": "a\r\nSet-Cookie: b"},
        "c/worse": {"LIBARCHIVE.xattr.user.meta.a b": "x"},
    }
    body = archive(dict.fromkeys(pax, b""), pax=pax)
    answer = await client("PUT", "", {**JSON, "X-Object-Meta-All": "yes"}, body, query={"extract-archive": "tar"})
    assert answer.json()["Errors"] == [["c/bad", "400 Bad Request"], ["c/worse", "400 Bad Request"]]
    seen = await client("HEAD", "c/one")
    assert (seen["content-type"], seen["x-object-meta-lunch"]) == ("food/diet", "sopa de albóndigas")
    assert seen["x-object-meta-all"] == "yes"


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"", "tar", "Invalid Tar File: empty file"),
        (b"x" * 1000, "tar", "Invalid Tar File"),
        (b"x" * 1000, "tar.gz", "Invalid Tar File"),
        (b"x" * 1000, "tar.bz2", "Invalid Tar File"),
        (archive({"c/o": b"x" * 1000})[:900], "tar", "Invalid Tar File: unexpected end of data"),
        (archive({"c/o": b"x" * 1000}, "w:gz")[:60], "tar.gz", "Invalid Tar File"),
        (archive({}), "tar", "Invalid Tar File: No Valid Files"),
        (archive({"o": b""}), "tar", "Invalid Tar File: No Valid Files"),
    ],
    ids=range(8),  # what is packed with gzip has the time in it
)
async def test_what_is_no_archive(client: Client, body: bytes, kind: str, text: str) -> None:
    report = await extract(client, body, kind=kind)
    assert report["Response Status"] == "400 Bad Request"
    assert report["Response Body"].startswith(text)
    assert report["Number Files Created"] == 0


async def test_refusals(client: Client) -> None:
    body = archive({"c/one": b"1", "c/" + "n" * 1100: b"2"})
    report = await extract(client, body)
    assert report["Response Status"] == "400 Bad Request"
    assert report["Errors"] == [["c/" + "n" * 1100, "400 Bad Request"]]
    assert (await client("PUT", "", JSON, body, query={"extract-archive": "tar"}, token=None)).status == 401
    assert (await extract(client, body, token="stranger"))["Errors"][0] == ["c", "403 Forbidden"]
    answer = await client("PUT", "", body=body, query={"extract-archive": "zip"})
    assert (answer.status, answer.body) == (400, b"Unsupported archive format")
    assert (await client("PUT", "", {"Accept": "image/png"}, body, query={"extract-archive": "tar"})).status == 406
    await client("PUT", "q", {"X-Container-Meta-Quota-Count": "0"})
    assert (await extract(client, archive({"q/o": b""})))["Errors"] == [["q/o", "413 Request Entity Too Large"]]
    small = Client(Config(limits=Limits(max_containers_per_extraction=1, max_failed_extractions=1)))
    report = await extract(small, archive({"a/o": b"", "b/o": b""}))
    assert report["Response Body"] == "More than 1 containers to create from tar."
    report = await extract(small, archive({"a/" + "n" * 1100: b"", "a/x": b""}))
    assert report["Number Files Created"] == 0


SPARSE_KEYS = ("GNU.sparse.major", "GNU.sparse.numblocks", "SCHILY.realsize", "SUN.holesdata")


@pytest.mark.parametrize("key", SPARSE_KEYS)
async def test_sparse_members_are_refused_however_they_say_so(client: Client, key: str) -> None:
    """Under an extended head a sparse member looks like any other; its bytes are those between the holes."""
    body = archive({"c/holes": b"packed", "c/plain": b"plain"}, pax={"c/holes": {key: "1"}})
    report = await extract(client, body)
    assert (report["Errors"], report["Number Files Created"]) == ([["c/holes", "400 Bad Request"]], 1)
    assert (await client("GET", "c")).body == b"plain\n"


@pytest.mark.parametrize("blocks", [0, 1, 3])
async def test_a_long_list_of_holes_is_passed_over(client: Client, blocks: int) -> None:
    """It lies between head and content, and is not in the size that the head states."""
    head = bytearray(archive({"c/holes": b"packed"}, kind=tarfile.GNU_FORMAT)[:512])
    head[156:157] = tarfile.GNUTYPE_SPARSE
    head[482] = blocks > 0
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    lists = b"".join(bytes(504) + bytes([number < blocks]) + bytes(7) for number in range(1, blocks + 1))
    body = bytes(head) + lists + b"packed".ljust(512, b"\0") + archive({"c/plain": b"plain"})
    report = await extract(client, body)
    assert (report["Errors"], report["Number Files Created"]) == ([["c/holes", "400 Bad Request"]], 1)


@pytest.mark.parametrize("kind", ["application/xml", "application/json", "text/plain"])
async def test_a_long_answer_begins_before_its_end(
    client: Client, kind: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    put = client.store.put

    async def slow(*arguments: Any, **more: Any) -> Any:
        await trio.sleep(25)
        return await put(*arguments, **more)

    monkeypatch.setattr(client.store, "put", slow)
    answer = await client("PUT", "", {"Accept": kind}, archive({"c/one": b"1"}), query={"extract-archive": "tar"})
    beats, blank, report = answer.body.partition(b"\r\n\r\n")
    assert beats == (b'<?xml version="1.0" encoding="UTF-8"?>\n ' if "xml" in kind else b"  ")
    assert blank
    assert b"201 Created" in report


async def test_a_client_that_goes_leaves_no_half_object(client: Client) -> None:
    body = archive({"c/one": b"1", "c/two": b"2" * 200_000})
    answer = await client("PUT", "", JSON, [body[:100_000], None], query={"extract-archive": "tar"}, chunked=True)
    assert answer.status == 499
    assert (await client("GET", "c")).body == b"one\n"


async def remove(client: Client, body: bytes | list[bytes | None], path: str = "", **more: Any) -> dict[str, Any]:
    headers = {**JSON, "Content-Type": "text/plain"}
    answer = await client("POST", path, headers, body, query="bulk-delete", **more)
    assert answer.status == 200
    report: dict[str, Any] = answer.json()
    return report


async def test_many_are_removed(client: Client) -> None:
    names = [f"o{index}" for index in range(30)] + ["é", "a b"]
    await client.fill("c", names)
    await client.fill("full", ["o"])
    lines = [f"/c/{quote(name)}" for name in names]
    body = "\n".join([*lines[:-2], "c/é", "c/a%20b", "c/none", "c", "full", "none", "", "%FF/x"]).encode()
    report = await remove(client, [body[:50], body[50:]], chunked=True)
    assert report == {
        "Response Status": "400 Bad Request",
        "Response Body": "",
        "Number Deleted": 33,
        "Number Not Found": 2,
        "Errors": [["%FF/x", "412 Precondition Failed"], ["full", "409 Conflict"]],
    }
    assert (await client("GET")).body == b"full\n"
    answer = await client(
        "DELETE", "full/o", {"Accept": "application/xml"}, b"full/o", query="bulk-delete", chunked=True
    )
    assert b"<response_status>200 OK</response_status>" in answer.body
    assert (await client("DELETE", query="bulk-delete", body=b"full", chunked=True)).body.startswith(
        b"Number Deleted: 1"
    )
    assert (await client("DELETE")).status == 403


async def test_removals_refused(client: Client) -> None:
    await client.fill("c", ["o"])
    assert (await remove(client, b""))["Response Body"] == "Invalid bulk delete."
    assert (await client("DELETE", "", JSON, b"c/o", query="bulk-delete", token=None)).status == 401
    assert (await remove(client, b"c/o", token="stranger"))["Errors"] == [["c/o", "403 Forbidden"]]
    assert (await remove(client, b"x" * 10_000))["Response Body"] == "Invalid File Name"
    answer = await client("POST", "", {**JSON, "Content-Type": "text/html"}, b"c/o", query="bulk-delete")
    assert answer.json()["Response Status"] == "406 Not Acceptable"
    answer = await client("DELETE", "", JSON, b"c/o", query="bulk-delete")
    assert answer.json()["Response Status"] == "411 Length Required"
    few = Client(Config(limits=Limits(max_deletes_per_request=2, max_failed_deletes=2)))
    assert (await remove(few, b"c/o\n" * 3))["Response Status"] == "413 Request Entity Too Large"
    assert (await remove(few, b"c/o\n" * 2, token="stranger"))["Response Body"] == "Max delete failures exceeded"
    switched_off = Client(Config(allow_account_management=False))
    await switched_off.fill("c", ["o"])
    answer = await switched_off("DELETE", "", JSON, b"c/o", query="bulk-delete", chunked=True)
    assert answer.json()["Number Deleted"] == 1


async def read(body: bytes, kind: str, step: int) -> list[tuple[str, bytes]]:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    async def content(reader: TarReader) -> bytes:
        async with aclosing(reader.content()) as held:
            return b"".join([piece async for piece in held])

    async with aclosing(pieces()) as packed, aclosing(decompressed(packed, kind)) as plain:
        reader = TarReader(plain)
        return [(member.name, await content(reader)) async for member in reader]


members = st.dictionaries(
    st.text("abé/. ", min_size=1, max_size=150).map(lambda name: f"c{name}x"), st.binary(max_size=2000)
)


@settings(max_examples=40)
@given(
    members,
    st.sampled_from(list(MODES)),
    st.integers(1, 3000),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
async def test_any_archive_is_read_as_the_library_reads_it(
    members: dict[str, bytes], kind: str, step: int, form: int
) -> None:
    body = archive(members, MODES[kind], kind=form)
    with tarfile.open(fileobj=io.BytesIO(body)) as packed:
        expected = [(member.name, data.read()) for member in packed if (data := packed.extractfile(member))]
    assert await read(body, KINDS[kind], step) == expected


KINDS = {"tar": "", "tar.gz": "gz", "tar.bz2": "bz2"}


@settings(max_examples=60)
@given(st.binary(max_size=3000), st.sampled_from(["", "gz", "bz2"]), st.integers(0, 5000), st.integers(0, 255))
async def test_damage_is_an_error_or_is_read(noise: bytes, kind: str, position: int, value: int) -> None:
    body = bytearray(archive({"c/o": b"x" * 3000}, {"": "w", "gz": "w:gz", "bz2": "w:bz2"}[kind]))
    body[position % len(body)] = value
    for damaged in (bytes(body), noise, bytes(body) + noise):
        with suppress(TarError):
            await read(damaged, kind, 700)


@given(st.binary(max_size=200))
@settings(max_examples=40)
async def test_any_list_of_names_is_answered(body: bytes) -> None:
    client = Client()
    answer = await client("POST", "", {**JSON, "Content-Type": "text/plain"}, body, query="bulk-delete")
    assert answer.status == 200
    assert not json.loads(answer.body)["Response Status"].startswith("5")


async def test_others_have_their_turn_while_little_becomes_very_much() -> None:
    async def packed() -> AsyncGenerator[bytes, None]:
        yield bz2.compress(bytes(16 * 1024 * 1024))

    async def unpack() -> int:
        async with aclosing(packed()) as source, aclosing(decompressed(source, "bz2")) as plain:
            return len([piece async for piece in plain])

    pieces, turns = await with_turns(unpack())
    assert pieces >= 256
    assert turns >= pieces / 16


def test_an_extended_head_takes_time_by_its_length() -> None:
    """Were each record to cost as much as all that follow it, this would not end before the test's time is up."""
    count = 3_000_000
    assert _pax(b"5 a=\n" * count) == {"a": ""}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
async def test_extended_heads_are_bounded_together(client: Client, kind: bytes) -> None:
    """Each of them may be read whole, but not kept without end."""
    heads = b""
    for number in range(40):
        record = b"%05d=" % number + bytes(60_000)
        head = tarfile.TarInfo("x")
        head.type, head.size = kind, len(record) + 7
        heads += head.tobuf() + b"%d " % head.size + record + b"\n" + bytes(-head.size % 512)
    report = await extract(client, heads + archive({"c/one": b"1"}))
    assert report["Response Body"] == "Invalid Tar File: a head that is too long"


async def test_nothing_of_a_strangers_body_is_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_self: Request) -> None:
        pytest.fail("it was read before anybody asked who it is from")

    monkeypatch.setattr(Request, "pieces", read)
    for method, query in (("PUT", {"extract-archive": "tar.gz"}), ("DELETE", {"bulk-delete": ""})):
        assert (await client(method, "", JSON, b"x" * 1000, query=query, token=None)).status == 401


@pytest.mark.parametrize("kind", ["gnu", "pax"])
async def test_sparse_members_are_refused(client: Client, kind: str) -> None:
    """Their holes would have to be filled in; PAX has them look like plain files, but for their heads."""
    if kind == "pax":
        sparse = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "c/o",
            "GNU.sparse.realsize": "9",
        }
        body = archive({"c/o": b"data"}, pax={"c/o": sparse})
    else:
        member = tarfile.TarInfo("c/o")
        member.type = tarfile.GNUTYPE_SPARSE
        body = member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    report = await extract(client, body)
    assert report["Errors"] == [["c/o", "400 Bad Request"]]
    assert (await client("GET", "c/o")).status == 404


async def test_an_archive_of_nothing_lets_others_have_their_turn(client: Client) -> None:
    """Thousands of empty streams in a row, and thousands of members that are no files."""
    empty = gzip.compress(b"", mtime=0) * 20_000
    members = archive({f"c/{number}/": b"" for number in range(3000)})
    for body, kind in ((empty, "tar.gz"), (members, "tar")):
        report, turns = await with_turns(extract(client, body, kind=kind))
        assert report["Response Status"] == "400 Bad Request"
        assert turns > 50
