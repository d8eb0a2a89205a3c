"""`NamedResource`: records whose ids clients choose: made by PUT on their own path."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final

from starlette.responses import Response

from authn.records import R
from authn.v3.call import Call
from authn.v3.resource import Resource
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

ID_CHARACTERS_MAX: Final = 64

_ID: Final = re.compile(r"[^\x00-\x20/\x7f]+")


def checked_id(id_: str) -> str:
    """Raises InvalidError for what is no id."""
    if len(id_) > ID_CHARACTERS_MAX or not _ID.fullmatch(id_) or not id_.isprintable():
        raise InvalidError(f"id: 1 to {ID_CHARACTERS_MAX} printable characters, no blanks and no slash")
    return id_


class NamedResource(Resource[R]):
    """Records whose ids clients choose."""

    def routes(self) -> Routes[Call]:
        """Without POST: the path says the id."""
        return {
            f"/v3/{self.path}": {"GET": self.list},
            f"/v3/{self.path}/{{id}}": {
                "PUT": self.create,
                "GET": self.show,
                "PATCH": self.update,
                "DELETE": self.delete,
            },
        }

    async def create(self, call: Call) -> Response:
        """A new record under the id of the path."""
        await call.allow(f"identity:create_{self.noun}")
        id_ = checked_id(call.path("id"))
        record = await self.made_as(call, id_, (await call.body()).object(self.noun))
        return answer({self.noun: self.row(call, record)}, 201)

    @abstractmethod
    async def made_as(self, call: Call, id_: str, asked: Fields) -> R:
        """A new record with the id, stored."""
