"""What the twin's own slow listing does at its edges, since the real one is held to it."""

from __future__ import annotations

import pytest

from store.objects.model import ListingQuery, Subdir
from tests.twins.objects import page

NAMES = ["a", "b-1", "b-2", "c", "d-", "é", "\U0001f300", "\uffff"]


def listed(**query: object) -> list[str]:
    entries = page([(name, name) for name in NAMES], ListingQuery(**{"limit": 100, **query}))  # type: ignore[arg-type]
    return [f"<{entry.name}>" if isinstance(entry, Subdir) else entry for entry in entries]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["a", "b-1", "b-2", "c", "d-", "é", "\uffff", "\U0001f300"]),
        ({"delimiter": "-"}, ["a", "<b->", "c", "<d->", "é", "\uffff", "\U0001f300"]),
        ({"delimiter": "-", "limit": 2}, ["a", "<b->"]),
        ({"delimiter": "-", "marker": "b-", "end_marker": "é"}, ["c", "<d->"]),
        ({"delimiter": "-", "marker": "b-1", "end_marker": "c"}, ["<b->"]),
        ({"delimiter": "-", "prefix": "b-"}, ["b-1", "b-2"]),
        ({"delimiter": "-", "marker": "d", "end_marker": "b-", "reverse": True}, ["c"]),
        ({"delimiter": "-", "marker": "d", "end_marker": "b", "reverse": True}, ["c", "<b->"]),
        ({"delimiter": "-", "marker": "b-", "reverse": True}, ["a"]),
        ({"reverse": True, "limit": 2}, ["\U0001f300", "\uffff"]),
        ({"limit": 0}, []),
    ],
)
def test_pages(query: dict[str, object], expected: list[str]) -> None:
    assert listed(**query) == expected
