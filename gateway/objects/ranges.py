"""Byte ranges: fitting what is asked for to a size. Pure."""

from __future__ import annotations

from itertools import pairwise

RANGES_MAX = 50
OVERLAPS_MAX = 2
DESCENDING_MAX = 8
"""Bounds on what one request may ask for: more is a way to make a small request very large work."""

Asked = list[tuple[int | None, int | None]]
"""First and last byte of each range as it is asked for; without a first, the last so many."""
Fitted = list[tuple[int, int]]


def fit(asked: Asked, size: int) -> Fitted:
    """The ranges [start, stop) that a body of `size` bytes has, in the order asked; [] where none can be served."""
    fitted: Fitted = []
    for start, end in asked:
        if start is None:
            if end:
                fitted.append((max(size - end, 0), size))
        elif start < size:
            fitted.append((start, size if end is None else min(end + 1, size)))
    if len(fitted) > 1 and _abusive(fitted):
        return []
    return fitted


def _abusive(fitted: Fitted) -> bool:
    if len(fitted) > RANGES_MAX:
        return True
    overlaps = 0
    for index, (start, stop) in enumerate(fitted):
        for other_start, other_stop in fitted[index + 1 :]:
            if start < other_stop and other_start < stop and (start, stop) != (other_start, other_stop):
                overlaps += 1
                if overlaps > OVERLAPS_MAX:
                    return True
    return len(fitted) >= DESCENDING_MAX and any(a > b for a, b in pairwise(fitted))
