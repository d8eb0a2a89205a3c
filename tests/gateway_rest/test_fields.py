"""Bodies as JSON: what is refused although a parser would take it."""

from __future__ import annotations

import pytest

from gateway.rest.fields import NESTED_MAX, parse
from store.core.errors import InvalidError


def nested(depth: int) -> bytes:
    """An object that has so many objects and arrays within each other, itself among them."""
    inner = depth - 1
    return b'{"a":' + b'[{"b":' * (inner // 2) + b"[" * (inner % 2) + b"]" * (inner % 2) + b"}]" * (inner // 2) + b"}"


@pytest.mark.parametrize("odd", [0, 1])
def test_nesting_has_a_bound_far_from_what_the_stack_allows(odd: int) -> None:
    with pytest.raises(InvalidError, match="within each other"):
        parse(nested(NESTED_MAX + 1 + odd).replace(b":}", b":0}"))
    assert "a" in parse(nested(NESTED_MAX - odd).replace(b":}", b":0}"))


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"Infinity", b"NaN"])
def test_a_number_that_no_json_can_tell_again_is_refused(number: bytes) -> None:
    with pytest.raises(InvalidError):
        parse(b'{"a": [%s]}' % number)
    assert parse(b'{"a": -1.5e3}').value("a") == -1500.0
