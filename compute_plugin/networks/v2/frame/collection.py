"""`Collection`: a kind of resource. Sans-I/O: its methods are steps of one transaction (`NetworkStore.change`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import Attribute
from compute_plugin.networks.v2.frame.times import shown_s
from compute_plugin.networks.v2.frame.view import Change, View

R = TypeVar("R", bound=Standard)
Row = dict[str, Any]
Action = Callable[[Any, Change, Any, dict[str, Any]], Row]
"""Of a collection, a change, a record and a body: what is answered."""


class Collection(Generic[R]):
    """A kind of resource. Subclasses say what is special to theirs."""

    singular: ClassVar[str]
    """In bodies, and in the names of policy: `create_<singular>`."""
    ruled_as: ClassVar[str] = ""
    """In the names of policy, where that is another one."""
    plural: ClassVar[str]
    path: ClassVar[str]
    """Such as `/security-groups`; with `{parent_id}` in it where it is below another resource."""
    attributes: ClassVar[tuple[Attribute, ...]]
    quota: ClassVar[str] = ""
    """The name of the limit that it counts against; "" for none."""
    narrowing: ClassVar[Mapping[str, str]] = {}
    """Filters that an index answers: the attribute, and the index of the table."""
    actions: ClassVar[Mapping[str, Action]] = {}
    """PUT /<path>/<id>/<name>: what is done."""
    changeable: ClassVar[bool] = True
    """Whether there is PUT."""
    tagged: ClassVar[bool] = False
    """Whether it has tags."""
    goes_on: ClassVar[bool] = False
    """Whether making one may go on after the first change."""

    def table(self, records: Records) -> Table[R]:
        """Where its records are."""
        raise NotImplementedError

    def line(self, verb: str) -> str:
        """The name of an operation in policy."""
        return f"{verb}_{self.ruled_as or self.singular}"

    # -- seeing --------------------------------------------------------------------------------------------------

    def rows(self, view: View) -> Iterable[R]:
        """All there are, of all projects."""
        return self.table(view.records)

    def find(self, view: View, id_: str) -> R:
        """Raises MissingError."""
        return self.table(view.records).require(id_)

    def show(self, view: View, record: R) -> Row:
        """Everything about it; what the caller may not see is taken out by whoever asks."""
        raise NotImplementedError

    def target(self, view: View, record: R) -> Row:
        """What policy asks about it."""
        return {"project_id": record.project_id, "tenant_id": record.project_id}

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        """What policy asks about one that is to be made."""
        return {**asked, "project_id": project, "tenant_id": project}

    def update_target(self, change: Change, record: R, asked: Row) -> Row:
        """What policy asks about one that is to be changed."""
        return {**self.target(change, record), **asked}

    def create(self, change: Change, project: str, asked: Row) -> R:
        """Make one of what was asked for. Raises what the client is to be told."""
        raise NotImplementedError

    def go_on(self, change: Change, id_: str) -> bool:
        """What making one has left to do, as far as one change has room. Whether there is more."""
        return False

    def update(self, change: Change, record: R, asked: Row) -> R:
        """Change what was asked for. The default is for attributes that are fields of the record."""
        return change.put(self.table(change.records), replace(record, **asked))

    def delete(self, change: Change, record: R) -> None:
        """And all that goes with it."""
        self.table(change.records).delete(record.id)

    def thin_out(self, change: Change, record: R) -> bool:
        """Before one is deleted: take away some of what goes with it, where that is more than one change has room for.
        False where it is not. Raises what `delete` would."""
        return False


def standard_row(record: Standard, *, named: bool = True) -> Row:
    """What all resources show."""
    row: Row = {
        "id": record.id,
        "project_id": record.project_id,
        "tenant_id": record.project_id,
        "description": record.description,
        "created_at": shown_s(record.created_us),
        "updated_at": shown_s(record.updated_us),
        "revision_number": record.revision,
    }
    if named:
        row["name"] = record.name
    return row


def fresh_fields(change: Change, project: str, asked: Row) -> Row:
    """What all new records have, of what was asked for; takes it out of `asked`."""
    return {
        "id": change.new_id(),
        "project_id": project,
        "name": asked.pop("name", ""),
        "description": asked.pop("description", ""),
    }
