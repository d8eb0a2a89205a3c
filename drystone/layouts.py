"""The ring in the registry: its layouts, the progress of a change, and changes waiting to be applied.

Keys, described in docs/ring.md:

    ring/state               which layouts are live, and their progress
    ring/layout/<digest>/<n> a layout's stored form in pieces, named by its own hash, so that none is ever overwritten
    ring/staged              changes that `ring plan` shows and `ring apply` makes
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.core.codec import Codec
from store.core.errors import ConflictError, DamageError
from store.registry import Compare, Delete, DeleteRange, Operation, Put, Registry, Span
from store.registry.single_key import delete
from store.ring import LAYOUT_CODEC, PROGRESS_CODEC, Builder, Layout, Ring

STATE_KEY: Final = b"ring/state"
STAGED_KEY: Final = b"ring/staged"
LAYOUT_PREFIX: Final = b"ring/layout/"
PIECE_BYTES: Final = 512 * 1024
"""A layout of 65,536 partitions and many widths is larger than a value may be."""

_DIGEST_BYTES: Final = 20


@dataclass(frozen=True)
class Stored:
    """A ring and the revision at which it was read; 0 with no ring: there is none yet."""

    ring: Ring | None
    revision: int


async def load_ring(registry: Registry, cluster_key: bytes) -> Stored:
    """Raises DamageError where a layout is missing or is not what its name says."""
    while True:
        item = await registry.get(STATE_KEY)
        if item is None:
            return Stored(None, 0)
        digests, packed = _STATE.decode(item.value)
        try:
            live = [await _load_layout(registry, digest) for digest in digests]
        except DamageError:
            again = await registry.get(STATE_KEY)
            if again == item:
                raise
            # The layout retired between the two reads.
            continue
        return Stored(Ring(cluster_key, tuple(live), PROGRESS_CODEC.decode(packed)), item.mod_revision)


async def load_newer(registry: Registry, cluster_key: bytes, ring: Ring) -> Ring | None:
    """The stored ring, where it has come of this one; None where it is this one still. Raises as `load_ring`."""
    stored = await load_ring(registry, cluster_key)
    return stored.ring if stored.ring is not None and ring.is_behind(stored.ring) else None


async def save_ring(registry: Registry, ring: Ring, revision: int, *, applied: Staged | None = None) -> int:
    """Stores `ring` in the place of the one read at `revision` (0: of none); what was `applied` waits no longer. The
    new revision.

    Raises ConflictError where somebody stored another meanwhile, or staged more: load again, and take the step from
    there.
    """
    packed = [LAYOUT_CODEC.encode(layout) for layout in ring.live]
    digests = [_digest(layout) for layout in packed]
    # That the pieces are still there is asked again below: another who takes a step now may be forgetting layouts.
    compares = [Compare.unchanged(STATE_KEY, revision)]
    for digest, layout in zip(digests, packed, strict=True):
        compares += [Compare.exists(key) for key in await _save_layout(registry, digest, layout)]
    state = _STATE.encode((digests, PROGRESS_CODEC.encode(ring.progress)))
    operations: list[Operation] = [Put(STATE_KEY, state)]
    if applied is not None:
        compares.append(Compare.unchanged(STAGED_KEY, applied.revision))
        operations.append(Delete(STAGED_KEY))
    result = await registry.transact(compares, operations)
    if not result.succeeded:
        raise ConflictError("the ring changed meanwhile")
    await _forget_layouts(registry, digests, result.revision)
    return result.revision


async def publish_layout(
    registry: Registry, cluster_key: bytes, stored: Stored, layout: Layout, *, applied: Staged | None = None
) -> None:
    """Stores `layout` as the one after those that were `stored`; what was `applied` waits no longer. Steps that nodes
    have taken since are kept.

    Raises ConflictError where there is another layout since, or more was staged.
    """
    while True:
        ring = stored.ring.publish(layout) if stored.ring is not None else Ring(cluster_key, (layout,))
        try:
            await save_ring(registry, ring, stored.revision, applied=applied)
        except ConflictError:
            now = await load_ring(registry, cluster_key)
            if now.revision == stored.revision or not _same_layout(now.ring, stored.ring):
                raise
            stored = now
        else:
            return


def _same_layout(ring: Ring | None, other: Ring | None) -> bool:
    """Whether the newest is."""
    return ring is not None and other is not None and ring.newest.version == other.newest.version


async def step_ring(registry: Registry, cluster_key: bytes, step: Callable[[Ring], Ring]) -> Ring:
    """Takes one step (`mark_synced`, `mark_enforced`) on the stored ring, again and again while others take theirs.

    Raises ConflictError where there is no ring yet.
    """
    while True:
        stored = await load_ring(registry, cluster_key)
        if stored.ring is None:
            raise ConflictError("there is no ring yet")
        ring = step(stored.ring)
        if ring is stored.ring:
            return ring
        try:
            await save_ring(registry, ring, stored.revision)
        except ConflictError:
            continue
        return ring


async def _load_layout(registry: Registry, digest: bytes) -> Layout:
    pieces = await registry.range(Span.prefix(_layout_key(digest)))
    packed = b"".join(piece.value for piece in pieces)
    if _digest(packed) != digest:
        raise DamageError(f"ring layout {digest.hex()}: what is stored is not what was written")
    return LAYOUT_CODEC.decode(packed)


async def _save_layout(registry: Registry, digest: bytes, packed: bytes) -> list[bytes]:
    """The keys of its pieces: one a transaction, since together they may be more than a transaction holds. Nothing
    names the layout before all of it is there."""
    stored = await registry.range(Span.prefix(_layout_key(digest)))
    if _digest(b"".join(piece.value for piece in stored)) == digest:
        return [piece.key for piece in stored]
    await registry.transact([], [DeleteRange(Span.prefix(_layout_key(digest)))])
    keys = []
    for number, start in enumerate(range(0, len(packed), PIECE_BYTES)):
        key = _layout_key(digest) + b"%04d" % number
        await registry.transact([], [Put(key, packed[start : start + PIECE_BYTES])])
        keys.append(key)
    return keys


async def _forget_layouts(registry: Registry, live: Sequence[bytes], revision: int) -> None:
    """Deletes retired layouts, unless the ring has changed again: then its changer sees to it."""
    known = {item.key[: -len(b"0000")] for item in await registry.range(Span.prefix(LAYOUT_PREFIX))}
    for prefix in sorted(known - {_layout_key(digest) for digest in live}):
        await registry.transact([Compare.unchanged(STATE_KEY, revision)], [DeleteRange(Span.prefix(prefix))])


def _layout_key(digest: bytes) -> bytes:
    return LAYOUT_PREFIX + digest.hex().encode() + b"/"


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest()


def _read_state_1(fields: Sequence[Any]) -> tuple[list[bytes], bytes]:
    digests, progress = fields
    return list(digests), progress


_STATE: Final = Codec[tuple[list[bytes], bytes]]("ring state", 1, lambda state: state, {1: _read_state_1})


@dataclass(frozen=True)
class Change:
    """One staged change: a Builder method's name and its arguments."""

    action: str
    arguments: tuple[Any, ...]

    def make(self, builder: Builder) -> None:
        """Raises DamageError for an action that this program does not know, and whatever the action raises."""
        match self.action, self.arguments:
            case "add", (region, zone, machine, weight, label):
                builder.add(region, zone, machine, weight, label)
            case "remove", (device,):
                builder.remove(device)
            case "weight", (device, weight):
                builder.set_weight(device, weight)
            case "width", (width,):
                builder.add_width(width)
            case "overload", (overload,):
                builder.set_overload(overload)
            case _:
                raise DamageError(f"a staged change {self.action!r} {self.arguments!r} is not known here")


@dataclass(frozen=True)
class Staged:
    """The changes that wait, in order, and the revision at which they were read."""

    changes: tuple[Change, ...]
    revision: int

    def builder(self, ring: Ring | None) -> Builder:
        """A builder on the newest layout with all changes made."""
        builder = Builder(ring.newest if ring else None)
        for change in self.changes:
            change.make(builder)
        return builder


async def load_staged(registry: Registry) -> Staged:
    item = await registry.get(STAGED_KEY)
    return Staged(tuple(_STAGED.decode(item.value)), item.mod_revision) if item else Staged((), 0)


async def stage(
    registry: Registry, staged: Staged, change: Change, ring: Stored | None = None, also: Sequence[Operation] = ()
) -> None:
    """Adds a change to those read before, and does what is `also` to be done. Raises ConflictError where they changed
    meanwhile, or the ring has since it was read as `ring`: the number of a new device may have gone to another."""
    compares = [Compare.unchanged(STAGED_KEY, staged.revision)]
    if ring is not None:
        compares.append(Compare.unchanged(STATE_KEY, ring.revision))
    packed = _STAGED.encode([*staged.changes, change])
    result = await registry.transact(compares, [Put(STAGED_KEY, packed), *also])
    if not result.succeeded:
        raise ConflictError("the staged changes, or the ring, changed meanwhile: try again")


async def unstage_all(registry: Registry, staged: Staged) -> None:
    """Forgets the changes that were read. Raises ConflictError where they changed meanwhile."""
    await delete(registry, STAGED_KEY, mod_revision=staged.revision)


_STAGED: Final = Codec[list[Change]](
    "staged ring changes",
    1,
    lambda changes: [[change.action, *change.arguments] for change in changes],
    {1: lambda fields: [Change(action, tuple(arguments)) for action, *arguments in fields]},
)
