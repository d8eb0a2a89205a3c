"""Manifests as values: whatever is sent is taken or refused in words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.objects.large import manifest
from gateway.swift.protocol import manifests
from gateway.swift.protocol.manifests import ManifestError
from store.core.errors import DamageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.dictionaries(
    st.sampled_from(["path", "etag", "size_bytes", "range", "data", "else"]),
    JSON | st.sampled_from(["/c/o", "c/o", "1-5", "-3", "7-", "YQ==", "9" * 50, "\ud800/x"]),
    max_size=5,
)


ENTRIES_MAX = 1_000_000


@pytest.mark.parametrize(
    ("entries", "mistake"),
    [
        ({}, "Manifest must be a list."),
        (["x"], "Index 0: not a JSON object"),
        ([{}], "Index 0: expected keys to include one of"),
        ([{"path": 5}], 'Index 0: "path" must be a string'),
        ([{"path": "/c"}], "Index 0: path does not refer to an object."),
        ([{"path": "c/o", "etag": 5}], 'Index 0: "etag" must be a string'),
        ([{"path": "c/o", "size_bytes": "x"}], "Index 0: invalid size_bytes"),
        ([{"path": "c/o", "size_bytes": 0}, {"path": "c/o"}], "Index 0: too small"),
        ([{"path": "c/o", "range": "x"}], "Index 0: invalid range"),
        ([{"path": "c/o", "range": "1-2,3-4"}], "Index 0: multiple ranges"),
        ([{"path": "c/o", "range": "9-", "size_bytes": 5}], "Index 0: unsatisfiable range"),
        ([{"path": "c/o", "else": 1, "more": 2}], 'Index 0: extraneous keys "else", "more"'),
        ([{"path": "/own/path"}], "Index 0: manifest must not include itself"),
        ([{"data": "???"}], "Index 0: data must be valid base64"),
        ([{"data": ""}], "Index 0: too small"),
        ([{"data": "YQ=="}], "Inline data segments require"),
        ([{"path": "c/o"}, {"path": 1}, {"data": 1}], "Index 1: "),
    ],
)
async def test_mistakes(entries: Any, mistake: str) -> None:
    with pytest.raises(ManifestError) as caught:
        await manifests.parse(json.dumps(entries).encode(), "own/path", ENTRIES_MAX)
    assert mistake in str(caught.value)
    assert str(caught.value).endswith("\n")


async def test_every_mistake_has_its_line() -> None:
    with pytest.raises(ManifestError) as caught:
        await manifests.parse(b'[1, {"path": "c/o"}, 2]', "a/b", ENTRIES_MAX)
    assert str(caught.value) == "Index 0: not a JSON object\nIndex 2: not a JSON object\n"


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
async def test_any_body(body: bytes) -> None:
    with contextlib.suppress(ManifestError):
        await manifests.parse(body, "a/b", ENTRIES_MAX)


@given(st.lists(ENTRY, max_size=4))
async def test_any_entries(entries: list[dict[str, Any]]) -> None:
    with contextlib.suppress(ManifestError):
        for wanted in await manifests.parse(json.dumps(entries).encode(), "a/b", ENTRIES_MAX):
            assert (wanted.data is None) == ("/" in wanted.path)
            wanted.path.encode()


async def test_the_list_of_mistakes_ends() -> None:
    with pytest.raises(ManifestError) as caught:
        await manifests.parse(b"[" + b"1," * 100_000 + b"1]", "a/b", ENTRIES_MAX)
    assert str(caught.value).count("\n") == manifests.MISTAKES_MAX


async def test_a_deep_body() -> None:
    with pytest.raises(ManifestError):
        await manifests.parse(b"[" * 200_000, "a/b", ENTRIES_MAX)


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_damage_is_called_damage(kept: bytes) -> None:
    with contextlib.suppress(DamageError):
        manifest.load(kept)


async def test_too_many_entries_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(manifests, "_entry")
    with pytest.raises(manifests.TooManyError):
        await manifests.parse(b"[1, 2, 3]", "a/b", 2)
