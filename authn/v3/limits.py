"""`/v3/registered_limits` and `/v3/limits`: how much of what a project or domain may have ("unified limits")."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar, Final

from starlette.responses import Response

from authn.administration import CREATED_MAX
from authn.records import Kind, R
from authn.records.settings import LIMIT, REGISTERED_LIMIT, Limit, RegisteredLimit
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.call import Call
from authn.v3.resource import Resource
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields
from gateway.rest.listing import Row
from gateway.rest.policy import Target
from store.core.errors import InvalidError

NUMBER_MAX: Final = 2**31 - 1
RESOURCE_NAME_CHARACTERS_MAX: Final = 255


def _service(call: Call, asked: Fields) -> str:
    id_ = asked.text("service_id")
    if call.snapshot.services.get(id_) is None:
        raise InvalidError(f"service_id: there is no service {id_}")
    return id_


def _region(call: Call, asked: Fields) -> str:
    id_ = asked.text_or("region_id", "")
    if id_ and call.snapshot.regions.get(id_) is None:
        raise InvalidError(f"region_id: there is no region {id_}")
    return id_


class _Several(Resource[R]):
    """Made several at a time, all or none: the body of POST holds an array."""

    kind: Kind[R]

    @abstractmethod
    def one(self, call: Call, asked: Fields) -> R:
        """A new record of what a client asks for. Raises InvalidError."""

    def require_together(self, call: Call, made: list[R]) -> None:
        """Raises ForbiddenError where the new records cannot be beside each other, or beside what there is."""
        return

    async def create(self, call: Call) -> Response:
        """New records, in one body; the answer tells all of this kind that were made."""
        await call.allow(f"identity:create_{self.plural}")
        asked = (await call.body()).objects(self.plural)
        if not asked:
            raise InvalidError(f"{self.plural}: at least one")
        if len(asked) > CREATED_MAX:
            raise InvalidError(f"{self.plural}: {CREATED_MAX} at most")
        made = [self.one(call, one) for one in asked]
        self.require_together(call, made)
        await call.service.administration.create_all([(self.kind, record) for record in made])
        return answer({self.plural: [self.row(call, record) for record in made]}, 201)


class RegisteredLimits(_Several[RegisteredLimit]):
    """What everybody may have."""

    noun: ClassVar[str] = "registered_limit"
    plural: ClassVar[str] = "registered_limits"
    path: ClassVar[str] = "registered_limits"
    filters: ClassVar[tuple[str, ...]] = ("service_id", "region_id", "resource_name")
    kind = REGISTERED_LIMIT

    def table(self, snapshot: IdentitySnapshot) -> Table[RegisteredLimit]:
        return snapshot.registered_limits

    def row(self, call: Call, record: RegisteredLimit) -> Row:
        return {
            "id": record.id,
            "service_id": record.service_id,
            "region_id": record.region_id or None,
            "resource_name": record.resource_name,
            "default_limit": record.default_limit,
            "description": record.description,
            "links": {"self": f"{call.base}/registered_limits/{record.id}"},
        }

    def one(self, call: Call, asked: Fields) -> RegisteredLimit:
        asked.refuse_others({"service_id", "region_id", "resource_name", "default_limit", "description"})
        return RegisteredLimit(
            call.service.administration.new_id(),
            _service(call, asked),
            _region(call, asked),
            asked.named("resource_name", RESOURCE_NAME_CHARACTERS_MAX),
            asked.number("default_limit", -1, NUMBER_MAX),
            asked.text("description") if asked.value("description") is not None else None,
        )

    async def changed(self, call: Call, id_: str, asked: Fields) -> RegisteredLimit:
        asked.refuse_others({"service_id", "region_id", "resource_name", "default_limit", "description"})
        self._refuse_used(call, id_)

        def edit(before: RegisteredLimit) -> RegisteredLimit:
            return replace(
                before,
                service_id=_service(call, asked) if "service_id" in asked else before.service_id,
                region_id=_region(call, asked) if "region_id" in asked else before.region_id,
                resource_name=asked.named("resource_name") if "resource_name" in asked else before.resource_name,
                default_limit=(
                    asked.number("default_limit", -1, NUMBER_MAX) if "default_limit" in asked else before.default_limit
                ),
                description=_description(asked, before.description),
            )

        return await call.service.administration.update(REGISTERED_LIMIT, self.table, id_, edit)

    async def gone(self, call: Call, id_: str) -> None:
        self._refuse_used(call, id_)
        await super().gone(call, id_)

    def _refuse_used(self, call: Call, id_: str) -> None:
        registered = call.snapshot.registered_limits.require(id_)
        if any(_same(limit, registered) for limit in call.snapshot.limits):
            raise ForbiddenError(f"the registered limit {id_} is used by limits of projects or domains")


class Limits(_Several[Limit]):
    """What one project, or one domain, may have."""

    noun: ClassVar[str] = "limit"
    plural: ClassVar[str] = "limits"
    path: ClassVar[str] = "limits"
    filters: ClassVar[tuple[str, ...]] = ("service_id", "region_id", "resource_name", "project_id", "domain_id")
    kind = LIMIT

    def table(self, snapshot: IdentitySnapshot) -> Table[Limit]:
        return snapshot.limits

    def row(self, call: Call, record: Limit) -> Row:
        return {
            "id": record.id,
            "project_id": record.project_id or None,
            "domain_id": record.domain_id or None,
            "service_id": record.service_id,
            "region_id": record.region_id or None,
            "resource_name": record.resource_name,
            "resource_limit": record.resource_limit,
            "description": record.description,
            "links": {"self": f"{call.base}/limits/{record.id}"},
        }

    def routes(self) -> Routes[Call]:
        return {**super().routes(), "/v3/limits/model": {"GET": show_model}}

    def target(self, call: Call, record: Limit) -> Target:
        project = call.snapshot.projects.get(record.project_id)
        return {
            "target.limit.project_id": record.project_id or None,
            "target.limit.domain.id": record.domain_id or None,
            "target.limit.project.domain_id": project.domain_id if project else None,
        }

    def require_together(self, call: Call, made: list[Limit]) -> None:
        _require_model(call, made)

    def one(self, call: Call, asked: Fields) -> Limit:
        asked.refuse_others(
            {"project_id", "domain_id", "service_id", "region_id", "resource_name", "resource_limit", "description"}
        )
        project_id, domain_id = asked.text_or("project_id", ""), asked.text_or("domain_id", "")
        if bool(project_id) == bool(domain_id):
            raise InvalidError("limit: one of project_id and domain_id")
        if call.snapshot.domains.get(project_id) is not None:  # a domain seen as a project
            project_id, domain_id = "", project_id
        if project_id and call.snapshot.projects.get(project_id) is None:
            raise InvalidError(f"project_id: there is no project {project_id}")
        if domain_id and call.snapshot.domains.get(domain_id) is None:
            raise InvalidError(f"domain_id: there is no domain {domain_id}")
        limit = Limit(
            call.service.administration.new_id(),
            project_id,
            domain_id,
            _service(call, asked),
            _region(call, asked),
            asked.named("resource_name", RESOURCE_NAME_CHARACTERS_MAX),
            asked.number("resource_limit", -1, NUMBER_MAX),
            asked.text("description") if asked.value("description") is not None else None,
        )
        if not any(_same(limit, registered) for registered in call.snapshot.registered_limits):
            raise ForbiddenError(f"there is no registered limit of {limit.resource_name} for that service and region")
        return limit

    async def changed(self, call: Call, id_: str, asked: Fields) -> Limit:
        asked.refuse_others({"resource_limit", "description"})

        def edit(before: Limit) -> Limit:
            after = replace(
                before,
                resource_limit=(
                    asked.number("resource_limit", -1, NUMBER_MAX)
                    if "resource_limit" in asked
                    else before.resource_limit
                ),
                description=_description(asked, before.description),
            )
            _require_model(call, [after])
            return after

        return await call.service.administration.update(LIMIT, self.table, id_, edit)


async def show_model(call: Call) -> Response:
    """How limits work together."""
    await call.allow("identity:get_limit_model")
    model = call.service.limit_model
    return answer({"model": {"name": model.name, "description": model.description}})


def _require_model(call: Call, made: list[Limit]) -> None:
    """Raises ForbiddenError where limits of domains and projects would not go together."""
    broken = call.service.limit_model.broken_by(call.snapshot, made)
    if broken is not None:
        owner = f"project_id: {broken.project_id}" if broken.project_id else f"domain_id: {broken.domain_id}"
        raise ForbiddenError(
            f"Invalid resource limit: {broken.resource_name} = {broken.resource_limit} ({owner}, service_id: "
            f"{broken.service_id}, region_id: {broken.region_id or None}) doesn't satisfy current hierarchy model"
        )


def _same(limit: Limit, registered: RegisteredLimit) -> bool:
    return (limit.service_id, limit.region_id, limit.resource_name) == (
        registered.service_id,
        registered.region_id,
        registered.resource_name,
    )


def _description(asked: Fields, before: str | None) -> str | None:
    if "description" not in asked:
        return before
    return None if asked.value("description") is None else asked.text("description")
