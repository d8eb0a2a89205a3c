"""Ports and ranges of ports, as clients say them of port forwardings."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.readers import WrongValueError, whole
from compute_plugin.networks.v2.frame.sights import bad

RESOURCE: Final = "port_forwarding"
_PORT: Final = whole(1, 65_535)


class Range(NamedTuple):
    """Both ends included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many ports."""
        return self.last - self.first + 1

    def meets(self, other: Range) -> bool:
        """Whether there is a port in both."""
        return max(self.first, other.first) <= min(self.last, other.last)

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"


def port(value: Any) -> Range | None:
    """One; None where it was not said."""
    if value is None:
        return None
    found = _PORT(value)
    return Range(found, found)


def port_range(value: Any) -> Range | None:
    """`<first>:<last>`, or one."""
    if value is None:
        return None
    first, colon, last = str(value).partition(":") if isinstance(value, str) else (value, "", value)
    found = Range(_PORT(first), _PORT(last if colon else first))
    if found.size < 1:
        raise WrongValueError(f"Invalid port range: {value}")
    return found


def said_range(asked: Row, side: str) -> Range | None:
    """What was said of the `external` or `internal` side, as one port or as a range. Raises BadRequestError."""
    one, several = asked.get(f"{side}_port"), asked.get(f"{side}_port_range")
    if one is not None and several is not None and one != several:
        raise bad(RESOURCE, f"{side}_port and {side}_port_range say different ports")
    found: Range | None = one if one is not None else several
    return found


def require_fit(outer: Range, inner: Range) -> None:
    """That each outer port goes somewhere: to one of its own, or all to the same. Raises BadRequestError."""
    if inner.size > 1 and inner.size != outer.size:
        raise bad(
            RESOURCE,
            "Invalid ranges of internal and/or external ports. The relation between internal and external ports must "
            "be N-N or 1-N",
        )


def shown_range(side: str, held: Range) -> Row:
    return {f"{side}_port": held.first if held.size == 1 else None, f"{side}_port_range": str(held)}
