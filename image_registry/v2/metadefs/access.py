"""Whether a caller may do something with a namespace, and what of its body is theirs to say: as stock Glance has it."""

from __future__ import annotations

from typing import Any

from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Target
from image_registry.errors import AttributeForbiddenError
from image_registry.metadefs.definitions import missing_namespace
from image_registry.metadefs.records import Kind, Namespace
from image_registry.v2.body import object_body
from image_registry.v2.call import Call
from store.core.errors import NotFoundError

_TIMES = ("created_at", "updated_at")
LINKED = ("self", "schema", *_TIMES)
"""What nobody may say of namespaces and objects."""


async def require(call: Call, *operations: str) -> None:
    """With definitions as a whole. Raises ForbiddenError; NotFoundError for those who may not know of any."""
    target: Target = {"project_id": (await call.credentials()).get("project_id")}
    await _require(call, target, operations)


async def namespace_for(call: Call, *operations: str) -> Namespace:
    """The namespace of the path. Raises NotFoundError where the caller may not know of it; ForbiddenError where they
    may, and may not do one of the operations."""
    name = call.path("namespace")
    await call.credentials()
    namespace = await call.service.definitions.find(name)
    if not await is_seen(call, namespace):
        raise missing_namespace(name)
    await _require(call, _target(namespace), operations)
    return namespace


async def is_seen(call: Call, namespace: Namespace) -> bool:
    """Whether the caller may know of a namespace."""
    return bool(call.policy.decide("get_metadef_namespace", await call.credentials(), _target(namespace)))


async def allowed(call: Call, namespace: Namespace, operation: str) -> bool:
    """Whether the caller may do one thing with a namespace that they know of."""
    return bool(call.policy.decide(operation, await call.credentials(), _target(namespace)))


async def said_of(call: Call, *forbidden: str) -> dict[str, Any]:
    """The body. Raises AttributeForbiddenError where it says what nobody may; those of all are the times."""
    body = await object_body(call)
    for name in forbidden or _TIMES:
        if name in body:
            raise AttributeForbiddenError(f"Attribute '{name}' is read-only.")
    return body


def refuse_protected(namespace: Namespace, kind: Kind | None = None, name: str = "") -> None:
    """Raises AttributeForbiddenError where nothing of the namespace may be deleted."""
    if namespace.protected:
        what = f"{kind} {name}" if kind is not None and name else f"namespace {namespace.name}"
        raise AttributeForbiddenError(f"Metadata definition {what} is protected and cannot be deleted.")


async def _require(call: Call, target: Target, operations: tuple[str, ...]) -> None:
    credentials = await call.credentials()
    for operation in operations:
        call.operation = operation
        if not call.policy.decide(operation, credentials, target):
            if not call.policy.decide("get_metadef_namespace", credentials, target):
                raise NotFoundError("The resource could not be found.")
            raise ForbiddenError(operation)


def _target(namespace: Namespace) -> Target:
    return {"project_id": namespace.owner, "visibility": namespace.visibility}
