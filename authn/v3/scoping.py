"""What a token is asked for: a project, a domain, the system, a trust, or nothing in particular."""

from __future__ import annotations

from authn.keys import DOMAIN_TARGET, PROJECT_TARGET
from authn.records import Domain
from authn.rights import SYSTEM, UNSCOPED, Rights, Scope
from authn.snapshot import IdentitySnapshot
from authn.tokens import Proof
from gateway.rest.errors import UnauthorizedError
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

KINDS = ("project", "domain", "system", "OS-TRUST:trust")


def asked_scope(snapshot: IdentitySnapshot, auth: Fields, proof: Proof) -> Scope:
    """The scope of a token. Raises UnauthorizedError where it cannot be had, InvalidError where it is not understood.

    A trust says itself what it is for and is looked at before (`OS-TRUST:trust`).
    """
    if proof.access_token is not None:
        if auth.value("scope") is not None:
            raise UnauthorizedError("What a program may act in is not asked for: its key says it.")
        return Scope(PROJECT_TARGET, proof.access_token.project_id)
    scope = auth.value("scope")
    if proof.application_credential is not None:
        if scope is not None:
            raise UnauthorizedError("An application credential says itself what it is for.")
        return Scope(PROJECT_TARGET, proof.application_credential.project_id)
    if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return UNSCOPED
    if scope is None:
        return own_scope(snapshot, proof)
    wanted = auth.object("scope")
    kinds = [kind for kind in KINDS if kind in wanted]
    if len(kinds) != 1:
        raise InvalidError(f"auth.scope: exactly one of {', '.join(KINDS)}")
    match kinds[0]:
        case "project":
            return _project(snapshot, wanted.object("project"))
        case "domain":
            domain = named_domain(snapshot, wanted.object("domain"))
            if domain is None or not domain.enabled:
                raise UnauthorizedError
            return Scope(DOMAIN_TARGET, domain.id)
        case "system":
            if wanted.object("system").value("all") is not True:
                raise InvalidError('auth.scope.system: {"all": true} is the only scope of the system')
            return SYSTEM
    raise UnauthorizedError


def asked_trust(auth: Fields) -> str:
    """The id of the trust that a token is asked by; "" for none. Raises InvalidError."""
    scope = auth.value("scope")
    if not isinstance(scope, dict) or "OS-TRUST:trust" not in scope:
        return ""
    if len([kind for kind in KINDS if kind in scope]) != 1:
        raise InvalidError(f"auth.scope: exactly one of {', '.join(KINDS)}")
    return auth.object("scope").object("OS-TRUST:trust").text("id")


def named_domain(snapshot: IdentitySnapshot, domain: Fields) -> Domain | None:
    """The domain that `{"id": ...}` or `{"name": ...}` means."""
    if "id" in domain:
        return snapshot.domains.get(domain.text("id"))
    return snapshot.domains.named(("", domain.text("name")))


def own_scope(snapshot: IdentitySnapshot, proof: Proof) -> Scope:
    """The user's default project, if they may have it: clients that name no project mean it."""
    if proof.federated is not None:
        return UNSCOPED  # they choose their scope afterwards, as in stock keystone
    project = snapshot.projects.get(proof.user.default_project_id)
    if project is None or not project.enabled or not snapshot.domain_enabled(project.domain_id):
        return UNSCOPED
    scope = Scope(PROJECT_TARGET, project.id)
    return scope if Rights(snapshot).roles(proof.user.id, scope, proof.groups) else UNSCOPED


def _project(snapshot: IdentitySnapshot, wanted: Fields) -> Scope:
    if "id" in wanted:
        project = snapshot.projects.get(wanted.text("id"))
        if project is None and snapshot.domains.get(wanted.text("id")) is not None:
            return Scope(DOMAIN_TARGET, wanted.text("id"))  # a domain acts as a project of the same id
    else:
        domain = named_domain(snapshot, wanted.object("domain"))
        project = snapshot.projects.named((domain.id, wanted.text("name"))) if domain else None
    if project is None or not project.enabled:
        raise UnauthorizedError
    return Scope(PROJECT_TARGET, project.id)
