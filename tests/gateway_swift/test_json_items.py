"""A JSON list, item by item."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.swift.protocol import json_items
from gateway.swift.protocol.json_items import MARKS_MAX, WINDOW, NoListError, TooComplicatedError, items
from tests.gateway_swift.test_slo_manifest import JSON


def outcome(body: bytes) -> Any:
    try:
        return list(items(body))
    except (NoListError, TooComplicatedError) as error:
        return type(error)
    except ValueError:
        return ValueError


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1, "\t"]), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_what_json_makes_of_it(value: list[Any], indent: Any, encoding: str) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=False).encode(encoding, "surrogatepass")
    assert repr(outcome(body)) == repr(json.loads(body))


@given(st.lists(JSON, max_size=3), st.data())
def test_what_is_no_json_is_none_here(value: list[Any], data: st.DataObject) -> None:
    """A character of it is another one."""
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text) - 1))
    body = (text[:at] + data.draw(st.sampled_from('[]{},:"x1 ')) + text[at + 1 :]).encode()
    try:
        expected = json.loads(body)
    except ValueError:
        assert outcome(body) is ValueError
    else:
        assert repr(outcome(body)) == repr(expected if isinstance(expected, list) else NoListError)


@pytest.mark.parametrize("length", [WINDOW - 12, WINDOW - 11, WINDOW - 2, WINDOW, 4 * WINDOW, 100 * WINDOW])
def test_a_long_string_is_an_item(length: int) -> None:
    value = [1, {"data": "x" * length}, 2]
    assert outcome(json.dumps(value).encode()) == value


def test_a_number_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_items, "WINDOW", 2)
    assert outcome(b"[12345, 6, 78]") == [12345, 6, 78]


def test_a_long_item_of_many_parts_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    decode = json.JSONDecoder.raw_decode

    def count(self: json.JSONDecoder, text: str, at: int = 0) -> Any:
        made.append(len(text))
        return decode(self, text, at)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", count)
    for item in ('{"a":[' + "[]," * WINDOW + "[]]}", "[" * WINDOW * 8, "{" + '"":1,' * WINDOW + '"":1}'):
        assert outcome(f"[{item}]".encode()) is TooComplicatedError
    assert max(made) == WINDOW
    fits = [["x" * (WINDOW // 100)] * (MARKS_MAX // 3 - 1)]
    assert outcome(json.dumps(fits).encode()) == fits


def test_items_come_before_the_rest_is_looked_at() -> None:
    found = items(b"[1, 2, nothing that is JSON")
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="no JSON"):
        next(found)
