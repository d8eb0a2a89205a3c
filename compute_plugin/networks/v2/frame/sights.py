"""Things of any kind that somebody names who wants to do something with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.frame.view import Change, View

R = TypeVar("R", bound=Standard)


def seen(kind: Collection[R], view: View, id_: str) -> R:
    """Raises MissingError, where the caller may not see it as well."""
    record = kind.find(view, id_)
    if not view.may(kind.line("get"), kind.target(view, record)):
        raise kind.table(view.records).missing(id_)
    return record


def touch(change: Change, table: Table[R], id_: str) -> None:
    """Something is another one when what belongs to it is: its revision says so."""
    record = table.require(id_)
    table.put(replace(record, revision=record.revision + 1, updated_us=change.now_us))


def bad(resource: str, why: str) -> BadRequestError:
    """What clients are told where no error has a name of its own."""
    return BadRequestError("BadRequest", f"Bad {resource} request: {why}.")
