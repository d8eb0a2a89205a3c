"""The registry's keys, revisions and transactions in the JSON of etcd's gateway, and back. Sans-I/O.

JSON as the gateway has it: bytes in base64, numbers of 64 bits as strings, and whatever has its default value (0, no
bytes, false, an empty list) left out. Messages: etcd's api/etcdserverpb/rpc.proto and mvccpb/kv.proto.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Delete, DeleteRange, Get, Operation, Put, Relation, TransactionResult

Json = Mapping[str, Any]

_TARGETS: Final = {"create_revision": "CREATE", "mod_revision": "MOD", "version": "VERSION", "value": "VALUE"}
_RELATIONS: Final[dict[Relation, str]] = {"==": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}
_ITEMS: Final = b"items/"
_OFFSET: Final = b"revision-offset"
_NEVER: Final = -1
"""No key of etcd has this revision."""


def encode_bytes(value: bytes) -> str:
    return b64encode(value).decode()


def decode_bytes(value: str) -> bytes:
    return b64decode(value, validate=True)


def number(message: Json, name: str) -> int:
    return int(message.get(name, 0))


def header_revision(answer: Json) -> int:
    """etcd's own revision at the moment of the answer."""
    return number(answer.get("header", {}), "revision")


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Items are below `prefix` + `items/`; nothing of etcd but what begins with `prefix` is ever touched.

    `offset` is what the registry's revisions are above etcd's. etcd's go back when it is recovered from an older state,
    and the registry's must not: each recovery raises the offset.
    """

    prefix: bytes
    offset: int = 0

    @property
    def offset_key(self) -> bytes:
        return self.prefix + _OFFSET

    def key(self, key: bytes) -> str:
        return encode_bytes(self.prefix + _ITEMS + key)

    def bounds(self, span: Span) -> dict[str, str]:
        """The keys of a span. One that holds none is told as the key that no item can have: etcd takes an end before
        the start for an error, or for something else."""
        items = self.prefix + _ITEMS
        if span.end is not None and span.end <= span.start:
            return {"key": encode_bytes(items)}
        end = Span.prefix(items).end if span.end is None else items + span.end
        assert end is not None  # the prefix is no row of 0xff
        return {"key": encode_bytes(items + span.start), "range_end": encode_bytes(end)}

    def revision(self, answer: Json) -> int:
        """The registry's at the moment of the answer."""
        return header_revision(answer) + self.offset

    def item(self, kv: Json) -> Item:
        return Item(
            self._own(kv),
            decode_bytes(kv.get("value", "")),
            number(kv, "create_revision") + self.offset,
            number(kv, "mod_revision") + self.offset,
            number(kv, "version"),
            number(kv, "lease"),
        )

    def items(self, answer: Json) -> list[Item]:
        return [self.item(kv) for kv in answer.get("kvs", ())]

    def event(self, event: Json) -> Event:
        kv = event["kv"]
        deleted = event.get("type") == "DELETE"
        return Event(self._own(kv), number(kv, "mod_revision") + self.offset, None if deleted else self.item(kv))

    def transaction(
        self, compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation]
    ) -> Json:
        return {
            "compare": [self._compare(compare) for compare in compares],
            "success": [self._operation(operation) for operation in on_success],
            "failure": [self._operation(operation) for operation in on_failure],
        }

    def result(self, answer: Json) -> TransactionResult:
        answers = tuple(self._answer(response) for response in answer.get("responses", ()))
        return TransactionResult(bool(answer.get("succeeded", False)), self.revision(answer), answers)

    def _own(self, kv: Json) -> bytes:
        return decode_bytes(kv["key"]).removeprefix(self.prefix + _ITEMS)

    def _compare(self, compare: Compare) -> Json:
        told: dict[str, str] = {
            "key": self.key(compare.key),
            "target": _TARGETS[compare.target],
            "result": _RELATIONS[compare.relation],
        }
        if isinstance(compare.operand, bytes):
            return told | {"value": encode_bytes(compare.operand)}
        operand = compare.operand
        if compare.target != "version":
            operand = self._theirs(operand, compare.relation)
        return told | {compare.target: str(operand)}

    def _theirs(self, revision: int, relation: Relation) -> int:
        """What to compare etcd's revision with. A key that does not exist has 0 here as there, and what is from before
        the offset was raised is below all that etcd has."""
        if revision <= 0:
            return revision
        theirs = revision - self.offset
        if relation == "<":
            return max(theirs, 1)
        if relation == ">":
            return max(theirs, 0)
        return theirs if theirs > 0 else _NEVER

    def _operation(self, operation: Operation) -> Json:
        match operation:
            case Get(key):
                return {"request_range": {"key": self.key(key)}}
            case Put(key, value, lease):
                return {"request_put": {"key": self.key(key), "value": encode_bytes(value), "lease": str(lease)}}
            case Delete(key):
                return {"request_delete_range": {"key": self.key(key)}}
            case DeleteRange(span):
                return {"request_delete_range": self.bounds(span)}

    def _answer(self, response: Json) -> Item | int | None:
        if "response_range" in response:
            found = self.items(response["response_range"])
            return found[0] if found else None
        if "response_delete_range" in response:
            return number(response["response_delete_range"], "deleted")
        return None
