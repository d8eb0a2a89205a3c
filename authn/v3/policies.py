"""`/v3/policies`: policy files kept for services that ask for them; nothing here goes by them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar, Final

from authn.records.settings import POLICY_BLOB, PolicyBlob
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.call import Call
from authn.v3.resource import PostedResource
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row

_KNOWN: Final = frozenset({"id", "blob", "type", "links"})


class Policies(PostedResource[PolicyBlob]):
    """Policy files."""

    noun: ClassVar[str] = "policy"
    plural: ClassVar[str] = "policies"
    path: ClassVar[str] = "policies"
    filters: ClassVar[tuple[str, ...]] = ("type",)

    def table(self, snapshot: IdentitySnapshot) -> Table[PolicyBlob]:
        return snapshot.policy_blobs

    def row(self, call: Call, record: PolicyBlob) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "blob": record.blob,
            "type": record.type,
            "links": {"self": f"{call.base}/policies/{record.id}"},
        }

    async def made(self, call: Call, asked: Fields) -> PolicyBlob:
        administration = call.service.administration
        policy = PolicyBlob(
            administration.new_id(), asked.text("blob"), asked.named("type"), merged("{}", asked.others(_KNOWN))
        )
        await administration.create(POLICY_BLOB, self.table, policy)
        return policy

    async def changed(self, call: Call, id_: str, asked: Fields) -> PolicyBlob:
        def edit(before: PolicyBlob) -> PolicyBlob:
            return replace(
                before,
                blob=asked.text_or("blob", before.blob),
                type=asked.named("type") if "type" in asked else before.type,
                extra=merged(before.extra, asked.others(_KNOWN)),
            )

        return await call.service.administration.update(POLICY_BLOB, self.table, id_, edit)
