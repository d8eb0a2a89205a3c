"""`/v3/domains`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Final

from authn.domains import delete_domain, refuse_enabled
from authn.records import DOMAIN, Domain
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.call import Call
from authn.v3.options import IMMUTABLE, changed_options, refuse_immutable
from authn.v3.resource import PostedResource
from authn.v3.tags import read_tags
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row
from gateway.rest.policy import Target

NAME_CHARACTERS_MAX: Final = 64

_KNOWN: Final = frozenset(
    {
        "id",
        "name",
        "description",
        "enabled",
        "links",
        "options",
        "tags",
        "explicit_domain_id",
        "is_domain",
        "domain_id",
        "parent_id",
    }
)


def domain_row(call: Call, domain: Domain) -> Row:
    """A domain as clients see it."""
    return {
        **json.loads(domain.extra),
        "id": domain.id,
        "name": domain.name,
        "description": domain.description,
        "enabled": domain.enabled,
        "options": json.loads(domain.options),
        "tags": list(domain.tags),
        "links": {"self": f"{call.base}/domains/{domain.id}"},
    }


class Domains(PostedResource[Domain]):
    """Realms of names."""

    noun: ClassVar[str] = "domain"
    plural: ClassVar[str] = "domains"
    path: ClassVar[str] = "domains"
    filters: ClassVar[tuple[str, ...]] = ("name", "enabled")

    def table(self, snapshot: IdentitySnapshot) -> Table[Domain]:
        return snapshot.domains

    def row(self, call: Call, record: Domain) -> Row:
        return domain_row(call, record)

    told: ClassVar[frozenset[str]] = frozenset({"update"})

    def home(self, record: Domain) -> str | None:
        return record.id

    def target(self, call: Call, record: Domain) -> Target:
        return {"target.domain.id": record.id}

    def candidates(self, call: Call) -> Iterable[Domain]:
        name = call.query.get("name")
        if name is None:
            return self.behind_marker(call)
        found = call.snapshot.domains.named(("", name))
        return [] if found is None else [found]

    async def made(self, call: Call, asked: Fields) -> Domain:
        administration = call.service.administration
        domain = Domain(
            id=administration.new_id(),
            name=asked.named("name", NAME_CHARACTERS_MAX),
            description=asked.text_or("description", ""),
            enabled=asked.flag_or("enabled", True),
            options=changed_options("{}", asked, IMMUTABLE),
            tags=read_tags(asked) if "tags" in asked else (),
            extra=merged("{}", asked.others(_KNOWN)),
        )
        await administration.create(DOMAIN, self.table, domain)
        return domain

    async def changed(self, call: Call, id_: str, asked: Fields) -> Domain:
        def edit(before: Domain) -> Domain:
            refuse_immutable("domain", before.options, asked)
            enabled = asked.flag_or("enabled", before.enabled)
            return replace(
                before,
                name=asked.named("name", NAME_CHARACTERS_MAX) if "name" in asked else before.name,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                enabled=enabled,
                epoch=before.epoch + (before.enabled and not enabled),
                options=changed_options(before.options, asked, IMMUTABLE),
                tags=read_tags(asked) if "tags" in asked else before.tags,
                extra=merged(before.extra, asked.others(_KNOWN)),
            )

        return await call.service.administration.update(DOMAIN, self.table, id_, edit)

    async def gone(self, call: Call, id_: str) -> None:
        """With everything in it."""
        domain = call.snapshot.domains.require(id_)
        refuse_immutable("domain", domain.options)
        refuse_enabled(domain)
        await delete_domain(call.service.administration, id_)
