"""RBAC policies: who may use what is another project's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_EXTERNAL, EVERYBODY, RbacPolicy
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import OWNED, REQUIRED, Attribute, invalid, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import text, uuid
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.sharing.rbac_objects import TYPES, outside_users
from gateway.rest.errors import ForbiddenError


def _type(value: Any) -> str:
    found = value.strip().lower() if isinstance(value, str) else ""
    if found not in TYPES:
        raise invalid(f"'{str(value)[:255]}' is not a valid RBAC object type")
    return found


def _target(value: Any) -> str:
    if value == EVERYBODY:
        return EVERYBODY
    try:
        if isinstance(value, str) and UUID(value).hex == value.replace("-", "").lower():
            return value
    except ValueError:
        pass  # said below
    raise invalid(f"'{str(value)[:255]}' is not a valid target project ID; expected a UUID or '*'")


class RbacPolicies(Collection[RbacPolicy]):
    """`/rbac-policies`."""

    singular = "rbac_policy"
    plural = "rbac_policies"
    path = "/rbac-policies"
    quota = "rbac_policy"
    narrowing: ClassVar = {"object_id": "object", "project_id": "project", "tenant_id": "project"}
    attributes = (
        *OWNED,
        Attribute("object_type", _type, update=False, default=REQUIRED),
        Attribute("object_id", uuid, update=False, default=REQUIRED),
        Attribute("action", text(), update=False, default=REQUIRED),
        Attribute("target_tenant", _target),
        Attribute("target_project", _target),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[RbacPolicy]:
        return records.rbac_policies

    # -- seeing --------------------------------------------------------------------------------------------------

    def show(self, view: View, record: RbacPolicy) -> Row:
        return {
            "id": record.id,
            "project_id": record.project_id,
            "tenant_id": record.project_id,
            "object_type": record.object_type,
            "object_id": record.object_id,
            "action": record.action,
            "target_tenant": record.target_project,
            "target_project": record.target_project,
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        return {**super().create_target(change, project, asked), "rbac_target": _said_target(asked)}

    def update_target(self, change: Change, record: RbacPolicy, asked: Row) -> Row:
        target = super().update_target(change, record, asked)
        return {**target, "rbac_target": _said_target(asked) or record.target_project}

    def create(self, change: Change, project: str, asked: Row) -> RbacPolicy:
        known = TYPES[asked["object_type"]]
        thing = seen(known.kind, change, asked["object_id"])
        action, target = asked["action"], _said_target(asked)
        if not target:
            raise BadRequestError(
                "HTTPBadRequest", "Failed to parse request. Required attribute 'target_tenant' not specified"
            )
        if action not in known.actions:
            raise BadRequestError(
                "InvalidActionForType",
                f"Invalid action '{action}' for object type '{asked['object_type']}'. Valid actions: "
                f"{list(known.actions)}",
            )
        _require_own(change, thing)
        if action == AS_EXTERNAL:
            _make_external(change, thing)
        policy = RbacPolicy(
            **fresh_fields(change, project, asked),
            object_type=asked["object_type"],
            object_id=thing.id,
            action=action,
            target_project=target,
        )
        return _put(change, policy)

    def update(self, change: Change, record: RbacPolicy, asked: Row) -> RbacPolicy:
        _require_own(change, _thing(change, record))
        after = replace(record, target_project=_said_target(asked) or record.target_project)
        if after.target_project != record.target_project:
            _require_unused(change, record, after.target_project)
        return _put(change, after)

    def delete(self, change: Change, record: RbacPolicy) -> None:
        _require_unused(change, record)
        change.records.rbac_policies.delete(record.id)
        if record.action == AS_EXTERNAL and not any(_others(change, record)):
            network = change.records.networks.require(record.object_id)
            change.put(change.records.networks, replace(network, external=False))


def _said_target(asked: Row) -> str:
    """Both names mean the same; "" where it was not said."""
    said = {asked[one] for one in ("target_tenant", "target_project") if one in asked}
    if len(said) > 1:
        raise invalid("target_tenant and target_project say different projects")
    return str(said.pop()) if said else ""


def _thing(change: Change, policy: RbacPolicy) -> Standard:
    found: Standard = TYPES[policy.object_type].kind.table(change.records).require(policy.object_id)
    return found


def _require_own(change: Change, thing: Standard) -> None:
    if thing.project_id != change.project and not change.is_admin:
        raise invalid("Only admins can manipulate policies on objects they do not own")


def _make_external(change: Change, thing: Standard) -> None:
    """A network that somebody may use as external is external, which is not for everybody to say."""
    network = change.records.networks.require(thing.id)
    if network.external:
        return
    line = "update_network:router:external"
    if not change.may(line, {"project_id": network.project_id}):
        raise ForbiddenError(line)
    change.put(change.records.networks, replace(network, external=True))


def _put(change: Change, policy: RbacPolicy) -> RbacPolicy:
    if any(one.target_project == policy.target_project for one in _others(change, policy)):
        raise InUseError("DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
    return change.put(change.records.rbac_policies, policy)


def _others(change: Change, policy: RbacPolicy) -> Iterator[RbacPolicy]:
    """That allow the same to other projects."""
    for one in change.records.rbac_policies.by("object", policy.object_id):
        if one.action == policy.action and one.id != policy.id:
            yield one


def _require_unused(change: Change, policy: RbacPolicy, instead: str = "") -> None:
    """That nobody would go on using what they may not use any more. `instead`: who is let from now on. Raises
    InUseError."""
    users = outside_users if policy.action == AS_EXTERNAL else TYPES[policy.object_type].users
    own = _thing(change, policy).project_id
    still = {one.target_project for one in _others(change, policy)} | {own, instead, ""}
    if EVERYBODY in still:
        return
    for_all = policy.action == AS_EXTERNAL and policy.target_project == EVERYBODY
    if for_all and change.records.networks.require(policy.object_id).is_default:
        raise _in_use(policy, "Default external networks must be shared to everyone.")
    for project in users(change.records, policy.object_id):
        let = policy.target_project in (EVERYBODY, project)
        if let and project not in still:
            raise _in_use(policy, f"project_id={project}")


def _in_use(policy: RbacPolicy, details: str) -> InUseError:
    return InUseError(
        "RbacPolicyInUse",
        f"RBAC policy on object {policy.object_id} cannot be removed because other objects depend on it.\n"
        f"Details: {details}",
    )
