"""Pages of a list that changes, filters, order."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.call import Call
from gateway.rest.listing import Page, page
from gateway.rest.policy import Policy
from store.core.errors import InvalidError


def asked(query: str) -> Call:
    async def receive() -> dict[str, Any]:
        raise AssertionError("there is no body")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/things",
        "query_string": query.encode(),
        "headers": [(b"host", b"cloud")],
        "scheme": "http",
    }
    return Call(scope, receive, Policy([], {}))


def ids(found: Page) -> list[str]:
    return [row["id"] for row in found.rows]


ROWS = [
    {"id": "b", "name": "Beta", "enabled": True, "size": 2, "parent": None},
    {"id": "a", "name": "Alpha", "enabled": False, "size": 10, "parent": "b"},
    {"id": "c", "name": "gamma", "enabled": True, "size": 1, "parent": "b"},
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abc"),
        ("name=Beta", "b"),
        ("name=beta", ""),
        ("name__icontains=A", "abc"),
        ("name__startswith=A", "a"),
        ("name__iequals=GAMMA", "c"),
        ("name__endswith=a&enabled=true", "bc"),
        ("enabled=0", "a"),
        ("enabled", "bc"),
        ("parent=", "b"),
        ("size=10", "a"),
        ("marker=a", "bc"),
        ("marker=aa", "bc"),
        ("limit=2", "ab"),
        ("sort_key=name&sort_dir=desc", "cba"),
        ("sort_key=enabled&sort_key=name", "abc"),
        ("sort_key=name&sort_dir=desc&marker=c", "ba"),
    ],
)
def test_which_rows(query: str, found: str) -> None:
    assert "".join(ids(page(asked(query), ROWS, ("name", "enabled", "parent", "size")))) == found


@pytest.mark.parametrize(
    "query",
    [
        "nope=1",
        "name__like=x",
        "limit=0",
        "limit=x",
        "limit=1e3",
        "sort_key=nope",
        "sort_key=name&sort_dir=up",
        "sort_key=name&marker=gone",
    ],
)
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(InvalidError):
        page(asked(query), ROWS, ("name", "enabled"))


def test_fields_that_were_asked_for() -> None:
    assert page(asked("fields=id,name&limit=1"), ROWS).rows == [{"id": "a", "name": "Alpha"}]


@given(
    st.sets(st.integers(0, 60)),
    st.integers(1, 7),
    st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=30),
)
def test_pages_hold_what_stays_once_each_while_others_come_and_go(
    first: set[int], limit: int, changes: list[tuple[bool, int]]
) -> None:
    held, ever, seen = set(first), set(first), list[int]()
    always = set(first) - {number for comes, number in changes if not comes}
    query, waiting = f"limit={limit}", list(changes)
    while True:
        found = page(asked(query), [{"id": f"{number:03}"} for number in held])
        seen += [int(id_) for id_ in ids(found)]
        if found.follows is None:
            break
        query = urlsplit(found.follows).query
        if waiting:
            comes, number = waiting.pop(0)
            held = held | {number} if comes else held - {number}
            ever |= held
    assert len(seen) == len(set(seen))
    assert always <= set(seen) <= ever
