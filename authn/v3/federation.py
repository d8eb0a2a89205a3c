"""`/v3/OS-FEDERATION`: whose word counts about users who are kept elsewhere, and what it is taken for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn import ending
from authn.federation.mapping import validate
from authn.records import DOMAIN, Domain
from authn.records.federation import (
    FEDERATION_PROTOCOL,
    IDENTITY_PROVIDER,
    MAPPING,
    SERVICE_PROVIDER,
    FederationProtocol,
    IdentityProvider,
    Mapping,
    ServiceProvider,
)
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.named import NamedResource, checked_id
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.listing import Row
from store.core.errors import ConflictError, InvalidError

_STEM: Final = "OS-FEDERATION"
_PROVIDER: Final = ("id", "domain_id", "enabled", "description", "remote_ids", "authorization_ttl")
_TTL_MAX: Final = 2**31 - 1


class IdentityProviders(NamedResource[IdentityProvider]):
    """Those who authenticate users for us, each with a domain here that its users are in."""

    noun: ClassVar[str] = "identity_provider"
    plural: ClassVar[str] = "identity_providers"
    path: ClassVar[str] = f"{_STEM}/identity_providers"
    filters: ClassVar[tuple[str, ...]] = ("id", "enabled", "domain_id")

    def table(self, snapshot: IdentitySnapshot) -> Table[IdentityProvider]:
        return snapshot.identity_providers

    def row(self, call: Call, record: IdentityProvider) -> Row:
        own = f"{call.base}/{self.path}/{record.id}"
        return {
            "id": record.id,
            "domain_id": record.domain_id,
            "enabled": record.enabled,
            "description": record.description,
            "remote_ids": list(record.remote_ids),
            "authorization_ttl": record.authorization_ttl,
            "links": {"self": own, "protocols": f"{own}/protocols"},
        }

    async def made_as(self, call: Call, id_: str, asked: Fields) -> IdentityProvider:
        """Without `domain_id` a domain is made for it."""
        asked.refuse_others(_PROVIDER)
        administration = call.service.administration
        remote_ids = _remote_ids(call, id_, asked)
        provider = IdentityProvider(
            id_,
            asked.text_or("domain_id", ""),
            asked.flag_or("enabled", False),
            _text_or_null(asked, "description", None),
            remote_ids,
            _ttl(asked, None),
            epoch=_drawn_epoch(call),
        )
        if provider.domain_id:
            if call.snapshot.domains.get(provider.domain_id) is None:
                raise InvalidError(f"identity_provider.domain_id: there is no domain {provider.domain_id}")
        else:
            new = administration.new_id()
            domain = Domain(new, new, f"Auto generated federated domain for Identity Provider: {id_}")
            provider = replace(provider, domain_id=domain.id)
            await administration.create_all([(IDENTITY_PROVIDER, provider), (DOMAIN, domain)])
            return provider
        await administration.create(IDENTITY_PROVIDER, self.table, provider)
        return provider

    async def changed(self, call: Call, id_: str, asked: Fields) -> IdentityProvider:
        """Disabling ends the tokens of those it vouched for, for good."""
        asked.refuse_others([name for name in _PROVIDER if name not in ("id", "domain_id")])
        drawn = _drawn_epoch(call)

        def edit(before: IdentityProvider) -> IdentityProvider:
            enabled = asked.flag_or("enabled", before.enabled)
            return replace(
                before,
                enabled=enabled,
                epoch=drawn if before.enabled and not enabled else before.epoch,
                description=_text_or_null(asked, "description", before.description),
                remote_ids=_remote_ids(call, id_, asked) if "remote_ids" in asked else before.remote_ids,
                authorization_ttl=_ttl(asked, before.authorization_ttl),
            )

        return await call.service.administration.update(IDENTITY_PROVIDER, self.table, id_, edit)

    def along(self, snapshot: IdentitySnapshot, record: IdentityProvider) -> Iterable[bytes]:
        return ending.with_identity_provider(snapshot, record.id)


class Mappings(NamedResource[Mapping]):
    """Rules that turn what a provider says into a user and groups here."""

    noun: ClassVar[str] = "mapping"
    plural: ClassVar[str] = "mappings"
    path: ClassVar[str] = f"{_STEM}/mappings"

    def table(self, snapshot: IdentitySnapshot) -> Table[Mapping]:
        return snapshot.mappings

    def row(self, call: Call, record: Mapping) -> Row:
        return {
            "id": record.id,
            "rules": json.loads(record.rules),
            "schema_version": record.schema_version,
            "links": {"self": f"{call.base}/{self.path}/{record.id}"},
        }

    async def made_as(self, call: Call, id_: str, asked: Fields) -> Mapping:
        asked.refuse_others(("id", "rules", "schema_version"))
        mapping = Mapping(id_, *_rules(asked, "1.0"))
        await call.service.administration.create(MAPPING, self.table, mapping)
        return mapping

    async def changed(self, call: Call, id_: str, asked: Fields) -> Mapping:
        asked.refuse_others(("id", "rules", "schema_version"))

        def edit(before: Mapping) -> Mapping:
            return Mapping(before.id, *_rules(asked, before.schema_version))

        return await call.service.administration.update(MAPPING, self.table, id_, edit)


class ServiceProviders(NamedResource[ServiceProvider]):
    """Other clouds that take our word for our users."""

    noun: ClassVar[str] = "service_provider"
    plural: ClassVar[str] = "service_providers"
    path: ClassVar[str] = f"{_STEM}/service_providers"
    filters: ClassVar[tuple[str, ...]] = ("id", "enabled")

    def table(self, snapshot: IdentitySnapshot) -> Table[ServiceProvider]:
        return snapshot.service_providers

    def row(self, call: Call, record: ServiceProvider) -> Row:
        return {
            "id": record.id,
            "auth_url": record.auth_url,
            "sp_url": record.sp_url,
            "enabled": record.enabled,
            "description": record.description,
            "relay_state_prefix": record.relay_state_prefix,
            "links": {"self": f"{call.base}/{self.path}/{record.id}"},
        }

    async def made_as(self, call: Call, id_: str, asked: Fields) -> ServiceProvider:
        _refuse_unknown(asked)
        provider = ServiceProvider(
            id_,
            _url(asked, "auth_url"),
            _url(asked, "sp_url"),
            asked.flag_or("enabled", False),
            _text_or_null(asked, "description", None),
            asked.text_or("relay_state_prefix", "ss:mem:"),
        )
        await call.service.administration.create(SERVICE_PROVIDER, self.table, provider)
        return provider

    async def changed(self, call: Call, id_: str, asked: Fields) -> ServiceProvider:
        _refuse_unknown(asked)

        def edit(before: ServiceProvider) -> ServiceProvider:
            return replace(
                before,
                auth_url=_url(asked, "auth_url") if "auth_url" in asked else before.auth_url,
                sp_url=_url(asked, "sp_url") if "sp_url" in asked else before.sp_url,
                enabled=asked.flag_or("enabled", before.enabled),
                description=_text_or_null(asked, "description", before.description),
                relay_state_prefix=asked.text_or("relay_state_prefix", before.relay_state_prefix),
            )

        return await call.service.administration.update(SERVICE_PROVIDER, self.table, id_, edit)


# -- protocols, below their provider ----------------------------------------------------------------------------------


async def list_protocols(call: Call) -> Response:
    """The ways to log in through a provider."""
    await call.allow("identity:list_protocols")
    provider = call.snapshot.identity_providers.require(call.path("provider_id"))
    found = (protocol for protocol in call.snapshot.protocols if protocol.provider_id == provider.id)
    return listed(call, "protocols", [_protocol_row(call, one) for one in sorted(found, key=lambda one: one.id)])


async def create_protocol(call: Call) -> Response:
    """A way to log in, under the id of the path."""
    await call.allow("identity:create_protocol")
    provider = call.snapshot.identity_providers.require(call.path("provider_id"))
    asked = (await call.body()).object("protocol")
    asked.refuse_others(("id", "mapping_id", "remote_id_attribute"))
    protocol = FederationProtocol(
        f"{provider.id}/{checked_id(call.path('id'))}",
        _mapping(call, asked),
        _text_or_null(asked, "remote_id_attribute", None),
    )
    await call.service.administration.create(FEDERATION_PROTOCOL, lambda snapshot: snapshot.protocols, protocol)
    return answer({"protocol": _protocol_row(call, protocol)}, 201)


async def show_protocol(call: Call) -> Response:
    """One."""
    await call.allow("identity:get_protocol")
    return answer({"protocol": _protocol_row(call, call.snapshot.protocols.require(_protocol_id(call)))})


async def update_protocol(call: Call) -> Response:
    """Another mapping."""
    await call.allow("identity:update_protocol")
    id_ = _protocol_id(call)
    call.snapshot.protocols.require(id_)
    asked = (await call.body()).object("protocol")
    asked.refuse_others(("id", "mapping_id", "remote_id_attribute"))

    def edit(before: FederationProtocol) -> FederationProtocol:
        return replace(
            before,
            mapping_id=_mapping(call, asked) if "mapping_id" in asked else before.mapping_id,
            remote_id_attribute=_text_or_null(asked, "remote_id_attribute", before.remote_id_attribute),
        )

    administration = call.service.administration
    protocol = await administration.update(FEDERATION_PROTOCOL, lambda snapshot: snapshot.protocols, id_, edit)
    return answer({"protocol": _protocol_row(call, protocol)})


async def delete_protocol(call: Call) -> Response:
    """Nobody logs in that way any more."""
    await call.allow("identity:delete_protocol")
    administration = call.service.administration
    await administration.delete(FEDERATION_PROTOCOL, lambda snapshot: snapshot.protocols, _protocol_id(call))
    return nothing()


def routes() -> Routes[Call]:
    """All that is looked after here."""
    protocols = f"/v3/{_STEM}/identity_providers/{{provider_id}}/protocols"
    return {
        **IdentityProviders().routes(),
        **Mappings().routes(),
        **ServiceProviders().routes(),
        protocols: {"GET": list_protocols},
        f"{protocols}/{{id}}": {
            "PUT": create_protocol,
            "GET": show_protocol,
            "PATCH": update_protocol,
            "DELETE": delete_protocol,
        },
    }


def _protocol_id(call: Call) -> str:
    call.snapshot.identity_providers.require(call.path("provider_id"))
    return f"{call.path('provider_id')}/{call.path('id')}"


def _protocol_row(call: Call, protocol: FederationProtocol) -> Row:
    provider = f"{call.base}/{_STEM}/identity_providers/{protocol.provider_id}"
    return {
        "id": protocol.protocol_id,
        "mapping_id": protocol.mapping_id,
        "remote_id_attribute": protocol.remote_id_attribute,
        "links": {"self": f"{provider}/protocols/{protocol.protocol_id}", "identity_provider": provider},
    }


def _mapping(call: Call, asked: Fields) -> str:
    id_ = asked.text("mapping_id")
    if call.snapshot.mappings.get(id_) is None:
        raise InvalidError(f"protocol.mapping_id: there is no mapping {id_}")
    return id_


def _rules(asked: Fields, schema_version: str) -> tuple[str, str]:
    """The stored form of a mapping's rules, and their version. Raises InvalidError."""
    version = asked.text_or("schema_version", schema_version)
    rules: Any = asked.value("rules")
    validate(rules, version)
    return json.dumps(rules), version


def _drawn_epoch(call: Call) -> int:
    # No count: a provider that is deleted and made anew must not have the epoch of the one before.
    return int.from_bytes(call.service.random.bytes(6), "big")


def _remote_ids(call: Call, id_: str, asked: Fields) -> tuple[str, ...]:
    """Raises ConflictError where another provider has one of them: logins would be theirs."""
    if asked.value("remote_ids") is None:
        return ()
    found = tuple(asked.texts("remote_ids"))
    if len(set(found)) != len(found):
        raise InvalidError("identity_provider.remote_ids: each once")
    for other in call.snapshot.identity_providers:
        taken = set(found) & set(other.remote_ids)
        if other.id != id_ and taken:
            raise ConflictError(f"Conflict occurred attempting to store remote_id - {sorted(taken)[0]} is taken.")
    return found


def _ttl(asked: Fields, before: int | None) -> int | None:
    if "authorization_ttl" not in asked:
        return before
    return None if asked.value("authorization_ttl") is None else asked.number("authorization_ttl", 0, _TTL_MAX)


def _text_or_null(asked: Fields, name: str, before: str | None) -> str | None:
    if name not in asked:
        return before
    return None if asked.value(name) is None else asked.text(name)


def _refuse_unknown(asked: Fields) -> None:
    asked.refuse_others(("id", "auth_url", "sp_url", "enabled", "description", "relay_state_prefix"))


def _url(asked: Fields, name: str) -> str:
    url = asked.named(name, 256)
    if not url.startswith(("http://", "https://")):
        raise InvalidError(f"{name}: a URL with http or https")
    return url
