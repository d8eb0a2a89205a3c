"""Access lists as `X-Container-Read` and `X-Container-Write` have them: cleaning what a client sends. Pure."""

from __future__ import annotations

_REFERRER = frozenset({".r", ".ref", ".referer", ".referrer"})


class AclError(ValueError):
    """An access list that may not be stored; its text is the answer's body."""


def clean(value: str, *, writing: bool) -> str:
    """The list in its one stored spelling. Raises AclError."""
    elements = []
    for raw in value.split(","):
        element = raw.strip()
        if not element:
            continue
        designator, colon, rest = element.partition(":")
        designator, rest = designator.strip(), rest.strip()
        if not colon or not designator.startswith("."):
            elements.append(element)
        elif designator not in _REFERRER:
            raise AclError(f"Unknown designator {designator!r} in ACL: {element!r}")
        elif writing:
            raise AclError(f"Referrers not allowed in write ACL: {element!r}")
        else:
            elements.append(_clean_referrer(element, rest))
    return ",".join(elements)


def _clean_referrer(element: str, host: str) -> str:
    sign = ""
    if host.startswith("-"):
        sign, host = "-", host[1:].strip()
    if host.startswith("*") and host != "*":
        host = host[1:].strip()
    if host in ("", "."):
        raise AclError(f"No host/domain value after referrer designation in ACL: {element!r}")
    return f".r:{sign}{host}"
