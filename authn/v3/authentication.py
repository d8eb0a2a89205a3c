"""`/v3/auth/...`: tokens made, shown, given back; and what a token opens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from authn.errors import ForbiddenError, UnauthorizedError
from authn.records import Domain, Project, User
from authn.snapshot import IdentitySnapshot
from authn.token_format import METHODS
from authn.tokens import Held
from authn.v3.answers import answer, nothing
from authn.v3.call import Call
from authn.v3.catalog import catalog
from authn.v3.fields import Fields
from authn.v3.listing import whole
from authn.v3.projects import project_row
from store.core.errors import InvalidError, NotFoundError


async def create_token(call: Call) -> Response:
    """Proof of who asks, and what for, in; a token out."""
    auth = (await call.body()).object("auth")
    identity = auth.object("identity")
    methods = identity.texts("methods")
    if not methods or not METHODS.keys() >= set(methods):
        raise UnauthorizedError("Attempted to authenticate with an unsupported method.")
    users, parent = [], None
    if "token" in methods:
        parent = await _by_token(call, identity.object("token"))
        users.append(parent.user)
    if "password" in methods:
        users.append(await _by_password(call, identity.object("password").object("user")))
    user = users[-1]
    if any(other.id != user.id for other in users):
        raise UnauthorizedError
    project = _scope(call.snapshot, auth, user)
    method = "password" if "password" in methods else "token"
    sealed, held = call.service.tokens.issue(user, project, method, parent.token if parent else None)
    response = answer({"token": _document(call, held)}, 201)
    response.headers["X-Subject-Token"] = sealed
    return response


async def show_token(call: Call) -> Response:
    """What a token stands for: to itself, its user, administrators and services."""
    subject, sealed = await _subject(call, "validate_token", service=True)
    response = answer({"token": _document(call, subject)})
    response.headers["X-Subject-Token"] = sealed
    return response


async def delete_token(call: Call) -> Response:
    """The token is given back: it stands for nothing from now on."""
    subject, _ = await _subject(call, "revoke_token", service=False)
    await call.service.tokens.revoke(subject.token)
    return nothing()


async def show_catalog(call: Call) -> Response:
    """The catalogue of the project that the token is for."""
    held = await call.caller()
    if held.project is None:
        raise ForbiddenError("identity:get_auth_catalog")
    rows = catalog(call.snapshot, call.origin, held.project.id)
    return answer({"catalog": rows, "links": {"self": f"{call.base}/auth/catalog"}})


async def list_own_projects(call: Call) -> Response:
    """The projects that the caller can have a token for."""
    held = await call.caller()
    projects = sorted(call.snapshot.projects_of(held.user.id), key=lambda project: project.name)
    return whole(call, "projects", [project_row(call, project) for project in projects])


async def _subject(call: Call, action: str, *, service: bool) -> tuple[Held, str]:
    sealed = call.request.headers.get("x-subject-token", "")
    await call.caller()
    subject = await call.service.tokens.read(sealed)
    # Who may not look learns nothing: a stranger to a token that holds is refused before one that does not.
    await call.allow(action, user_id=subject.user.id if subject else "", service=service)
    if subject is None:
        raise NotFoundError("Could not find token.")
    return subject, sealed


async def _by_token(call: Call, token: Fields) -> Held:
    held = await call.service.tokens.read(token.text("id"))
    if held is None:
        raise UnauthorizedError
    return held


async def _by_password(call: Call, user: Fields) -> User:
    password = user.text("password")
    if "id" in user:
        return await call.service.login.by_id(user.text("id"), password, address=call.address)
    domain = _domain(call.snapshot, user.object("domain"))
    name, domain_id = user.text("name"), domain.id if domain else ""
    return await call.service.login.by_name(name, password, domain_id, address=call.address)


def _scope(snapshot: IdentitySnapshot, auth: Fields, user: User) -> Project | None:
    """The project that is asked for; None for no scope. Raises UnauthorizedError where it cannot be had."""
    if auth.value("scope") == "unscoped" or (
        isinstance(auth.value("scope"), dict) and "unscoped" in auth.value("scope")
    ):
        return None
    if "scope" not in auth:
        # The user's own default, if they may have it: clients that name no project mean it.
        project = snapshot.projects.get(user.default_project_id)
        return project if project in snapshot.projects_of(user.id) else None
    scope = auth.object("scope")
    kinds = [kind for kind in ("project", "domain", "system", "OS-TRUST:trust") if kind in scope]
    if len(kinds) != 1:
        raise InvalidError("auth.scope: exactly one of project, domain, system, OS-TRUST:trust")
    if kinds != ["project"]:
        raise UnauthorizedError  # roles are held in projects only
    wanted = scope.object("project")
    if "id" in wanted:
        project = snapshot.projects.get(wanted.text("id"))
    else:
        name, domain = wanted.text("name"), _domain(snapshot, wanted.object("domain"))
        project = snapshot.projects.named((domain.id, name)) if domain else None
    if project is None or not project.enabled:
        raise UnauthorizedError
    return project


def _domain(snapshot: IdentitySnapshot, domain: Fields) -> Domain | None:
    return (
        snapshot.domains.get(domain.text("id")) if "id" in domain else snapshot.domains.named(("", domain.text("name")))
    )


def _document(call: Call, held: Held) -> dict[str, Any]:
    token, snapshot = held.token, call.snapshot
    document: dict[str, Any] = {
        "methods": sorted(token.methods),
        "user": {
            "id": held.user.id,
            "name": held.user.name,
            "domain": _domain_reference(snapshot, held.user.domain_id),
            "password_expires_at": None,
        },
        "audit_ids": list(token.audit_ids),
        "issued_at": _time(token.issued_s),
        "expires_at": _time(token.expires_s),
    }
    if held.project is not None:
        document["project"] = {
            "id": held.project.id,
            "name": held.project.name,
            "domain": _domain_reference(snapshot, held.project.domain_id),
        }
        document["is_domain"] = False
        document["roles"] = [{"id": role.id, "name": role.name} for role in held.roles]
        if "nocatalog" not in call.request.query_params:
            document["catalog"] = catalog(snapshot, call.origin, held.project.id)
    return document


def _domain_reference(snapshot: IdentitySnapshot, domain_id: str) -> dict[str, str]:
    return {"id": domain_id, "name": snapshot.domains.require(domain_id).name}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
