"""A rule's `remote` part: whether an attribute fits, and which of its values are carried over."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

import re2

from authn.federation.fields import a_flag, a_text, an_array, an_object
from store.core.errors import InvalidError

LISTED_MAX: Final = 1024
PATTERNS_MAX: Final = 64
"""Regular expressions of one condition."""
PATTERN_CHARACTERS_MAX: Final = 1024
_PATTERN_MEMORY: Final = 256 << 10
"""Bytes that one compiled pattern may take, in RE2; over it, it is refused."""


class Kind(enum.Enum):
    """How the listed values are meant."""

    PRESENT = ""
    ANY_ONE_OF = "any_one_of"
    NOT_ANY_OF = "not_any_of"
    BLACKLIST = "blacklist"
    WHITELIST = "whitelist"

    @property
    def carries(self) -> bool:
        """Whether its values are given a number, and may be used in `local`."""
        return self not in (Kind.ANY_ONE_OF, Kind.NOT_ANY_OF)


_LISTS: Final = (Kind.ANY_ONE_OF, Kind.NOT_ANY_OF, Kind.BLACKLIST, Kind.WHITELIST)


@dataclass(frozen=True, slots=True)
class Condition:
    """What an attribute must be like.

    Patterns are RE2's and found anywhere in a value. RE2 takes time linear in the value whatever the pattern, so that
    neither a careless administrator nor a user who chose their name well can stop the service; it knows no references
    back and no looking around.
    """

    attribute: str
    kind: Kind
    listed: frozenset[str] = frozenset()
    patterns: tuple[Any, ...] = ()

    def carry(self, values: tuple[str, ...]) -> tuple[str, ...] | None:
        """The values that are carried over, in their order and each but once; None where the rule does not apply."""
        match self.kind:
            case Kind.PRESENT:
                return values
            case Kind.ANY_ONE_OF:
                return () if any(map(self._lists, values)) else None
            case Kind.NOT_ANY_OF:
                return None if any(map(self._lists, values)) else ()
            case Kind.BLACKLIST:
                return tuple(dict.fromkeys(value for value in values if not self._lists(value)))
            case Kind.WHITELIST:
                return tuple(dict.fromkeys(value for value in values if self._lists(value)))

    def _lists(self, value: str) -> bool:
        return value in self.listed or any(pattern.search(value) for pattern in self.patterns)


def parse_condition(value: Any, where: str) -> Condition:
    """Raises InvalidError that names the field."""
    names = [kind.value for kind in _LISTS]
    held = an_object(value, where, required=("type",), allowed=(*names, "regex"))
    attribute = a_text(held["type"], f"{where}.type", most=255)
    kinds = [kind for kind in _LISTS if kind.value in held]
    if len(kinds) > 1:
        raise InvalidError(f"{where}: only one of {', '.join(names)} is allowed")
    if not kinds:
        if "regex" in held:
            raise InvalidError(f"{where}: 'regex' goes with one of {', '.join(names)}")
        return Condition(attribute, Kind.PRESENT)
    kind = kinds[0]
    at = f"{where}.{kind.value}"
    entries = an_array(held[kind.value], at, most=LISTED_MAX)
    listed = [a_text(one, f"{at}[{number}]") for number, one in enumerate(entries)]
    if not a_flag(held.get("regex", False), f"{where}.regex"):
        return Condition(attribute, kind, frozenset(listed))
    if len(listed) > PATTERNS_MAX:
        raise InvalidError(f"{at}: has more than {PATTERNS_MAX} regular expressions")
    patterns = tuple(_compile(one, f"{at}[{number}]") for number, one in enumerate(listed))
    return Condition(attribute, kind, patterns=patterns)


def _compile(text: str, where: str) -> Any:
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise InvalidError(f"{where}: is longer than {PATTERN_CHARACTERS_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise InvalidError(f"{where}: is no regular expression known here (RE2's syntax): {_reason(error)}") from error


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
