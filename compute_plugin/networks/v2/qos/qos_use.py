"""QoS policies that hold for something: whether whoever says so may."""

from __future__ import annotations

from compute_plugin.networks.records.qos import QosPolicy
from compute_plugin.networks.v2.frame.view import View
from gateway.rest.errors import ForbiddenError


def require_qos_change(view: View, before: str | None, after: str | None) -> None:
    """Raises MissingError where there is no such policy, or none that the caller may use; ForbiddenError where they
    would take away what others have set."""
    if before == after:
        return
    policies = view.records.qos_policies
    held = policies.get(before or "")
    if held is not None and not _may_use(view, held):
        raise ForbiddenError("qos_policy_id")
    if after is not None and not _may_use(view, policies.require(after)):
        raise policies.missing(after)


def default_qos_policy(view: View, project: str) -> str | None:
    """Of new networks of a project."""
    found = [one.id for one in view.records.qos_policies.by("project", project) if one.is_default]
    return found[0] if found else None


def _may_use(view: View, policy: QosPolicy) -> bool:
    return view.is_admin or policy.project_id == view.project or view.is_open(policy.id)
