"""`Resource`: what the API does with a kind of record; each kind says what is its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import ClassVar, Generic

from starlette.responses import Response

from authn.records import R
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.listing import Filter, Row, page
from gateway.rest.policy import Target


class Resource(ABC, Generic[R]):
    """List, show, create, update and delete one kind of record.

    Whether something exists is told only to who might see it: the target of what does not exist is empty, and policy
    lets pass only those who may see any.
    """

    noun: ClassVar[str]
    """Its word in bodies and operations: `identity:create_<noun>`."""
    plural: ClassVar[str]
    path: ClassVar[str]
    """Below `/v3`."""
    filters: ClassVar[tuple[str, ...]] = ()
    """Attributes that lists are filtered by."""
    told: ClassVar[frozenset[str]] = frozenset()
    """Of update and delete, those where it is told to everybody with a token that there is no such record: as in stock
    keystone, where ids are random and tell nothing."""
    special: ClassVar[Mapping[str, Filter]] = {}
    """Filters with a meaning of their own."""

    # -- what each kind says -------------------------------------------------------------------------------------

    @abstractmethod
    def table(self, snapshot: IdentitySnapshot) -> Table[R]:
        """Where the records are."""

    @abstractmethod
    def row(self, call: Call, record: R) -> Row:
        """The record as clients see it."""

    @abstractmethod
    async def changed(self, call: Call, id_: str, asked: Fields) -> R:
        """The record after what a client asks for, stored."""

    async def gone(self, call: Call, id_: str) -> None:
        """Delete the record and what has no meaning without it."""
        snapshot = call.snapshot
        along = self.along(snapshot, self.table(snapshot).require(id_))
        await call.service.administration.delete(self.table(snapshot).kind, self.table, id_, along)

    def along(self, snapshot: IdentitySnapshot, record: R) -> Iterable[bytes]:
        """The keys that go with the record."""
        return ()

    def target(self, call: Call, record: R) -> Target:
        """What policy may ask about the record."""
        return {}

    def visible(self, call: Call, record: R) -> bool:
        """Whether it is among the rows of a list, for whoever may see it. Who acts for a domain, as administrator
        too, is shown what is in that domain, as in stock keystone."""
        home = self.home(record)
        return home is None or call.domain is None or home == call.domain

    def home(self, record: R) -> str | None:
        """The domain that the record is in; None where it is in no one's."""
        return None

    # -- what is kept elsewhere ----------------------------------------------------------------------------------

    async def elsewhere(self, call: Call) -> tuple[Sequence[R], bool]:
        """Records for a list that are not in the table, and whether there are more of them than can be told."""
        return (), False

    async def bring_in(self, call: Call, operation: str) -> None:
        """Have the record that the path names in the table, if there is one elsewhere."""
        return

    async def now(self, call: Call, record: R) -> R:
        """The record with what is said of it elsewhere."""
        return record

    # -- handlers ------------------------------------------------------------------------------------------------

    def routes(self) -> Routes[Call]:
        """The usual five."""
        return {
            f"/v3/{self.path}": {"GET": self.list, "POST": self.create},
            f"/v3/{self.path}/{{id}}": {"GET": self.show, "PATCH": self.update, "DELETE": self.delete},
        }

    async def list(self, call: Call) -> Response:
        """The records that the caller may see and the query asks for."""
        may_see = await call.chosen(f"identity:list_{self.plural}")
        elsewhere, truncated = await self.elsewhere(call)
        rows = (
            self.row(call, record)
            for record in chain(self.candidates(call), elsewhere)
            if self.visible(call, record) and may_see(self.target(call, record))
        )
        found = page(call, rows, self.filters, self.special, ordered=not elsewhere)
        return listed(call, self.plural, found, truncated=truncated)

    def candidates(self, call: Call) -> Iterable[R]:
        """The records to look through, in the order of their ids: all behind the marker, or fewer where the query names
        what can be looked up."""
        return self.behind_marker(call)

    def behind_marker(self, call: Call) -> Iterable[R]:
        """All from where the page begins; in another order, all."""
        marker = "" if "sort_key" in call.query else call.query.get("marker", "")
        return self.table(call.snapshot).after(marker)

    def called(self, call: Call) -> Iterable[R] | None:
        """Those that have the name which the query asks for, in the domain that it asks for or in any; None where it
        asks for no name. Of kinds whose names are a domain's."""
        name, domain_id = call.query.get("name"), call.query.get("domain_id")
        if name is None:
            return None
        snapshot = call.snapshot
        domain_ids = [domain.id for domain in snapshot.domains] if domain_id is None else [domain_id]
        found = [record for id_ in domain_ids for record in self.table(snapshot).called((id_, name))]
        return sorted(found, key=lambda record: record.id)

    async def show(self, call: Call) -> Response:
        """One record."""
        await self.bring_in(call, f"identity:get_{self.noun}")
        await call.allow(f"identity:get_{self.noun}", self._target(call, call.path("id")))
        record = await self.now(call, self.table(call.snapshot).require(call.path("id")))
        return answer({self.noun: self.row(call, record)})

    @abstractmethod
    async def create(self, call: Call) -> Response:
        """A new record, or several."""

    async def update(self, call: Call) -> Response:
        """Other attributes for a record."""
        id_ = call.path("id")
        await self.bring_in(call, f"identity:update_{self.noun}")
        await self._tell_missing(call, "update")
        await call.allow(f"identity:update_{self.noun}", self._target(call, id_))
        self.table(call.snapshot).require(id_)
        asked = (await call.body()).object(self.noun)
        return answer({self.noun: self.row(call, await self.changed(call, id_, asked))})

    async def delete(self, call: Call) -> Response:
        """The record is gone."""
        id_ = call.path("id")
        await self.bring_in(call, f"identity:delete_{self.noun}")
        await self._tell_missing(call, "delete")
        await call.allow(f"identity:delete_{self.noun}", self._target(call, id_))
        await self.gone(call, id_)
        return nothing()

    async def _tell_missing(self, call: Call, verb: str) -> None:
        if verb in self.told:
            await call.caller()
            self.table(call.snapshot).require(call.path("id"))

    def _target(self, call: Call, id_: str) -> Target:
        record = self.table(call.snapshot).get(id_)
        return {} if record is None else self.target(call, record)


class PostedResource(Resource[R]):
    """A kind whose records are made one at a time by POST of what they are to be."""

    @abstractmethod
    async def made(self, call: Call, asked: Fields) -> R:
        """A new record of what a client asks for, stored. Raises InvalidError and so on."""

    def asked_target(self, call: Call, asked: Fields) -> Target:
        """What policy may ask about a record that is to be made."""
        return {}

    async def create(self, call: Call) -> Response:
        """A new record."""
        await call.caller()  # a stranger is not told what is wrong with a body
        asked = (await call.body()).object(self.noun)
        await call.allow(f"identity:create_{self.noun}", self.asked_target(call, asked))
        return answer({self.noun: self.row(call, await self.made(call, asked))}, 201)
