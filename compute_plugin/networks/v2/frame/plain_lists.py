"""Lists of what is no record, but comes out of records: with filters, order, pages and fields as any other."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from starlette.responses import Response

from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.listing import page_of, tests_of
from gateway.rest.answers import answer
from gateway.rest.listing import here


def listed(
    call: Call, plural: str, rows: Iterable[Row], names: Iterable[str], key: str, hidden: Collection[str] = ()
) -> Response:
    """`names`: what can be asked for; `key`: the attribute that tells rows apart; `hidden`: what is asked for only."""
    query = call.query
    tests = tests_of(query, names)
    passing = [{**row, "id": row[key]} for row in rows if all(test(row) for test in tests)]
    chosen, links = page_of(query, passing, here(call), plural)
    wanted = [one for one in query.getlist("fields") if one]
    document: Row = {plural: [_shown(row, wanted, {*hidden, "id"} - {key}) for row in chosen]}
    if links:
        document[f"{plural}_links"] = links
    return answer(document)


def _shown(row: Row, wanted: list[str], hidden: Collection[str]) -> Row:
    found = {name: value for name, value in row.items() if name not in hidden}
    return {name: found[name] for name in wanted if name in found} if wanted else found
