"""Tables of nftables as facts: chains of rules, sets and maps by their elements. What to tell `nft` is in `nft_script`.

Rules and elements are in the words of nft. Whoever makes them puts nothing in but names made here, parsed addresses and
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

TABLE: Final = "drystone"
"""The name of all of our tables."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a chain sees packets by itself."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules, in their order."""

    name: str
    rules: tuple[str, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """A named set."""

    name: str
    type: str
    """Such as `type ipv4_addr` or `typeof iifname . ether saddr`."""
    elements: frozenset[str] = frozenset()
    interval: bool = False
    """Of prefixes, which must not overlap."""


@dataclass(frozen=True, slots=True)
class Map:
    """A named map, of values or of verdicts."""

    name: str
    type: str
    """Such as `type mark : verdict`."""
    elements: Mapping[str, str] = field(default_factory=dict)
    interval: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A named limit, to which maps lead: it holds for all packets together that come to it. The kernel changes none:
    where the name is the same, so is the rest."""

    name: str
    rate: str
    """Such as `rate over 125000 bytes/second burst 65536 bytes`: matches what is more."""


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table of ours."""

    family: str
    chains: tuple[Chain, ...] = ()
    sets: tuple[Set, ...] = ()
    maps: tuple[Map, ...] = ()
    counters: tuple[str, ...] = ()
    """Named counters: `counter name "<name>"` in a rule."""
    limits: tuple[Limit, ...] = ()
    """`limit name <key> map @<map>` in a rule."""
    name: str = TABLE
