"""Flavors of routers, and what is behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from compute_plugin.networks.errors import BadRequestError, InUseError, MissingError
from compute_plugin.networks.records.flavor import Flavor, ServiceProfile
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import NAMED, OWNED, REQUIRED, Attribute, shown, wrong
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import WrongValueError, flag, items, one_of, text, uuid
from compute_plugin.networks.v2.frame.requests import VERSION, Handler
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change, View
from gateway.rest.answers import answer, nothing

TEXT_MAX: Final = 1024
ROUTERS: Final = "L3_ROUTER_NAT"
"""The one kind of service that has flavors here."""
_DESCRIBED: Final = Attribute("description", lambda value: "" if value is None else text(TEXT_MAX)(value), default="")


class ServiceProfiles(Collection[ServiceProfile]):
    """`/service_profiles`."""

    singular = "service_profile"
    plural = "service_profiles"
    path = "/service_profiles"
    attributes = (
        *OWNED,
        _DESCRIBED,
        Attribute("driver", text(TEXT_MAX), default=""),
        Attribute("metainfo", text(4096), default=""),
        Attribute("enabled", flag, default=True),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[ServiceProfile]:
        return records.service_profiles

    def show(self, view: View, record: ServiceProfile) -> Row:
        return {
            "id": record.id,
            "description": record.description,
            "driver": record.driver,
            "metainfo": record.metainfo,
            "enabled": record.enabled,
        }

    def create(self, change: Change, project: str, asked: Row) -> ServiceProfile:
        profile = ServiceProfile(**fresh_fields(change, "", asked), **asked)
        return self._put(change, profile)

    def update(self, change: Change, record: ServiceProfile, asked: Row) -> ServiceProfile:
        self._require_unused(change, record)
        return self._put(change, replace(record, **asked))

    def delete(self, change: Change, record: ServiceProfile) -> None:
        self._require_unused(change, record)
        super().delete(change, record)

    def _put(self, change: Change, profile: ServiceProfile) -> ServiceProfile:
        if profile.driver:
            raise MissingError(
                "ServiceProfileDriverNotFound", f"Service Profile driver {profile.driver} could not be found."
            )
        if not profile.metainfo:
            raise BadRequestError("ServiceProfileEmpty", "Service Profile needs either a driver or metainfo.")
        return change.put(change.records.service_profiles, profile)

    def _require_unused(self, change: Change, record: ServiceProfile) -> None:
        if any(record.id in one.profile_ids for one in change.records.flavors):
            raise InUseError("ServiceProfileInUse", f"Service Profile {record.id} is used by some service instance.")


class Flavors(Collection[Flavor]):
    """`/flavors`."""

    singular = "flavor"
    plural = "flavors"
    path = "/flavors"
    attributes = (
        *NAMED,
        _DESCRIBED,
        *OWNED,
        Attribute("service_type", one_of((ROUTERS,)), update=False, default=REQUIRED),
        Attribute("service_profiles", items(uuid), default=()),
        Attribute("enabled", flag, default=True),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[Flavor]:
        return records.flavors

    def show(self, view: View, record: Flavor) -> Row:
        return {
            "id": record.id,
            "name": record.name,
            "description": record.description,
            "service_type": record.service_type,
            "service_profiles": list(record.profile_ids),
            "enabled": record.enabled,
        }

    def create(self, change: Change, project: str, asked: Row) -> Flavor:
        return self._put(change, Flavor(**fresh_fields(change, "", asked), **_stored(asked)))

    def update(self, change: Change, record: Flavor, asked: Row) -> Flavor:
        return self._put(change, replace(record, **_stored(asked)))

    def delete(self, change: Change, record: Flavor) -> None:
        if change.records.routers.has("flavor", record.id):
            raise InUseError("FlavorInUse", f"Flavor {record.id} is used by some service instance.")
        super().delete(change, record)

    def _put(self, change: Change, flavor: Flavor) -> Flavor:
        for id_ in flavor.profile_ids:
            change.records.service_profiles.require(id_)
        return change.put(change.records.flavors, flavor)


def _stored(asked: Row) -> Row:
    return {"profile_ids" if name == "service_profiles" else name: value for name, value in asked.items()}


# -- which profiles a flavor has -------------------------------------------------------------------------------------


async def _bind(call: Call) -> Response:
    body = await call.one("service_profile")
    try:
        profile_id = uuid(body.get("id"))
    except WrongValueError as error:
        raise wrong("id", str(error)) from error
    over = await call.change()

    def step(records: Records) -> None:
        change: Change = over(records)
        flavor = seen(Flavors(), change, call.path("id"))
        change.allow("create_flavor_service_profile", {})
        change.records.service_profiles.require(profile_id)
        if profile_id in flavor.profile_ids:
            raise InUseError(
                "FlavorServiceProfileBindingExists",
                f"Service Profile {profile_id} is already associated with flavor {flavor.id}.",
            )
        change.put(change.records.flavors, replace(flavor, profile_ids=(*flavor.profile_ids, profile_id)))

    await call.service.store.change(step)
    return answer({"service_profile": {"id": profile_id}}, 201)


async def _unbind(call: Call) -> Response:
    over = await call.change()

    def step(records: Records) -> None:
        change: Change = over(records)
        flavor, profile_id = seen(Flavors(), change, call.path("id")), call.path("profile_id")
        change.allow("delete_flavor_service_profile", {})
        if profile_id not in flavor.profile_ids:
            raise MissingError(
                "FlavorServiceProfileBindingNotFound",
                f"Service Profile {profile_id[:255]} is not associated with flavor {flavor.id}.",
            )
        kept = tuple(one for one in flavor.profile_ids if one != profile_id)
        change.put(change.records.flavors, replace(flavor, profile_ids=kept))

    await call.service.store.change(step)
    return nothing()


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    f"{VERSION}/flavors/{{id}}/service_profiles": {"POST": _bind},
    f"{VERSION}/flavors/{{id}}/service_profiles/{{profile_id}}": {"DELETE": _unbind},
}
