"""In whose name other services are asked."""

from __future__ import annotations

from typing import Final

from compute_plugin.records.server import Transition
from gateway.rest.policy import Credentials

COMPUTE: Final[Credentials] = {
    "user_id": "compute",
    "project_id": "compute",
    "tenant_id": "compute",
    "domain_id": None,
    "system_scope": None,
    "roles": frozenset({"admin", "service", "member", "reader"}),
}
"""The compute service itself: where a server is plugged in, and what is put away behind it."""


def asker_of(transition: Transition) -> Credentials:
    """Whoever had a transition done, as policy knew them then."""
    return _caller(transition.user_id, transition.project_id, frozenset(transition.roles))


def _caller(user: str, project: str, roles: frozenset[str]) -> Credentials:
    return {
        "user_id": user,
        "project_id": project,
        "tenant_id": project,
        "domain_id": None,
        "system_scope": None,
        "roles": roles,
    }
