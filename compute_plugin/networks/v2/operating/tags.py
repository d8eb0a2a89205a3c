"""Tags of everything that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.errors import BadRequestError, MissingError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.attributes import invalid
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.frame.readers import Reader, WrongValueError, items, text
from compute_plugin.networks.v2.frame.requests import VERSION, Handler
from compute_plugin.networks.v2.frame.view import Change, View
from gateway.rest.answers import answer, nothing
from gateway.rest.errors import ForbiddenError

TAGS_MAX: Final = 50
TAG_MAX: Final = 255
_TAG: Final = text(TAG_MAX)
_TAGS: Final = items(_TAG)

Tags = tuple[str, ...]


def new_tags(value: Any) -> Tags:
    """Of a thing that is made with them. Raises BadRequestError where there are too many."""
    found: Tags = _TAGS(value)
    _require_few(found)
    return found


def tag_routes(kinds: Iterable[Collection[Any]]) -> dict[str, dict[str, Handler]]:
    """Of all kinds that have tags."""
    found: dict[str, dict[str, Handler]] = {}
    for kind in kinds:
        if kind.tagged:
            path = f"{VERSION}{kind.path}/{{id}}/tags"
            found[path] = {
                "GET": partial(_list, kind),
                "POST": partial(_add_all, kind),
                "PUT": partial(_set_all, kind),
                "DELETE": partial(_delete_all, kind),
            }
            found[f"{path}/{{tag}}"] = {
                "GET": partial(_show, kind),
                "PUT": partial(_add, kind),
                "DELETE": partial(_delete, kind),
            }
    return found


async def _list(kind: Collection[Any], call: Call) -> Response:
    view = await call.view()
    return answer({"tags": list(_held(kind, view, call, "get").tags)})


async def _show(kind: Collection[Any], call: Call) -> Response:
    view, tag = await call.view(), _tag(call)
    _require_held(_held(kind, view, call, "get").tags, tag)
    return nothing()


async def _set_all(kind: Collection[Any], call: Call) -> Response:
    asked = await _asked(call)
    return answer({"tags": list(await _change(kind, call, "update", lambda _: asked))})


async def _add_all(kind: Collection[Any], call: Call) -> Response:
    asked = await _asked(call)
    return answer({"tags": list(await _change(kind, call, "create", lambda held: (*held, *asked)))}, 201)


async def _add(kind: Collection[Any], call: Call) -> Response:
    tag = _tag(call)
    await _change(kind, call, "update", lambda held: (*held, tag))
    return Response(status_code=201)


async def _delete_all(kind: Collection[Any], call: Call) -> Response:
    await _change(kind, call, "delete", lambda _: ())
    return nothing()


async def _delete(kind: Collection[Any], call: Call) -> Response:
    tag = _tag(call)

    def without(held: Tags) -> Tags:
        _require_held(held, tag)
        return tuple(one for one in held if one != tag)

    await _change(kind, call, "delete", without)
    return nothing()


async def _change(kind: Collection[Any], call: Call, verb: str, to: Callable[[Tags], Tags]) -> Tags:
    over = await call.change()

    def step(records: Records) -> Tags:
        change: Change = over(records)
        record = _held(kind, change, call, verb)
        tags = tuple(sorted(set(to(record.tags))))
        _require_few(tags)
        return tuple(change.put(kind.table(records), replace(record, tags=tags)).tags)

    return await call.service.store.change(step)


def _held(kind: Collection[Any], view: View, call: Call, verb: str) -> Any:
    """The record. Raises MissingError, to whoever may not see it as well, and ForbiddenError."""
    id_ = call.path("id")
    missing = MissingError("TagResourceNotFound", f"Resource {kind.plural} {id_[:TAG_MAX]} could not be found.")
    try:
        record = kind.find(view, id_)
    except MissingError as error:
        raise missing from error
    target = kind.target(view, record)
    if not view.may(kind.line("get"), target):
        raise missing
    own = f"{kind.line(verb)}:tags"
    line = own if own in view.policy.operations else kind.line("get" if verb == "get" else "update")
    if not view.may(line, target):
        raise ForbiddenError(line)
    return record


async def _asked(call: Call) -> Tags:
    body = await call.said()
    if not isinstance(body.get("tags"), list):
        raise invalid("Invalid tags body")
    return tuple(_read(_TAGS, body["tags"]))


def _tag(call: Call) -> str:
    return str(_read(_TAG, call.path("tag")))


def _read(reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except WrongValueError as error:
        raise invalid(str(error)) from error


def _require_held(tags: Tags, tag: str) -> None:
    if tag not in tags:
        raise MissingError("TagNotFound", f"Tag {tag} could not be found.")


def _require_few(tags: Tags) -> None:
    if len(tags) > TAGS_MAX:
        raise BadRequestError(
            "BadRequest", f"Bad tags request: The number of tags exceed the per-resource limit of {TAGS_MAX}."
        )
