"""Texts of a rule's `local` part, with `{0}`, `{1}` ... for what its `remote` part carried over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from authn.federation.fields import a_text
from store.core.errors import InvalidError

Carried = Sequence[tuple[str, ...]]
"""The values of each condition that carries any, in order."""

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{(\d{1,4})\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """Text and numbers of what was carried over, in turns."""

    parts: tuple[str | int, ...]

    @property
    def numbers(self) -> list[int]:
        return [part for part in self.parts if isinstance(part, int)]

    def text(self, carried: Carried) -> str:
        """One text. Several values are written as Keystone writes them, as a list in brackets; none as nothing."""
        return "".join(part if isinstance(part, str) else _written(carried[part]) for part in self.parts)

    def texts(self, carried: Carried) -> tuple[str, ...]:
        """Each value for itself where the template is nothing but one number; else one text."""
        match self.parts:
            case (int(number),):
                return carried[number]
            case _:
                return (self.text(carried),)


def _written(values: tuple[str, ...]) -> str:
    match values:
        case ():
            return ""
        case (value,):
            return value
        case _:
            return str(list(values))


def parse_template(value: Any, where: str, carried: int) -> Template:
    """`carried` conditions have numbers. Raises InvalidError that names the field."""
    text = a_text(value, where)
    parts: list[str | int] = []
    at = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[at : token.start()])
        parts.append(_part(token, where, carried))
        at = token.end()
    parts.append(text[at:])
    return Template(tuple(part for part in parts if part != ""))


def _part(token: re.Match[str], where: str, carried: int) -> str | int:
    if token[0] in ("{{", "}}"):
        return token[0][0]
    if token[1] is None:
        raise InvalidError(f"{where}: a brace that is not part of a number in braces is written twice")
    number = int(token[1])
    if number >= carried:
        raise InvalidError(f"{where}: {token[0]} refers to a remote match that does not exist")
    return number
