"""The nouns that the object store and its tenants share. Plain values; no behaviour beyond their own meaning.

A tenant (a gateway, the image registry) sees accounts, containers and objects, never devices, partitions or records.
`headers` are the tenant's own: the store keeps them and gives them back, and attaches no meaning to any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from store.core.stamp import Stamp

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """How a container's data are kept: `replicas` copies, or an erasure code of `k` data and `m` parity fragments.

    `codec` names the erasure code's implementation, since fragments of one cannot be read by another ("" when
    replicated). Index 0 is the policy of containers that ask for none, unless another is marked `default`.
    """

    index: int
    name: str
    replicas: int = 3
    k: int = 0
    m: int = 0
    codec: str = ""
    default: bool = False
    deprecated: bool = False

    @property
    def erasure(self) -> bool:
        return self.k > 0

    @property
    def width(self) -> int:
        """Devices that one object's data are spread over."""
        return self.k + self.m if self.erasure else self.replicas


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container, or all containers of an account, hold. Exact once all replicas have what was written.

    `policies` maps a policy's index to (objects, bytes). In an account's usage `containers` counts its containers, and
    `policy_containers` those of each policy by its index.
    """

    objects: int = 0
    bytes: int = 0
    containers: int = 0
    policies: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    policy_containers: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """An account: a namespace of containers. `id` changes when an account is deleted and made again."""

    name: str
    id: bytes
    shards: int
    created: Stamp
    changed: Stamp
    headers: Headers


@dataclass(frozen=True, slots=True)
class Container:
    """A container: a namespace of objects under one policy. `id` changes when it is deleted and made again."""

    account: str
    name: str
    id: bytes
    policy: int
    shards: int
    created: Stamp
    changed: Stamp
    headers: Headers


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What a tenant says of an object, and may change without touching its data.

    `listing` is a small mapping of strings shown in listings (kept in the index, so keep it short); `expires_at`
    is in whole seconds since the epoch: from then on the object is absent.
    """

    content_type: str
    headers: Headers = field(default_factory=dict)
    listing: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: `size` bytes with the MD5 `etag` (hex), its head, and when data (`created`) and anything
    (`changed`) was last written."""

    name: str
    size: int
    etag: str
    head: ObjectHead
    created: Stamp
    changed: Stamp
    policy: int


@dataclass(frozen=True, slots=True)
class ListingQuery:
    """One page of an ordered listing. Order is that of the names' UTF-8 bytes.

    `marker` and `end_marker` are exclusive bounds in the direction of travel (with `reverse`, `marker` is the upper
    one). With `delimiter`, names that hold it behind `prefix` fold into one `Subdir`.
    """

    limit: int
    prefix: str = ""
    marker: str = ""
    end_marker: str = ""
    delimiter: str = ""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Subdir:
    """Names that share everything up to and including a delimiter, folded into one entry of a listing."""

    name: str


class ObjectEntry(NamedTuple):
    """An object as a listing shows it."""

    name: str
    size: int
    etag: str
    content_type: str
    listing: Mapping[str, str]
    changed: Stamp


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """A container as an account's listing shows it."""

    name: str
    usage: Usage
    changed: Stamp
    policy: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the present object for a write to happen; checked in the same step as the write.

    `match`: the object exists and its etag is one of these ("*": any). `none_match`: it does not exist, or its etag
    is none of these ("*": it does not exist). `unchanged`: it was last changed then (`ObjectInfo.changed`), and so is
    the very same, as no etag can tell. Raises PreconditionError where it does not hold.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None
    unchanged: Stamp | None = None

    def holds(self, etag: str | None, changed: Stamp | None = None) -> bool:
        """Whether it holds of an object with this etag (None: no object) that was last changed then."""
        if self.unchanged is not None and (etag is None or changed != self.unchanged):
            return False
        if self.match is not None and (etag is None or not ("*" in self.match or etag in self.match)):
            return False
        return not (
            self.none_match is not None and etag is not None and ("*" in self.none_match or etag in self.none_match)
        )


ALWAYS = Condition()
