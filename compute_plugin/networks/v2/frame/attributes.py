"""`Attribute`: what a client may say of a resource, and `asked`: what one did say. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.v2.frame.readers import NAME_MAX, Reader, WrongValueError, as_is, name, text

REQUIRED: Final = object()
"""There is no default: it has to be said."""
UNSAID: Final = object()
"""Where it is not said it is not there, and the collection finds a value."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Of a resource."""

    name: str
    read: Reader = as_is
    create: bool = True
    """Whether it may be said of a new one."""
    update: bool = True
    """Whether it may be changed."""
    default: Any = UNSAID


def shown(*names: str) -> tuple[Attribute, ...]:
    """Those that clients only see."""
    return tuple(Attribute(one, create=False, update=False) for one in names)


NAMED: Final = (Attribute("name", name(), default=""),)
DESCRIBED: Final = (Attribute("description", text(NAME_MAX), default=""),)
OWNED: Final = (
    Attribute("tenant_id", text(NAME_MAX), update=False),
    Attribute("project_id", text(NAME_MAX), update=False),
)


def wrong(name: str, reason: str) -> BadRequestError:
    """What a client is told of a value that cannot be."""
    return BadRequestError("HTTPBadRequest", f"Invalid input for {name}. Reason: {reason}.")


def invalid(reason: str) -> BadRequestError:
    """What a client is told of values that do not fit each other."""
    return BadRequestError("InvalidInput", f"Invalid input for operation: {reason}.")


def asked_of_new(attributes: Sequence[Attribute], body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says of a new one, with defaults. Raises BadRequestError."""
    known = {one.name: one for one in attributes}
    _refuse_unknown(known, body)
    found: dict[str, Any] = {}
    for one in attributes:
        if one.name in body:
            if not one.create:
                raise BadRequestError("HTTPBadRequest", f"Attribute '{one.name}' not allowed in POST")
            found[one.name] = _read(one, body[one.name])
        elif one.default is REQUIRED:
            raise BadRequestError(
                "HTTPBadRequest", f"Failed to parse request. Required attribute '{one.name}' not specified"
            )
        elif one.default is not UNSAID and one.create:
            found[one.name] = one.default
    return found


def asked_of_old(attributes: Sequence[Attribute], body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says is to change. Raises BadRequestError."""
    known = {one.name: one for one in attributes}
    _refuse_unknown(known, body)
    for held in body:
        if not known[held].update:
            raise BadRequestError("HTTPBadRequest", f"Cannot update read-only attribute {held}")
    return {held: _read(known[held], value) for held, value in body.items()}


def _read(attribute: Attribute, value: Any) -> Any:
    try:
        return attribute.read(value)
    except WrongValueError as error:
        raise wrong(attribute.name, str(error)) from error


def _refuse_unknown(known: Mapping[str, Attribute], body: Mapping[str, Any]) -> None:
    strange = [held for held in body if held not in known]
    if strange:
        raise BadRequestError("HTTPBadRequest", f"Unrecognized attribute(s) '{', '.join(sorted(strange))}'")
