"""Versioned values: whatever bytes come, a value or DamageError."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.core.codec import Codec
from store.core.errors import DamageError, NewerError

CODEC = Codec[int]("number", 2, lambda value: (value,), {1: lambda fields: -fields[0], 2: lambda fields: fields[0]})


def test_older_versions_are_lifted() -> None:
    assert CODEC.decode(CODEC.encode(5)) == 5
    assert CODEC.decode(msgpack.packb([1, 5])) == -5


@pytest.mark.parametrize("version", [3, 0, None, "2", [1], {}])
def test_a_version_that_is_not_known(version: object) -> None:
    with pytest.raises(DamageError, match="is not known here"):
        CODEC.decode(msgpack.packb([version, 5]))


def test_what_a_newer_program_wrote_is_told_from_damage() -> None:
    with pytest.raises(NewerError, match=r"number: version 3 .*known: 1, 2.* newer Drystone"):
        CODEC.decode(msgpack.packb([3, 5, "more"]))
    for version in (0, "3", None):
        with pytest.raises(DamageError) as raised:
            CODEC.decode(msgpack.packb([version, 5]))
        assert not isinstance(raised.value, NewerError)


@given(st.binary(max_size=20))
def test_any_bytes(packed: bytes) -> None:
    with suppress(DamageError):
        CODEC.decode(packed)
