"""Small, strongly consistent control-plane state: transactions, leases, watches.

Read `items` and `operations` (the nouns), `interface` (the promise), `single_key` (the common transactions). `local`
keeps the promise in one process, over a backend: `memory` for tests, `embedded` on disk; `evaluation`, `leases` and
`history` are its pure parts. `served` keeps it for other processes, which ask that one over links. `etcd` keeps it for
clusters.
"""

from store.registry.embedded import open_embedded
from store.registry.interface import CompactedError, Lease, OutcomeUnknownError, Registry, UnavailableError
from store.registry.items import Event, Item, Span
from store.registry.memory import memory_registry
from store.registry.operations import Compare, Delete, DeleteRange, Get, Operation, Put, TransactionResult

__all__ = [
    "CompactedError",
    "Compare",
    "Delete",
    "DeleteRange",
    "Event",
    "Get",
    "Item",
    "Lease",
    "Operation",
    "OutcomeUnknownError",
    "Put",
    "Registry",
    "Span",
    "TransactionResult",
    "UnavailableError",
    "memory_registry",
    "open_embedded",
]
