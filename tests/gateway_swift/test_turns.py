"""What strangers can send is not read before they may, has bounds, and is worked on in slices."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator

import pytest

from gateway.swift.bulk import extract
from gateway.swift.bulk.tar import RECORDS_MAX, TarError, _pax
from tests.gateway_swift.client import Client
from tests.twins.turns import with_turns

JSON = {"Accept": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
EMPTY_PART = b"--B\r\n\r\n\r\n"


class Pieces:
    """A body that knows how much of it was read."""

    def __init__(self, piece: bytes, count: int = 20) -> None:
        self.read = 0
        self._piece = piece
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        return (self._next() for _ in range(self._count))

    def _next(self) -> bytes:
        self.read += 1
        return self._piece


def directories(count: int) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for number in range(count):
            member = tarfile.TarInfo(f"d{number}/")
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
    return held.getvalue()


async def test_a_form_is_not_read_where_nobody_holds_a_key(client: Client) -> None:
    answer = await client("POST", "c/o", FORM, [EMPTY_PART * 1000, None], token=None, account="AUTH_none", chunked=True)
    assert (answer.status, answer.body) == (401, b"FormPost: Invalid Signature")
    # Nothing was read: the client who is gone within the body would have been noticed.
    await client("PUT", "c")
    answer = await client("POST", "c/o", FORM, [None], token=None, chunked=True)
    assert answer.status == 401


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("stranger", 403)])
async def test_an_archive_is_not_read_for_strangers(client: Client, token: str | None, status: int) -> None:
    await client("PUT", "c")
    answer = await client("PUT", "c/below", JSON, [None], token=token, query="extract-archive=tar", chunked=True)
    assert answer.status == status
    nobody = await client("PUT", "", JSON, [None], token=None, query="extract-archive=tar", chunked=True)
    assert nobody.status == 401


async def test_a_list_of_names_is_not_read_for_nobody(client: Client) -> None:
    answer = await client("DELETE", "", JSON, [None], token=None, query="bulk-delete", chunked=True)
    assert answer.status == 401


async def test_an_archive_that_makes_nothing_has_an_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "IDLE_MAX", 10)
    for count, text in ((10, "No Valid Files"), (11, "over 10 members that become no objects")):
        answer = await client("PUT", "", JSON, directories(count), query="extract-archive=tar")
        assert answer.json()["Response Body"] == f"Invalid Tar File: {text}"


def test_an_extended_head_has_a_bound_of_records() -> None:
    def records(count: int) -> bytes:
        return b"".join(b"%d a%05d=\n" % (11, number) for number in range(count))

    assert len(_pax(records(RECORDS_MAX))) == RECORDS_MAX
    with pytest.raises(TarError, match="too many records"):
        _pax(records(RECORDS_MAX + 1))


async def test_what_holds_for_all_members_has_a_bound_too(client: Client) -> None:
    held = io.BytesIO()
    heads = {f"a{number}": "" for number in range(RECORDS_MAX)}
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT, pax_headers=heads) as archive:
        archive.addfile(tarfile.TarInfo("c/o"))
    once = held.getvalue()
    answer = await client("PUT", "", JSON, once, query="extract-archive=tar")
    assert answer.json()["Number Files Created"] == 1
    end = once.index(b"c/o\0")
    twice = once[:end].replace(b" a", b" b") + once
    answer = await client("PUT", "", JSON, twice, query="extract-archive=tar")
    assert answer.json()["Response Body"] == "Invalid Tar File: too many records for all members"


async def test_empty_members_of_a_packed_archive_take_turns(client: Client) -> None:
    body = gzip.compress(b"", mtime=0) * 5000
    answer, turns = await with_turns(client("PUT", "", JSON, body, query="extract-archive=tar.gz"))
    assert answer.json()["Response Body"] == "Invalid Tar File: empty file"
    assert turns >= 20


async def test_members_take_turns(client: Client) -> None:
    answer, turns = await with_turns(client("PUT", "", JSON, directories(1000), query="extract-archive=tar"))
    assert answer.json()["Response Body"] == "Invalid Tar File: No Valid Files"
    assert turns >= 30


async def test_names_to_be_removed_take_turns(client: Client) -> None:
    body = b"\n" * 100_000 + b"c/none\n" * 500
    answer, turns = await with_turns(client("DELETE", "", JSON, body, query="bulk-delete", chunked=True))
    assert answer.json()["Number Not Found"] == 500
    assert turns >= 50 + 500 // 8


async def test_a_list_of_names_has_a_bound(client: Client) -> None:
    pieces = Pieces(b"\n" * 1_000_000, 40)
    answer = await client("DELETE", "", JSON, pieces, query="bulk-delete", chunked=True)
    assert answer.json()["Response Status"] == "413 Request Entity Too Large"


@pytest.mark.parametrize(("form", "least"), [("plain", 1), ("json", 5), ("xml", 5)])
async def test_listings_take_turns(client: Client, form: str, least: int) -> None:
    await client.fill("c", [f"{number:04}" for number in range(2100)])
    answer, turns = await with_turns(client("GET", "c", query={"format": form}))
    assert b"2099" in answer.body
    assert turns >= least
    await client("POST", "c", {"X-Versions-Enabled": "true"})
    answer, turns = await with_turns(client("GET", "c", query="versions"))
    assert len(answer.json()) == 2100
    assert turns >= 10
    await client("POST", "c", {"X-Container-Meta-Web-Listings": "on", "X-Container-Read": ".r:*,.rlistings"})
    answer, turns = await with_turns(client("GET", "c/", token=None))
    assert answer.body.count(b"<tr") == 2101
    assert turns >= 5


async def test_looking_for_segments_takes_turns(client: Client) -> None:
    await client.fill("c", [f"{number:04}" for number in range(200)], b"x")
    manifest = ",".join(f'{{"path": "c/{number:04}"}}' for number in range(200)).encode()
    made = client("PUT", "c/large", body=b"[" + manifest + b"]", query={"multipart-manifest": "put"})
    answer, turns = await with_turns(made)
    assert answer.status == 201
    assert turns >= 200 // 8


async def test_directories_of_the_older_kind_take_turns(client: Client) -> None:
    await client.fill("c", [name for number in range(100) for name in (f"{number:04}/", f"{number:04}/x")])
    answer, turns = await with_turns(client("GET", "c", query={"path": ""}))
    assert len(answer.body.splitlines()) == 100
    assert turns >= 80
