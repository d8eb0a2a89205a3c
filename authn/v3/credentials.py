"""`/v3/credentials`: users' secrets of every type, sealed at rest. Only the blob may change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn import ec2
from authn.records.credentials import CREDENTIAL, Credential
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.tokens import Held
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.delegation import delegation, reaches, require_reach, require_unrestricted, require_within
from authn.v3.resource import PostedResource
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row, page
from gateway.rest.policy import Target
from store.core.errors import InvalidError

_KNOWN: Final = frozenset({"id", "user_id", "project_id", "type", "blob", "links"})


class Credentials(PostedResource[Credential]):
    """Whoever may see one sees its secret: it is there to be read again."""

    noun: ClassVar[str] = "credential"
    plural: ClassVar[str] = "credentials"
    path: ClassVar[str] = "credentials"
    filters: ClassVar[tuple[str, ...]] = ("user_id", "type")

    def table(self, snapshot: IdentitySnapshot) -> Table[Credential]:
        return snapshot.credentials

    def row(self, call: Call, record: Credential) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "user_id": record.user_id,
            "project_id": record.project_id or None,
            "type": record.type,
            "blob": call.service.vault.open(record.sealed).decode(),
            "links": {"self": f"{call.base}/credentials/{record.id}"},
        }

    def target(self, call: Call, record: Credential) -> Target:
        return {"target.credential.user_id": record.user_id, "target.credential.project_id": record.project_id or None}

    def asked_target(self, call: Call, asked: Fields) -> Target:
        return {"target.credential.user_id": asked.text("user_id")}

    async def list(self, call: Call) -> Response:
        held = await call.caller()
        may_see = await call.chosen("identity:list_credentials")
        rows = (
            self.row(call, record)
            for record in self.candidates(call)
            if may_see(self.target(call, record)) and reaches(held, record, call.service.vault)
        )
        return listed(call, self.plural, page(call, rows, self.filters))

    def candidates(self, call: Call) -> Iterable[Credential]:
        user_id = call.query.get("user_id")
        return (record for record in call.snapshot.credentials if user_id in (None, record.user_id))

    async def show(self, call: Call) -> Response:
        await self._require_within(call)
        return await super().show(call)

    async def update(self, call: Call) -> Response:
        await self._require_within(call)
        return await super().update(call)

    async def delete(self, call: Call) -> Response:
        await self._require_within(call)
        return await super().delete(call)

    async def made(self, call: Call, asked: Fields) -> Credential:
        held = await call.caller()
        type_, project_id, blob = asked.named("type"), asked.text_or("project_id", ""), asked.text("blob")
        is_ec2 = type_.lower() == ec2.EC2
        if is_ec2:
            require_unrestricted(held)
            if not project_id:
                raise InvalidError("credential: 'project_id' is a required property")
            blob = _delegated(held, blob)
        require_within(held, project_id, type_)
        record = Credential(
            id=ec2.id_of(ec2.read(blob).access) if is_ec2 else call.service.administration.new_id(),
            user_id=asked.named("user_id"),
            type=type_,
            sealed=call.service.vault.seal(_bytes(blob)),
            project_id=project_id,
            extra=merged("{}", asked.others(_KNOWN)),
        )
        await call.service.administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, record)
        return record

    async def changed(self, call: Call, id_: str, asked: Fields) -> Credential:
        """Clients that repeat the other attributes as they are may do so."""
        blob = asked.text("blob")
        present = self.row(call, call.snapshot.credentials.require(id_))
        for name in asked.names():
            if name not in ("blob", "links") and asked.value(name) != present.get(name):
                raise InvalidError(f"credential.{name}: only the blob of a credential can change")
        if present["type"].lower() == ec2.EC2:
            _require_same_delegation(ec2.read_object(present["blob"]), ec2.read_object(blob))
        sealed = call.service.vault.seal(_bytes(blob))
        return await call.service.administration.update(
            CREDENTIAL,
            lambda snapshot: snapshot.credentials,
            id_,
            lambda before: replace(before, sealed=sealed),
        )

    async def _require_within(self, call: Call) -> None:
        held = await call.caller()
        record = call.snapshot.credentials.get(call.path("id"))
        if record is not None:
            require_reach(held, record, call.service.vault)


def _delegated(held: Held, blob: str) -> str:
    """The blob with the token's delegation. Nobody names another one: it would lend them somebody's rights."""
    asked, own = ec2.read_object(blob), delegation(held)
    for name in ec2.DELEGATIONS:
        if asked.get(name) not in (None, own.get(name)):
            raise InvalidError(f"credential.blob: {name} is what the token says")
    return json.dumps({**asked, **own}) if own else blob


def _require_same_delegation(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name in ec2.DELEGATIONS:
        if before.get(name) != after.get(name):
            raise InvalidError(f"{name} can not be updated for credential")


def _bytes(blob: str) -> bytes:
    try:
        return blob.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("credential.blob: not text") from error
