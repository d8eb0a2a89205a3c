"""Claims as Keystone's mappings know them: by the names and forms of Apache's mod_auth_openidc."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from authn.federation.assertion import Assertion, is_text

_NO_VARIABLE: Final = re.compile("[^A-Z0-9]")


def assertion_of(claims: Mapping[str, Any], prefix: str) -> Assertion:
    """Each claim under two names, as the module passes it: with the prefix before it (`OIDC-preferred_username`), and
    as a header is told to programs (`HTTP_OIDC_PREFERRED_USERNAME`).

    Texts are one value, lists as many as they have, truth values 1 and 0, objects their JSON. Claims without value, or
    whose values are no text, are left out. Of two with the same header the one that sorts first counts.
    """
    assertion: dict[str, tuple[str, ...]] = {}
    for name in sorted(claims):
        values = _values(claims[name])
        if values and is_text(name) and all(map(is_text, values)):
            assertion[prefix + name] = values
            assertion.setdefault("HTTP_" + _NO_VARIABLE.sub("_", (prefix + name).upper()), values)
    return assertion


def _values(value: Any) -> tuple[str, ...]:
    match value:
        case None:
            return ()
        case bool():
            return ("1" if value else "0",)
        case str():
            return (value,)
        case int() | float():
            return (str(value),)
        case list():
            return tuple(written for one in value if not isinstance(one, list) for written in _values(one))
        case _:
            return (json.dumps(value, separators=(",", ":"), ensure_ascii=False),)
