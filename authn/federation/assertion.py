"""What a provider says of a user, in bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from store.core.errors import InvalidError

Assertion = Mapping[str, str | Sequence[str]]
"""Attributes by name. A text is cut at each semicolon into several values, as in Keystone, whose web server can say
several only so; of a sequence each is one value, whatever is in it, so that who may choose a name at the provider
cannot make two of it."""

ATTRIBUTES_MAX: Final = 256
VALUES_MAX: Final = 2048
"""Of all attributes together."""
CHARACTERS_MAX: Final = 128 * 1024
"""Of all names and values together."""


def values_by_name(assertion: Assertion) -> dict[str, tuple[str, ...]]:
    """The values of each attribute. Raises InvalidError where they are too many, too long or no text."""
    if len(assertion) > ATTRIBUTES_MAX:
        raise InvalidError(f"An assertion has at most {ATTRIBUTES_MAX} attributes.")
    if sum(len(name) + _characters(value) for name, value in assertion.items()) > CHARACTERS_MAX:
        raise InvalidError(f"An assertion has at most {CHARACTERS_MAX} characters.")
    values = {name: tuple(value.split(";") if isinstance(value, str) else value) for name, value in assertion.items()}
    if sum(len(several) for several in values.values()) > VALUES_MAX:
        raise InvalidError(f"An assertion has at most {VALUES_MAX} values.")
    if not all(is_text(value) for several in values.values() for value in several):
        raise InvalidError("A value of the assertion is no text.")
    return values


def _characters(value: str | Sequence[str]) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value))


def is_text(value: str) -> bool:
    """Whether it can be written down: no surrogate stands alone in it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
