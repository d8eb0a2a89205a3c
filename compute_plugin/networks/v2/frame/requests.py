"""Handlers of a collection: lists, one, new ones, changes and deletes, each within what policy allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.attributes import asked_of_new, asked_of_old
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.listing import page_of, tests_of
from compute_plugin.networks.v2.frame.view import Change, View
from gateway.rest.answers import answer, nothing
from gateway.rest.errors import ForbiddenError
from gateway.rest.listing import here
from store.core.errors import ConflictError, PreconditionError, RetryableError

Handler = Callable[[Call], Awaitable[Response]]

VERSION: Final = "/v2.0"


def routes_of(kind: Collection[Any]) -> dict[str, dict[str, Handler]]:
    """By path, handlers by method."""
    one = f"{VERSION}{kind.path}/{{id}}"
    of_one: dict[str, Handler] = {"GET": partial(_show, kind), "DELETE": partial(_delete, kind)}
    if kind.changeable:
        of_one["PUT"] = partial(_update, kind)
    found: dict[str, dict[str, Handler]] = {
        f"{VERSION}{kind.path}": {"GET": partial(_list, kind), "POST": partial(_create, kind)},
        one: of_one,
    }
    for name in kind.actions:
        found[f"{one}/{name}"] = {"PUT": partial(_act, kind, name)}
    return found


def visible(kind: Collection[Any], view: View, record: Any) -> Row | None:
    """What the caller sees of it; None where that is nothing."""
    hidden = view.hidden(kind.line("get"), kind.target(view, record))
    if hidden is None:
        return None
    return {name: value for name, value in kind.show(view, record).items() if name not in hidden}


def found(kind: Collection[Any], view: View, id_: str) -> tuple[Any, Row]:
    """A record that the caller may see, and what they see of it. Raises MissingError, to whoever may not see it as
    well."""
    record = kind.find(view, id_)
    row = visible(kind, view, record)
    if row is None:
        raise kind.table(view.records).missing(id_)
    return record, row


async def _list(kind: Collection[Any], call: Call) -> Response:
    call.operation = kind.line("get")
    view, query = await call.view(), call.query
    names = {one.name for one in kind.attributes} | {"id"}
    tests = tests_of(query, names)
    rows = [row for record in _narrowed(kind, view, call) if (row := visible(kind, view, record)) is not None]
    passing = [row for row in rows if all(test(row) for test in tests)]
    chosen, links = page_of(query, passing, here(call), kind.plural)
    document: Row = {kind.plural: [_fields(call, row) for row in chosen]}
    if links:
        document[f"{kind.plural}_links"] = links
    return answer(document)


def _narrowed(kind: Collection[Any], view: View, call: Call) -> Iterable[Any]:
    """As few records as an index allows."""
    if kind.narrowing:
        table = kind.table(view.records)
        if "id" in call.query:
            return [one for id_ in dict.fromkeys(call.query.getlist("id")) if (one := table.get(id_)) is not None]
        for name, index in kind.narrowing.items():
            values = call.query.getlist(name)
            if values and all(values):
                return {one.id: one for value in values for one in table.by(index, value)}.values()
    return kind.rows(view)


def _fields(call: Call, row: Row) -> Row:
    wanted = [one for one in call.query.getlist("fields") if one]
    return {name: row[name] for name in wanted if name in row} if wanted else row


async def _show(kind: Collection[Any], call: Call) -> Response:
    call.operation = kind.line("get")
    _, row = found(kind, await call.view(), call.path("id"))
    return answer({kind.singular: _fields(call, row)})


async def _create(kind: Collection[Any], call: Call) -> Response:
    call.operation = kind.line("create")
    bodies, several = await call.one_or_more(kind.singular, kind.plural)
    over = await call.change()

    def step(records: Records) -> list[Row]:
        change: Change = over(records)
        made = [_create_one(kind, change, body) for body in bodies]
        return [_own(kind, change, record) for record in made]

    rows = await call.service.store.change(step)
    if kind.goes_on:
        await _go_on(kind, call, over, [row["id"] for row in rows])
    return answer({kind.plural: rows} if several else {kind.singular: rows[0]}, 201)


def _step_on(kind: Collection[Any], over: Callable[[Records], Change], id_: str, records: Records) -> bool:
    return kind.go_on(over(records), id_)


async def _go_on(kind: Collection[Any], call: Call, over: Callable[[Records], Change], ids: Iterable[str]) -> None:
    """They are made, whatever becomes of the rest: that is done later where it cannot be done now."""
    try:
        for id_ in ids:
            while await call.service.store.change(partial(_step_on, kind, over, id_)):
                pass
    except (RetryableError, ConflictError):
        call.service.left_undone()


def _create_one(kind: Collection[Any], change: Change, body: Row) -> Any:
    asked = asked_of_new(kind.attributes, body)
    usual = {one.name: one.default for one in kind.attributes}
    said = [name for name in body if asked[name] != usual[name]]
    project = change.owner(asked)
    target = kind.create_target(change, project, asked)
    if not project and not change.is_admin:  # nobody's, which policy may let everybody make on what is shared
        raise ForbiddenError(kind.line("create"))
    _allow(kind, change, "create", said, target)
    if kind.quota:
        change.count(kind.quota, kind.table(change.records), project)
    return kind.create(change, project, asked)


def _own(kind: Collection[Any], view: View, record: Any) -> Row:
    """What whoever made or changed it sees, also where they might not look at it."""
    row = visible(kind, view, record)
    return kind.show(view, record) if row is None else row


async def _update(kind: Collection[Any], call: Call) -> Response:
    call.operation = kind.line("update")
    body = await call.one(kind.singular)
    over, match = await call.change(), call.request.headers.get("if-match", "")

    def step(records: Records) -> Row:
        change: Change = over(records)
        record, _ = found(kind, change, call.path("id"))
        asked = asked_of_old(kind.attributes, body)
        _allow(kind, change, "update", body, kind.update_target(change, record, asked))
        _require_match(match, record)
        return _own(kind, change, kind.update(change, record, asked))

    return answer({kind.singular: await call.service.store.change(step)})


async def _delete(kind: Collection[Any], call: Call) -> Response:
    call.operation = kind.line("delete")
    over, match = await call.change(), call.request.headers.get("if-match", "")

    def step(records: Records) -> bool:
        change: Change = over(records)
        record, _ = found(kind, change, call.path("id"))
        change.allow(kind.line("delete"), kind.target(change, record))
        _require_match(match, record)
        if kind.thin_out(change, record):
            return True
        kind.delete(change, record)
        return False

    while await call.service.store.change(step):
        match = ""  # it is another one now because of this
    return nothing()


async def _act(kind: Collection[Any], name: str, call: Call) -> Response:
    call.operation = name
    body = await call.said()
    over = await call.change()

    def step(records: Records) -> Any:
        change: Change = over(records)
        record, _ = found(kind, change, call.path("id"))
        change.allow(name, kind.target(change, record))
        hidden = change.hidden(kind.line("get"), kind.target(change, record)) or frozenset()
        return _without(hidden, kind.actions[name](kind, change, record, body))

    return answer(await call.service.store.change(step))


def _without(hidden: frozenset[str], answered: Any) -> Any:
    """What an action answers, which may be what it shows of the thing, below its name or not."""
    if not isinstance(answered, dict):
        return answered
    return {name: _without(hidden, value) for name, value in answered.items() if name not in hidden}


def _allow(kind: Collection[Any], change: Change, verb: str, said: Iterable[str], target: Row) -> None:
    """The operation, and each attribute that policy has a line for; of a new one, where it is not as usual. Raises
    ForbiddenError."""
    operation = kind.line(verb)
    change.allow(operation, target)
    for name in said:
        line = f"{operation}:{name}"
        if line in change.policy.operations and not change.may(line, target):
            raise ForbiddenError(line)


def _require_match(match: str, record: Any) -> None:
    """A client may say which revision it means. Raises PreconditionError where it is another."""
    name, equals, number = match.partition("=")
    if not match or name.strip() != "revision_number" or not equals:
        return
    if number.strip() != str(record.revision):
        raise PreconditionError(f"Constrained to {number.strip()}, but current revision is {record.revision}")
