"""What passwords must match: RE2, which takes a time that only grows with the password, with stock Keystone's usual
look-aheads.

RE2 has no look-ahead, and nearly every `password_regex` begins with some: `^(?=.*\\d)(?=.*[a-z]).{7,}$`. Those at the
beginning all look from the first character, so each is an expression of its own that must match, or with `(?!...)` must
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import re2

from store.core.errors import InvalidError

PATTERN_CHARACTERS_MAX: Final = 1024
_MEMORY: Final = 1 << 20
"""Bytes for one compiled expression."""


@dataclass(frozen=True)
class PasswordPattern:
    """Made by `parse_pattern`."""

    wanted: tuple[Any, ...]
    unwanted: tuple[Any, ...]

    def fits(self, password: str) -> bool:
        """Whether it matches from the first character on, as Python's `re.match` has it."""
        return all(one.match(password) for one in self.wanted) and not any(one.match(password) for one in self.unwanted)


def parse_pattern(text: str) -> PasswordPattern:
    """Raises InvalidError for what cannot be matched here."""
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise InvalidError(f"is longer than {PATTERN_CHARACTERS_MAX} characters")
    wanted: list[Any] = []
    unwanted: list[Any] = []
    rest = text.removeprefix("^")
    while rest.startswith(("(?=", "(?!")):
        end = next((at for at, character, depth in _brackets(rest) if character == ")" and depth == 0), None)
        if end is None:
            raise InvalidError("a look-ahead without an end")
        (wanted if rest[2] == "=" else unwanted).append(_compiled(rest[3:end]))
        rest = rest[end + 1 :]
    if (wanted or unwanted) and any(character == "|" and depth == 0 for _, character, depth in _brackets(rest)):
        raise InvalidError("alternatives behind look-aheads want a group around them: (?:a|b)")
    return PasswordPattern((*wanted, _compiled(rest if wanted or unwanted else text)), tuple(unwanted))


def _brackets(text: str) -> Iterator[tuple[int, str, int]]:
    """Where there is a bracket or a `|` that means something, with how deep it then is; a closing one counts as out."""
    depth, at, in_class = 0, 0, False
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 2
            continue
        if in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            at += 1 if text.startswith("^", at + 1) else 0
            at += 1 if text.startswith("]", at + 1) else 0  # the first in a class is one of its characters
        elif character in "()|":
            depth += {"(": 1, ")": -1, "|": 0}[character]
            yield at, character, depth
        at += 1


def _compiled(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidError(f"is no regular expression known here (RE2's syntax): {told}") from error
