"""The JSON of etcd's gateway without etcd, and whole revisions out of a watch's answers."""

from __future__ import annotations

import operator
from itertools import product
from typing import Any

import pytest

from store.core.errors import ConflictError, DamageError, DrystoneError, FullError, InvalidError, NotFoundError
from store.registry import (
    CompactedError,
    Compare,
    Delete,
    DeleteRange,
    Event,
    Get,
    Item,
    OutcomeUnknownError,
    Put,
    Span,
    TransactionResult,
    UnavailableError,
)
from store.registry.etcd.errors import AccessError, refusal
from store.registry.etcd.keyspace import Keyspace, decode_bytes, encode_bytes
from store.registry.etcd.watch import Position
from store.registry.operations import Operation, Relation

PLAIN = Keyspace(b"p/")
RAISED = Keyspace(b"p/", 100)


def kv(key: bytes, value: bytes, create: int, mod: int, version: int, lease: int = 0) -> dict[str, Any]:
    """As the gateway tells it: without whatever is empty or 0."""
    told = {
        "key": encode_bytes(b"p/items/" + key),
        "value": encode_bytes(value),
        "create_revision": str(create),
        "mod_revision": str(mod),
        "version": str(version),
        "lease": str(lease),
    }
    return {name: text for name, text in told.items() if text not in ("", "0")}


def test_a_transaction_as_json() -> None:
    compares = [Compare.absent(b"a"), Compare.value_is(b"\xff", b""), Compare(b"b", "version", ">", 3)]
    operations: list[Operation] = [Put(b"k", b"v", 7), Get(b"k"), Delete(b"d"), DeleteRange(Span(b"r", b"s"))]
    assert PLAIN.transaction(compares, operations, []) == {
        "compare": [
            {"key": "cC9pdGVtcy9h", "target": "CREATE", "result": "EQUAL", "create_revision": "0"},
            {"key": "cC9pdGVtcy//", "target": "VALUE", "result": "EQUAL", "value": ""},
            {"key": "cC9pdGVtcy9i", "target": "VERSION", "result": "GREATER", "version": "3"},
        ],
        "success": [
            {"request_put": {"key": "cC9pdGVtcy9r", "value": "dg==", "lease": "7"}},
            {"request_range": {"key": "cC9pdGVtcy9r"}},
            {"request_delete_range": {"key": "cC9pdGVtcy9k"}},
            {"request_delete_range": {"key": "cC9pdGVtcy9y", "range_end": "cC9pdGVtcy9z"}},
        ],
        "failure": [],
    }


def test_what_is_left_out_of_an_answer_has_its_default() -> None:
    failed = {"header": {"revision": "9"}}
    assert PLAIN.result(failed) == TransactionResult(False, 9, ())
    done = {
        "header": {"revision": "9"},
        "succeeded": True,
        "responses": [
            {"response_put": {"header": {"revision": "9"}}},
            {"response_range": {"header": {"revision": "9"}}},
            {"response_range": {"kvs": [kv(b"k", b"", 2, 3, 2)], "count": "1"}},
            {"response_delete_range": {"header": {"revision": "9"}}},
            {"response_delete_range": {"deleted": "2"}},
        ],
    }
    assert RAISED.result(done) == TransactionResult(True, 109, (None, None, Item(b"k", b"", 102, 103, 2), 0, 2))


def test_numbers_above_what_a_float_holds() -> None:
    large = 2**63 - 1
    assert PLAIN.item(kv(b"k", b"v", large, large, 1, large)) == Item(b"k", b"v", large, large, 1, large)


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        (Span.prefix(b""), b"p/items/", b"p/items0"),
        (Span.prefix(b"\xff"), b"p/items/\xff", b"p/items0"),
        (Span.prefix(b"a"), b"p/items/a", b"p/items/b"),
        (Span.key(b"a"), b"p/items/a", b"p/items/a\0"),
        (Span(b"b", b"a"), b"p/items/", None),
        (Span(b"a", b"a"), b"p/items/", None),
        (Span(b"", b""), b"p/items/", None),
    ],
)
def test_spans_stay_below_the_prefix(span: Span, start: bytes, end: bytes | None) -> None:
    bounds = PLAIN.bounds(span)
    assert decode_bytes(bounds["key"]) == start
    assert (decode_bytes(bounds["range_end"]) if "range_end" in bounds else None) == end


RELATIONS: dict[Relation, Any] = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt}
ETCD = {"EQUAL": operator.eq, "NOT_EQUAL": operator.ne, "LESS": operator.lt, "GREATER": operator.gt}


@pytest.mark.parametrize("offset", [0, 3, -3])
@pytest.mark.parametrize("relation", RELATIONS)
def test_a_compare_means_the_same_with_an_offset(offset: int, relation: Relation) -> None:
    """`theirs` 0: the key does not exist."""
    keyspace = Keyspace(b"p/", offset)
    for theirs, operand in product(range(10), range(-2, 14)):
        if theirs and theirs + offset < 1:
            continue  # before the registry began
        told = theirs + offset if theirs else 0
        compare = keyspace.transaction([Compare(b"k", "mod_revision", relation, operand)], [], [])["compare"][0]
        assert ETCD[compare["result"]](theirs, int(compare["mod_revision"])) == RELATIONS[relation](told, operand)


def answer(*events: dict[str, Any], revision: int = 99, **fields: object) -> dict[str, Any]:
    return {"header": {"revision": str(revision)}, "events": list(events), **fields}


def put_event(key: bytes, revision: int) -> dict[str, Any]:
    return {"kv": kv(key, b"", revision, revision, 1)}


def keys(whole: list[list[Event]]) -> list[tuple[int, list[bytes]]]:
    return [(events[0].revision, [event.key for event in events]) for events in whole]


def test_events_of_one_answer_are_whole_revisions_in_the_order_of_keys() -> None:
    position = Position(RAISED, 5)
    deleted = {"type": "DELETE", "kv": {"key": encode_bytes(b"p/items/b"), "mod_revision": "5"}}
    whole = position.feed(answer(deleted, put_event(b"a", 5), put_event(b"c", 7)))
    assert keys(whole) == [(105, [b"a", b"b"]), (107, [b"c"])]
    assert whole[0][1] == Event(b"b", 105, None)
    assert position.next == 8


def test_a_revision_in_fragments_is_told_when_it_is_whole() -> None:
    position = Position(PLAIN, 5)
    assert position.feed(answer(put_event(b"a", 5), fragment=True)) == []
    assert keys(position.feed(answer(put_event(b"b", 5), put_event(b"c", 6), fragment=True))) == [(5, [b"a", b"b"])]
    assert position.next == 6
    position.reopened()
    assert keys(position.feed(answer(put_event(b"c", 6), put_event(b"d", 6)))) == [(6, [b"c", b"d"])]


def test_only_a_progress_note_moves_a_silent_watch() -> None:
    position = Position(PLAIN, 5)
    assert position.feed({"header": {"revision": "50"}, "created": True}) == []
    assert position.next == 5
    assert position.feed({"header": {"revision": "40"}}) == []
    assert position.next == 41
    assert position.feed({"header": {"revision": "30"}}) == []
    assert position.next == 41


def test_the_end_of_a_watch() -> None:
    with pytest.raises(CompactedError, match=r"before revision 108 .* asked for 105"):
        Position(RAISED, 5).feed({"header": {}, "canceled": True, "compact_revision": "8"})
    with pytest.raises(UnavailableError, match="no leader"):
        Position(RAISED, 5).feed({"header": {}, "canceled": True, "cancel_reason": "etcdserver: no leader"})


@pytest.mark.parametrize(
    ("code", "message", "error", "said"),
    [
        (5, "etcdserver: requested lease not found", NotFoundError, "lease"),
        (8, "etcdserver: mvcc: database space exceeded", FullError, "disarmed"),
        (8, "etcdserver: too many requests", UnavailableError, "too many"),
        (14, "etcdserver: no leader", UnavailableError, "no leader"),
        (14, "etcdserver: leader changed", OutcomeUnknownError, "unknown"),
        (14, "etcdserver: request timed out", OutcomeUnknownError, "unknown"),
        (14, "etcdserver: request timed out, possibly due to previous leader failure", OutcomeUnknownError, "unknown"),
        (2, "something new", OutcomeUnknownError, "unknown"),
        (3, "etcdserver: user name is empty", AccessError, "client-cert-auth"),
        (16, "etcdserver: invalid auth token", AccessError, "client-cert-auth"),
        (7, "etcdserver: permission denied", AccessError, "client-cert-auth"),
        (15, "etcdserver: corrupt cluster", DamageError, "disagree"),
        (3, "etcdserver: too many operations in txn request", InvalidError, "operations"),
        (9, "etcdserver: Peer URLs already exists", ConflictError, "already"),
    ],
)
def test_refusals(code: int, message: str, error: type[DrystoneError], said: str) -> None:
    refused = refusal(code, message, "https://a:2379")
    assert type(refused) is error
    assert said in str(refused)
    assert "https://a:2379" in str(refused)
