"""`/v3/regions`, `/v3/services` and `/v3/endpoints`: what the catalogue is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn import keys
from authn.keys import ENDPOINT_OF_PROJECT, Link
from authn.records import ENDPOINT, ID_CHARACTERS_MAX, REGION, SERVICE, Endpoint, Region, Service
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.call import Call
from authn.v3.catalog import url_of
from authn.v3.resource import PostedResource
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Row
from store.core.errors import ConflictError, InvalidError, NotFoundError

INTERFACES: Final = ("public", "internal", "admin")

_REGION: Final = frozenset({"id", "description", "parent_region_id", "links"})
_SERVICE: Final = frozenset({"id", "type", "name", "description", "enabled", "links"})
_ENDPOINT: Final = frozenset(
    {"id", "service_id", "interface", "region", "region_id", "url", "enabled", "links", "legacy_endpoint_id"}
)


class Regions(PostedResource[Region]):
    """Parts of the cloud, nested as one likes."""

    noun: ClassVar[str] = "region"
    plural: ClassVar[str] = "regions"
    path: ClassVar[str] = "regions"
    filters: ClassVar[tuple[str, ...]] = ("parent_region_id", "description")

    def table(self, snapshot: IdentitySnapshot) -> Table[Region]:
        return snapshot.regions

    def row(self, call: Call, record: Region) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "description": record.description,
            "parent_region_id": record.parent_id or None,
            "links": {"self": f"{call.base}/regions/{record.id}"},
        }

    def routes(self) -> Routes[Call]:
        found = dict(super().routes())
        found["/v3/regions/{id}"] = {**found["/v3/regions/{id}"], "PUT": self.create_named}
        return found

    async def create_named(self, call: Call) -> Response:
        """A new region under an id of the client's choice."""
        await call.allow("identity:create_region")
        asked = (await call.body()).object("region")
        if asked.text_or("id", call.path("id")) != call.path("id"):
            raise InvalidError("region.id: not the id of the URL")
        return answer({"region": self.row(call, await self._make(call, asked, call.path("id")))}, 201)

    async def made(self, call: Call, asked: Fields) -> Region:
        id_ = asked.named("id", ID_CHARACTERS_MAX) if asked.value("id") else call.service.administration.new_id()
        return await self._make(call, asked, id_)

    async def _make(self, call: Call, asked: Fields, id_: str) -> Region:
        if not id_.isprintable() or len(id_.encode()) > ID_CHARACTERS_MAX or "/" in id_:
            raise InvalidError(f"region.id: at most {ID_CHARACTERS_MAX} printable characters, without /")
        region = Region(
            id=id_,
            description=asked.text_or("description", ""),
            parent_id=self._parent(call, asked, id_),
            extra=merged("{}", asked.others(_REGION)),
        )
        await call.service.administration.create(REGION, self.table, region)
        return region

    def _parent(self, call: Call, asked: Fields, id_: str) -> str:
        parent_id = asked.text_or("parent_region_id", "")
        above = call.snapshot.regions.require(parent_id) if parent_id else None
        while above is not None:
            if above.id == id_:
                raise InvalidError("region.parent_region_id: regions would go round in a circle")
            above = call.snapshot.regions.get(above.parent_id)
        return parent_id

    async def changed(self, call: Call, id_: str, asked: Fields) -> Region:
        parent_id = self._parent(call, asked, id_)

        def edit(before: Region) -> Region:
            return replace(
                before,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                parent_id=parent_id if "parent_region_id" in asked else before.parent_id,
                extra=merged(before.extra, asked.others(_REGION)),
            )

        return await call.service.administration.update(REGION, self.table, id_, edit)

    async def gone(self, call: Call, id_: str) -> None:
        if any(endpoint.region == id_ for endpoint in call.snapshot.endpoints):
            raise ForbiddenError("cannot delete a region that has endpoints")
        if any(region.parent_id == id_ for region in call.snapshot.regions):
            raise ForbiddenError("cannot delete a region that others are part of")
        await super().gone(call, id_)


class Services(PostedResource[Service]):
    """Lines of the catalogue."""

    noun: ClassVar[str] = "service"
    plural: ClassVar[str] = "services"
    path: ClassVar[str] = "services"
    filters: ClassVar[tuple[str, ...]] = ("name", "type", "enabled", "description")

    def table(self, snapshot: IdentitySnapshot) -> Table[Service]:
        return snapshot.services

    def row(self, call: Call, record: Service) -> Row:
        return {
            **json.loads(record.extra),
            "id": record.id,
            "type": record.type,
            "name": record.name,
            "description": record.description,
            "enabled": record.enabled,
            "links": {"self": f"{call.base}/services/{record.id}"},
        }

    async def made(self, call: Call, asked: Fields) -> Service:
        administration = call.service.administration
        service = Service(
            id=administration.new_id(),
            type=asked.named("type"),
            name=asked.text_or("name", ""),
            description=asked.text_or("description", ""),
            enabled=asked.flag_or("enabled", True),
            extra=merged("{}", asked.others(_SERVICE)),
        )
        await administration.create(SERVICE, self.table, service)
        return service

    async def changed(self, call: Call, id_: str, asked: Fields) -> Service:
        def edit(before: Service) -> Service:
            return replace(
                before,
                type=asked.named("type") if "type" in asked else before.type,
                name=asked.text_or("name", before.name),
                description=asked.text_or("description", "") if "description" in asked else before.description,
                enabled=asked.flag_or("enabled", before.enabled),
                extra=merged(before.extra, asked.others(_SERVICE)),
            )

        return await call.service.administration.update(SERVICE, self.table, id_, edit)

    def along(self, snapshot: IdentitySnapshot, record: Service) -> Iterable[bytes]:
        """Its endpoints."""
        for endpoint in snapshot.endpoints:
            if endpoint.service_id == record.id:
                yield keys.record(ENDPOINT, endpoint.id)
                yield from _links_of(snapshot, endpoint.id)


class Endpoints(PostedResource[Endpoint]):
    """Where services are."""

    noun: ClassVar[str] = "endpoint"
    plural: ClassVar[str] = "endpoints"
    path: ClassVar[str] = "endpoints"
    filters: ClassVar[tuple[str, ...]] = ("interface", "service_id", "region_id", "region", "enabled", "url")

    def table(self, snapshot: IdentitySnapshot) -> Table[Endpoint]:
        return snapshot.endpoints

    def row(self, call: Call, record: Endpoint) -> Row:
        return endpoint_row(call, record)

    async def made(self, call: Call, asked: Fields) -> Endpoint:
        administration = call.service.administration
        endpoint = Endpoint(
            id=administration.new_id(),
            service_id=_service(call, asked),
            interface=asked.one_of("interface", INTERFACES),
            url=_url(asked),
            region=await self._region(call, asked),
            enabled=asked.flag_or("enabled", True),
            extra=merged("{}", asked.others(_ENDPOINT)),
        )
        await administration.create(ENDPOINT, self.table, endpoint)
        return endpoint

    async def changed(self, call: Call, id_: str, asked: Fields) -> Endpoint:
        region = await self._region(call, asked) if "region" in asked or "region_id" in asked else None

        def edit(before: Endpoint) -> Endpoint:
            return replace(
                before,
                service_id=_service(call, asked) if "service_id" in asked else before.service_id,
                interface=asked.one_of("interface", INTERFACES) if "interface" in asked else before.interface,
                url=_url(asked) if "url" in asked else before.url,
                region=before.region if region is None else region,
                enabled=asked.flag_or("enabled", before.enabled),
                extra=merged(before.extra, asked.others(_ENDPOINT)),
            )

        return await call.service.administration.update(ENDPOINT, self.table, id_, edit)

    def along(self, snapshot: IdentitySnapshot, record: Endpoint) -> Iterable[bytes]:
        return _links_of(snapshot, record.id)

    async def _region(self, call: Call, asked: Fields) -> str:
        """`region_id` is of a region that there is; `region`, the older word, makes one where there is none."""
        if asked.value("region_id") is not None:
            region_id = asked.text("region_id")
            if call.snapshot.regions.get(region_id) is None:
                raise InvalidError(f"endpoint.region_id: there is no region {region_id}")
            return region_id
        name = asked.text_or("region", "")
        if name and call.snapshot.regions.get(name) is None:
            if len(name.encode()) > ID_CHARACTERS_MAX or not name.isprintable() or "/" in name:
                raise InvalidError(f"endpoint.region: at most {ID_CHARACTERS_MAX} printable characters, without /")
            try:
                await call.service.administration.create(REGION, lambda snapshot: snapshot.regions, Region(name))
            except ConflictError:
                return name  # another made it meanwhile, which is as good
        return name


def endpoint_row(call: Call, endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as clients see it."""
    return {
        **json.loads(endpoint.extra),
        "id": endpoint.id,
        "service_id": endpoint.service_id,
        "interface": endpoint.interface,
        "region": endpoint.region or None,
        "region_id": endpoint.region or None,
        "url": url_of(endpoint, call.origin),
        "enabled": endpoint.enabled,
        "links": {"self": f"{call.base}/endpoints/{endpoint.id}"},
    }


def _links_of(snapshot: IdentitySnapshot, endpoint_id: str) -> Iterable[bytes]:
    return [
        keys.link(Link(ENDPOINT_OF_PROJECT, project, endpoint_id))
        for project in snapshot.links.ones(ENDPOINT_OF_PROJECT, endpoint_id)
    ]


def _service(call: Call, asked: Fields) -> str:
    service_id = asked.text("service_id")
    try:
        return call.snapshot.services.require(service_id).id
    except NotFoundError as error:
        raise InvalidError(f"endpoint.service_id: there is no service {service_id}") from error


def _url(asked: Fields) -> str:
    url = asked.named("url", 2048)
    if url != url.strip() or " " in url:
        raise InvalidError("endpoint.url: no blanks")
    return url
