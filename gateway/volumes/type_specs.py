"""Extra specs: what a body says, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from store.core.errors import InvalidError

_KEY: Final = re.compile(r"[a-zA-Z0-9\-_:.]{1,255}")
VALUE_MAX: Final = 255


def specs_of(value: Any) -> dict[str, str]:
    """Names without blanks, texts of up to 255 characters; null is none. Raises InvalidError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidError("Invalid input for field/attribute extra_specs: not an object.")
    for key, one in value.items():
        if not _KEY.fullmatch(key):
            raise InvalidError(
                "Invalid input for field/attribute extra_specs: a key has 1 to 255 of a-z, A-Z, 0-9, -_:."
            )
        if one is not None and (not isinstance(one, str) or len(one) > VALUE_MAX):
            raise InvalidError(
                f"Invalid input for field/attribute extra_specs: {key} is no text of {VALUE_MAX} at most."
            )
    return {key: one or "" for key, one in value.items()}
