"""Which requests a token may make, where its application credential says so by access rules. Pure.

A rule's path may hold `*` and `{name}` for one part of a path, and `**` for any number of them. Everything else means
itself. What is compared is the path as URLs carry it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import re2

from authn.records.credentials import AccessRule

IDENTITY: Final = "identity"
OBJECT_STORE: Final = "object-store"
"""The types of the services here, as rules name them."""

_SAFE: Final = "/~!$&'()*+,;=:@"
"""Besides letters, digits and `-._`, what paths carry as it is (RFC 3986, pchar)."""
_PART: Final = re.compile(r"\*\*|\*|\{[^{}]*\}|[^*{]+|\{")


@dataclass(frozen=True, slots=True)
class AllowedRequests:
    """The rules of one application credential; what none of them opens is refused."""

    rules: tuple[AccessRule, ...]

    def allows(self, service: str, method: str, path: str) -> bool:
        """Whether a rule opens the request; `path` is decoded."""
        asked = quote(path, safe=_SAFE)
        return any(
            rule.service == service and rule.method == method and _pattern(rule.path).fullmatch(asked) is not None
            for rule in self.rules
        )


@lru_cache(maxsize=1024)
def _pattern(path: str) -> Any:
    # RE2, since users write these: its time is bounded by the length of what is compared.
    return re2.compile("".join(_expressions(path)))


def _expressions(path: str) -> Iterator[str]:
    for part in _PART.findall(path):
        if part == "**":
            yield ".*"
        elif part == "*" or (part.startswith("{") and part.endswith("}")):
            yield "[^/]+"
        else:
            yield re.escape(quote(part, safe=_SAFE + "%"))
