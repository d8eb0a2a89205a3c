"""`View`: the records as a caller sees them, and `Change`: the same with what the request is about to do. Sans-I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_EXTERNAL, AS_SHARED, EVERYBODY
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.records.states import States
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.settings import Settings
from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Credentials, Policy, Target

S = TypeVar("S", bound=Standard)

NO_LIMIT: Final = -1


@dataclass(slots=True)
class View:
    """Of one request."""

    records: Records
    states: States
    settings: Settings
    policy: Policy
    credentials: Credentials
    parent_id: str = ""
    """Of the resource that the path names before the collection, where it does."""
    _hidden: dict[tuple[object, ...], frozenset[str] | None] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The caller's; "" where the token is for none."""
        return str(self.credentials.get("project_id") or "")

    @property
    def is_admin(self) -> bool:
        return self._holds("context_is_admin")

    @property
    def is_trusted(self) -> bool:
        """Whether it is an administrator or a service, which do things for all projects."""
        return self.is_admin or self._holds("service_api")

    def _holds(self, rule: str) -> bool:
        """Of callers whose token is for a project, as operations are."""
        elsewhere = self.credentials.get("domain_id") or self.credentials.get("system_scope")
        return not elsewhere and bool(self.policy.holds(rule, self.credentials, {}))

    def may(self, operation: str, target: Target) -> bool:
        """Whether the caller may. What no line of policy says is allowed to nobody."""
        return bool(self.policy.decide(operation, self.credentials, target))

    def hidden(self, operation: str, target: Target) -> frozenset[str] | None:
        """Attributes that the caller may not see, of those that policy has lines for; None where they may see nothing
        of the thing at all. What was decided is remembered: the rows of a list are alike."""
        key = (operation, *target.items())
        if key not in self._hidden:
            prefix = f"{operation}:"
            lines = [one for one in self.policy.operations if one.startswith(prefix)]
            names = (one.removeprefix(prefix) for one in lines if not self.may(one, target))
            self._hidden[key] = frozenset(names) if self.may(operation, target) else None
        return self._hidden[key]

    def is_open(self, object_id: str, action: str = AS_SHARED) -> bool:
        """Whether an RBAC policy lets the caller's project use a thing."""
        let = self.records.rbac_policies
        return any(let.has("let", (object_id, action, target)) for target in (EVERYBODY, self.project))

    def network_target(self, network: Network | None) -> dict[str, Any]:
        """What policy asks about whatever is on a network."""
        if network is None:
            return {"network:project_id": "", "shared": False, "router:external": False}
        return {
            "network:project_id": network.project_id,
            "shared": self.is_open(network.id),
            "router:external": network.external and self.is_open(network.id, AS_EXTERNAL),
        }


@dataclass(slots=True)
class Change(View):
    """`records` has what the request wrote so far, over what there is."""

    now_us: int = 0
    new_id: Callable[[], str] = lambda: ""

    def allow(self, operation: str, target: Target) -> None:
        """Raises ForbiddenError unless the caller may."""
        if not self.may(operation, target):
            raise ForbiddenError(operation)

    def owner(self, asked: dict[str, Any]) -> str:
        """The project that a new resource is to be of; others than the caller's are for those who are trusted. Takes
        what the body says of it out of `asked`."""
        said = {asked.pop("tenant_id", None), asked.pop("project_id", None)} - {None}
        if len(said) > 1:
            raise BadRequestError(
                "HTTPBadRequest", "'project_id' and 'tenant_id' have been specified with different values in request."
            )
        project = str(said.pop()) if said else self.project
        if project != self.project and not self.is_trusted:
            raise BadRequestError(
                "HTTPBadRequest",
                "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin "
                "privileges",
            )
        return project

    def put(self, table: Table[S], record: S) -> S:
        """A new one, or one as it is from now on."""
        before = table.get(record.id)
        if before == record:
            return record
        if before is None:
            record = replace(record, created_us=self.now_us, updated_us=self.now_us)
        else:
            record = replace(record, updated_us=self.now_us, revision=before.revision + 1)
        table.put(record)
        return record

    def count(self, resource: str, table: Table[Any], project: str) -> None:
        """Raises InUseError where the project can have no more of a resource."""
        limit = self.settings.limit(self.records, project, resource)
        if limit != NO_LIMIT and len(table.by("project", project)) >= limit:
            raise InUseError("OverQuota", f"Quota exceeded for resources: ['{resource}'].")
