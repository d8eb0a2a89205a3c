"""`shared`: that a thing is for everybody, as an attribute. What it means is an RBAC policy for all projects."""

from __future__ import annotations

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_SHARED, EVERYBODY, RbacPolicy
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.v2.frame.view import Change


def for_everybody(records: Records, id_: str) -> list[RbacPolicy]:
    """The policies that say so; none where it is not."""
    return [
        one
        for one in records.rbac_policies.by("object", id_)
        if (one.action, one.target_project) == (AS_SHARED, EVERYBODY)
    ]


def share(change: Change, record: Standard, object_type: str) -> None:
    """Let everybody use it."""
    if not for_everybody(change.records, record.id):
        policy = RbacPolicy(
            id=change.new_id(),
            project_id=record.project_id,
            object_type=object_type,
            object_id=record.id,
            action=AS_SHARED,
            target_project=EVERYBODY,
        )
        change.put(change.records.rbac_policies, policy)


def forget_shares(change: Change, id_: str) -> None:
    """Of a thing that is deleted."""
    for policy in change.records.rbac_policies.by("object", id_):
        change.records.rbac_policies.delete(policy.id)
