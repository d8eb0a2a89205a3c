"""Listings held against the history of what they list: no phantom, nothing missing.

A listing is no snapshot: it is read page by page while others write. But each name by itself must be right at some
moment between its beginning and its end. So a name is *missing* if it was there all that time, and a *phantom* if it
was not there at any. Where an operation that may have taken effect leaves both possible, nothing is said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tests.cluster.history import Operation

FOREVER = 1 << 62


@dataclass(frozen=True)
class Judgement:
    """`mistakes`, each in words; `decided`: how many (listing, name) there were of which something could be said."""

    mistakes: list[str]
    decided: int


class _Windows:
    """Spans of time in which something took effect at one moment each."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        by_end = sorted(spans, key=lambda span: span[1])
        self._ends = [end for _, end in by_end]
        self._latest_starts = list(accumulate((start for start, _ in by_end), max))
        by_start = sorted(spans)
        self._starts = [start for start, _ in by_start]
        self._latest_ends = list(accumulate((end for _, end in by_start), max))

    def latest_before(self, moment: int) -> int | None:
        """The latest start of all that were over by then."""
        index = bisect_left(self._ends, moment)
        return self._latest_starts[index - 1] if index else None

    def any_between(self, after: int, before: int) -> bool:
        """Whether one may have taken effect after the one moment and before the other."""
        index = bisect_left(self._starts, before)
        return bool(index) and self._latest_ends[index - 1] > after


class _Key:
    """One name: when it was surely there, surely not there, and what may have changed that."""

    def __init__(self, operations: Iterable[Operation], seen: dict[str, int]) -> None:
        there: list[tuple[int, int]] = []
        absent: list[tuple[int, int]] = []
        writes: list[tuple[int, int]] = []
        deletes: list[tuple[int, int]] = []
        for one in operations:
            if one.outcome == "fail":
                continue
            known = one.outcome == "ok"
            span = (one.start_ns, one.end_ns if known and one.end_ns is not None else FOREVER)
            match one.op:
                case "get" if known:
                    (absent if one.output["value"] is None else there).append(span)
                case "delete":
                    if known:
                        absent.append(span)
                    if not known or one.output["existed"]:
                        deletes.append(span)
                case "put" | "cas":
                    if known and (one.op == "put" or one.output["swapped"]):
                        there.append(span)
                        writes.append(span)
                    elif not known:
                        # Somebody who read it says by when it had taken effect.
                        writes.append((one.start_ns, seen.get(one.input["value"], FOREVER)))
        self._there, self._absent = _Windows(there), _Windows(absent)
        self._writes, self._deletes = _Windows(writes), _Windows(deletes)

    def always(self, start: int, end: int) -> bool:
        since = self._there.latest_before(start)
        return since is not None and not self._deletes.any_between(since, end)

    def never(self, start: int, end: int) -> bool:
        since = self._absent.latest_before(start)
        return not self._writes.any_between(-1 if since is None else since, end)


def check(history: Iterable[Operation]) -> Judgement:
    """All listings in a history against all else in it. Keys are `container/name`."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    listings = []
    seen: dict[str, int] = {}
    for one in history:
        if one.op == "list":
            listings.append(one)
            continue
        by_key[one.key].append(one)
        if one.op == "get" and one.outcome == "ok" and one.output["value"] is not None and one.end_ns is not None:
            value = one.output["value"]
            seen[value] = min(seen.get(value, FOREVER), one.end_ns)
    keys = {key: _Key(operations, seen) for key, operations in by_key.items()}
    mistakes: list[str] = []
    decided = 0
    for listing in listings:
        if listing.outcome != "ok" or listing.end_ns is None:
            continue
        names: list[str] = listing.output["names"]
        said = f"listing of {listing.key} by {listing.process} at {listing.start_ns}"
        if any(first >= second for first, second in pairwise(names)):
            mistakes.append(f"{said}: not in order, or a name twice")
        listed = {f"{listing.key}/{name}" for name in names}
        mistakes += [f"{said}: {key} is a phantom: nobody wrote it" for key in sorted(listed - keys.keys())]
        for key, windows in keys.items():
            if not key.startswith(f"{listing.key}/"):
                continue
            always = windows.always(listing.start_ns, listing.end_ns)
            never = windows.never(listing.start_ns, listing.end_ns)
            decided += always or never
            if always and key not in listed:
                mistakes.append(f"{said}: {key} is missing")
            if never and key in listed:
                mistakes.append(f"{said}: {key} is a phantom")
    return Judgement(mistakes, decided)
