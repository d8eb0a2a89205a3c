"""Kinds of resources that are below another one in paths, such as rules below a policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change, View

R = TypeVar("R", bound=Standard)


class Below(Collection[R]):
    """Whoever may not see what is above sees nothing below. Policy asks whose that is: `ext_parent:project_id`."""

    above: ClassVar[Collection[Any]]
    above_index: ClassVar[str]
    """Of the table: by what is above."""

    def above_id(self, record: R) -> str:
        """Of what it is below."""
        raise NotImplementedError

    def belongs(self, record: R) -> bool:
        """Whether it is of this kind, where a table has several."""
        return True

    def rows(self, view: View) -> Iterable[R]:
        above = seen(self.above, view, view.parent_id)
        return [one for one in self.table(view.records).by(self.above_index, above.id) if self.belongs(one)]

    def find(self, view: View, id_: str) -> R:
        above = seen(self.above, view, view.parent_id)
        record = self.table(view.records).require(id_)
        if self.above_id(record) != above.id or not self.belongs(record):
            raise self.table(view.records).missing(id_)
        return record

    def target(self, view: View, record: R) -> Row:
        above = self.above.table(view.records).get(self.above_id(record))
        return {**super().target(view, record), "ext_parent:project_id": above.project_id if above is not None else ""}

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        above = seen(self.above, change, change.parent_id)
        return {**super().create_target(change, project, asked), "ext_parent:project_id": above.project_id}
