"""The parts of a transaction, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from store.registry.items import Item, Span

OPERATIONS_MAX: Final = 128
"""In each branch, and so for compares: what etcd allows unless told otherwise."""

TRANSACTION_BYTES_MAX: Final = 1280 * 1024
"""Keys and values of a whole transaction; etcd's 1.5 MiB with room for what surrounds them."""

Target = Literal["create_revision", "mod_revision", "version", "value"]
Relation = Literal["==", "!=", "<", ">"]


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition on one key. A key that does not exist has revisions and a version of 0; any comparison of its value
    fails. Values are compared as bytes."""

    key: bytes
    target: Target
    relation: Relation
    operand: int | bytes

    @classmethod
    def absent(cls, key: bytes) -> Compare:
        return cls(key, "create_revision", "==", 0)

    @classmethod
    def exists(cls, key: bytes) -> Compare:
        return cls(key, "create_revision", ">", 0)

    @classmethod
    def unchanged(cls, key: bytes, mod_revision: int) -> Compare:
        """The key was last put at `mod_revision`; with 0: it does not exist."""
        return cls(key, "mod_revision", "==", mod_revision)

    @classmethod
    def value_is(cls, key: bytes, value: bytes) -> Compare:
        return cls(key, "value", "==", value)


@dataclass(frozen=True, slots=True)
class Put:
    """Stores `value`. Attaches the key to `lease`, or with 0 detaches it from any."""

    key: bytes
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    key: bytes


@dataclass(frozen=True, slots=True)
class DeleteRange:
    span: Span


@dataclass(frozen=True, slots=True)
class Get:
    key: bytes


Operation = Put | Delete | DeleteRange | Get


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """`succeeded` says which branch was taken: True where all compares held.

    `revision` is the registry's after the transaction; where the branch changed anything, it is the transaction's
    own, and the mod_revision of all that it put. `answers` has one entry for each operation: for Get the item or
    None, for Put None, for Delete and DeleteRange the number of keys that went.
    """

    succeeded: bool
    revision: int
    answers: tuple[Item | int | None, ...]
