"""Whether a project is one."""

from __future__ import annotations

from authn import keys
from authn.records import PROJECT
from compute_plugin.v2.frame.call import Call
from store.core.errors import InvalidError


async def require_project(call: Call, project: str) -> None:
    """Raises InvalidError where no project has that id."""
    identity = call.service.identity
    if identity.snapshot.projects.get(project) is None:
        await identity.directory.refresh([keys.record(PROJECT, project)])
    if identity.snapshot.projects.get(project) is None:
        raise InvalidError(f"Project ID {project[:255]} is not a valid project.")
