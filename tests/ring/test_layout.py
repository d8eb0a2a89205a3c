"""The stored forms of layouts and progress."""

from __future__ import annotations

from array import array
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings

from store.core.errors import DamageError
from store.ring import LAYOUT_CODEC, PROGRESS_CODEC, ROWS, Device, Layout, Progress
from tests.ring.rings import Place, builder_of, places

SAMPLES = Path(__file__).parent / "samples"


def sample_layout() -> Layout:
    devices = {
        0: Device(0, 1, 1, "alpha", 4.0, "sda"),
        1: Device(1, 1, 2, "beta", 4.0, "/srv/disk"),
        4: Device(4, 2, 1, "gamma", 0.5, "sdb"),
        300: Device(300, 2, 1, "gamma", 0.0, "sdc"),
    }
    tables = {
        ROWS: (array("H", [0, 1]), array("H", [1, 4]), array("H", [4, 0])),
        2: (array("H", [0, 4]), array("H", [300, 1])),
    }
    return Layout(7, 1, 0.25, 301, devices, tables)


def sample_progress(unclean: frozenset[int], collected: int = 0) -> Progress:
    return Progress(9, 6, 8, {7: frozenset({0, 4})}, {0: 8, 1: 9}, unclean, collected)


@pytest.mark.parametrize(
    ("name", "codec", "value"),
    [
        ("layout-1", LAYOUT_CODEC, sample_layout()),
        ("progress-1", PROGRESS_CODEC, sample_progress(frozenset({0, 1}))),
        ("progress-2", PROGRESS_CODEC, sample_progress(frozenset({3}))),
        ("progress-3", PROGRESS_CODEC, sample_progress(frozenset({3}), 9)),
    ],
)
def test_what_was_once_written_is_read_for_ever(name: str, codec: object, value: object) -> None:
    stored = (SAMPLES / f"{name}.bin").read_bytes()
    assert isinstance(codec, type(LAYOUT_CODEC))
    assert codec.decode(stored) == value
    if name not in ("progress-1", "progress-2"):
        assert codec.encode(value) == stored


@settings(deadline=None, max_examples=30)
@given(places)
def test_a_layout_survives_its_stored_form(found: list[Place]) -> None:
    layout = builder_of(found).rebalance(1)
    assert LAYOUT_CODEC.decode(LAYOUT_CODEC.encode(layout)) == layout


def damaged(position: list[int], value: object) -> bytes:
    fields = msgpack.unpackb(LAYOUT_CODEC.encode(sample_layout()))
    at = fields
    for index in position[:-1]:
        at = at[index]
    at[position[-1]] = value
    packed: bytes = msgpack.packb(fields)
    return packed


@pytest.mark.parametrize(
    ("position", "value"),
    [
        ([0], 2),  # a version of the format yet to come
        ([1], 0),
        ([2], 2),  # tables do not fit the part power
        ([2], 21),
        ([4], 300),  # the highest id would be given out again
        ([5], []),
        ([5, 0, 0], 9),  # tables name a device 0 that is not there
        ([5, 0, 4], -1.0),
        ([6, 0, 0], 1),  # no table for rows
        ([6, 1, 1], [b"\0\0\0\0"]),  # too few copies
        ([6, 1, 1, 0], b"\0\0\0"),
        ([6, 1, 1, 1], b"\0\0\1\0"),  # both copies of a partition on device 0
    ],
)
def test_damage_is_told(position: list[int], value: object) -> None:
    with pytest.raises(DamageError):
        LAYOUT_CODEC.decode(damaged(position, value))


def test_a_layout_does_not_change() -> None:
    layout = sample_layout()
    with pytest.raises(TypeError):
        layout.devices[9] = layout.devices[0]  # type: ignore[index]
    assert layout.members == {0, 1, 4, 300}
    assert layout.widths == (2,)
    assert layout.replicas(ROWS, 0x7FFFFFFF) == (0, 1, 4)
    assert layout.replicas(ROWS, 0x80000000) == (1, 4, 0)
