"""Drawn mutants that may survive, by name, each with the reason why no test could or should notice it."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final[dict[str, str]] = {
    "store/objects/upload.py DataUpload._flush_block: size is not None and size < BLOCK_BYTES -> (size is not None)": (
        "the same: what is left at the end, where no block was sent before, is less than one, or it had been sent"
    ),
    "store/objects/table_cache.py TableCache.__init__: 0 -> 1": (
        "the same: where the count begins is of no matter, tickets are compared with it for being equal"
    ),
    "store/objects/table_cache.py TableCache.clear: 1 -> 2": (
        "the same: tickets are compared with the count for being equal, and it only grows"
    ),
    "store/engine/page_cache.py lies_in_memory: left or length < stop - start -> (length < stop - start)": (
        "the same: a part that is left has used up the room, so that all behind it are left as well"
    ),
    "store/core/stamp.py StampSource.next: 1 -> 2": (
        "as good: a stamp has to be above the last, by how much is of no matter"
    ),
    "store/engine/compaction.py Compactor.compact_segment: 0 -> 1 (2)": (
        "as good: others have their turn after as many records, only the first time sooner"
    ),
    "store/objects/store.py ObjectUpload.reflink: not isinstance(data, StoredData) or not "
    "self._data.place_beside(data) -> (not self._data.place_beside(data))": (
        "the same: data of other stores reach no upload of this one; the question is there for the type checker"
    ),
    "store/objects/upload.py DataUpload.__init__: False -> True": (
        "the same but where Python may make no MD5 for security (FIPS): it is said that this one is not"
    ),
    "store/ring/moves.py _chain: not target or taker == start or taker in came or "
    "work.excess(others, taker, work.best) != 0 -> (not target or taker in came or "
    "work.excess(others, taker, work.best) != 0)": (
        "as good: no chain ends at its start, which has too much; to go through it again only takes time"
    ),
    "store/ring/moves.py _Wanting.draw: work.surplus(device) < 0 and work.excess(others, device, limits) == 0 -> "
    "False": ("as good: what is not found by draws or here is looked for by chains, within the same tolerance"),
    "store/replicator/upload_janitor.py UploadJanitor._committed: False -> True": (
        "as good but where devices are full: then it waits for room, and is tried again until there is some"
    ),
    "store/engine/replay.py Replay.__init__: 0 -> 1 (3)": (
        "as good: where the sequence numbers of an empty log begin is of no matter, they only have to grow"
    ),
    "store/objects/store.py DeviceStore.put: 0 -> 1 (2)": (
        "the same: without the flag that says so, nobody looks at when a row expires"
    ),
}
