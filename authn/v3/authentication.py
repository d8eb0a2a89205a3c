"""`/v3/auth/...`: tokens made, shown, given back; and what a token opens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from authn.certificate_binding import thumbprint_text
from authn.factors import unmet_rules
from authn.rights import Rights
from authn.tokens import Held, Proof
from authn.v3.answers import domain_reference, listed
from authn.v3.call import SERVICE_GRACE_S, Call
from authn.v3.catalog import catalog
from authn.v3.domains import domain_row
from authn.v3.elsewhere import vouched
from authn.v3.methods import METHODS
from authn.v3.passwords import expiry_shown
from authn.v3.projects import project_row
from authn.v3.receipts import receipt_answer, with_receipt
from authn.v3.scoping import asked_scope, asked_trust
from authn.v3.trusts import act_by_trust
from gateway.rest import times
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError, UnauthorizedError
from gateway.rest.fields import Fields
from gateway.rest.listing import switched_on
from store.core.errors import NotFoundError


async def create_token(call: Call) -> Response:
    """Proof of who asks, and what for, in; a token out."""
    auth = (await call.body()).object("auth")
    proof = await _vouched(call, with_receipt(call, await _proof(call, auth.object("identity"))))
    required = unmet_rules(proof.user, proof.shown)
    if required is not None:
        return receipt_answer(call, proof, required)
    trust_id = asked_trust(auth)
    if trust_id and proof.application_credential is None and proof.access_token is None:
        proof, scope, expires_s = await act_by_trust(call, trust_id, proof)
    else:
        scope, expires_s = asked_scope(call.snapshot, auth, proof), proof.expires_s
    return token_answer(call, *call.service.tokens.issue(proof, scope, expires_s=expires_s))


def token_answer(call: Call, sealed: str, held: Held) -> Response:
    """The answer to whoever a token was just issued to."""
    response = answer({"token": token_document(call, held)}, 201)
    response.headers["X-Subject-Token"] = sealed
    return response


async def show_token(call: Call) -> Response:
    """What a token stands for: to itself, its user, administrators, readers of the system and services."""
    subject, sealed = await _subject(call, "validate_token")
    response = answer({"token": token_document(call, subject)})
    response.headers["X-Subject-Token"] = sealed
    return response


async def check_token(call: Call) -> Response:
    """200 or 404."""
    _, sealed = await _subject(call, "check_token")
    return Response(headers={"X-Subject-Token": sealed})


async def delete_token(call: Call) -> Response:
    """The token is given back: it stands for nothing from now on."""
    subject, _ = await _subject(call, "revoke_token")
    await call.service.tokens.revoke(subject.token)
    return nothing()


async def show_catalog(call: Call) -> Response:
    """The catalogue of the scope that the token is for."""
    held = await call.caller()
    await call.allow("identity:get_auth_catalog")
    if not held.roles:
        raise ForbiddenError("identity:get_auth_catalog")
    rows = catalog(call.snapshot, call.origin, held.project.id if held.project else "")
    return answer({"catalog": rows, "links": {"self": f"{call.base}/auth/catalog"}})


async def list_own_projects(call: Call) -> Response:
    """The projects that the caller can have a token for."""
    held = await call.caller()
    await call.allow("identity:get_auth_projects")
    projects = Rights(call.snapshot).projects(held.user.id, held.token.groups)
    return listed(call, "projects", [project_row(call, project) for project in projects])


async def list_own_domains(call: Call) -> Response:
    """The domains that the caller can have a token for."""
    held = await call.caller()
    await call.allow("identity:get_auth_domains")
    domains = Rights(call.snapshot).domains(held.user.id, held.token.groups)
    return listed(call, "domains", [domain_row(call, domain) for domain in domains])


async def show_own_system(call: Call) -> Response:
    """Whether the caller can have a token for the system."""
    held = await call.caller()
    await call.allow("identity:get_auth_system")
    holds = bool(Rights(call.snapshot).system_roles(held.user.id, held.token.groups))
    return answer({"system": [{"all": True}] if holds else [], "links": {"self": f"{call.base}/auth/system"}})


ROUTES: Final[Routes[Call]] = {
    "/v3/auth/tokens": {"POST": create_token, "GET": show_token, "HEAD": check_token, "DELETE": delete_token},
    "/v3/auth/catalog": {"GET": show_catalog},
    "/v3/auth/projects": {"GET": list_own_projects},
    "/v3/auth/domains": {"GET": list_own_domains},
    "/v3/auth/system": {"GET": show_own_system},
    "/v3/OS-FEDERATION/projects": {"GET": list_own_projects},
    "/v3/OS-FEDERATION/domains": {"GET": list_own_domains},
}


async def _proof(call: Call, identity: Fields) -> Proof:
    """What all the methods that are named show together. Raises UnauthorizedError where that is not one user."""
    methods = list(dict.fromkeys(identity.texts("methods")))
    if not methods or not METHODS.keys() >= set(methods):
        raise UnauthorizedError("Attempted to authenticate with an unsupported method.")
    proofs = [await METHODS[method](call, identity.object(method)) for method in methods]
    first = proofs[0]
    if any(proof.user.id != first.user.id for proof in proofs):
        raise UnauthorizedError
    if sum(bool(proof.application_credential or proof.access_token) for proof in proofs) > 1:
        # Each lends some roles in one project: together they would lend the one's roles in the other's.
        raise UnauthorizedError
    return Proof(
        first.user,
        frozenset().union(*(proof.methods for proof in proofs)),
        parent=next((proof.parent for proof in proofs if proof.parent), None),
        application_credential=next((one.application_credential for one in proofs if one.application_credential), None),
        access_token=next((proof.access_token for proof in proofs if proof.access_token), None),
        federated=next((proof.federated for proof in proofs if proof.federated), None),
        directory_groups=next((proof.directory_groups for proof in proofs if proof.directory_groups), ()),
    )


async def _vouched(call: Call, proof: Proof) -> Proof:
    """With the groups that the user's directory says they are in, whatever they have shown. A token that was shown
    says itself."""
    return proof if proof.parent is not None else replace(proof, directory_groups=await vouched(call, proof.user))


async def _subject(call: Call, operation: str) -> tuple[Held, str]:
    """The token that the request is about. Who may not look at any learns nothing of one that does not hold."""
    sealed = call.request.headers.get("x-subject-token", "")
    await call.caller()
    grace_s = SERVICE_GRACE_S if switched_on(call, "allow_expired") else 0
    subject = await call.service.tokens.read(sealed, None, expired_s=grace_s)
    if subject is None or not (subject.allowed is None or _minds_rules(call)):
        # To whoever may look at some token it is not there; all may look at their own.
        raise NotFoundError("Could not find token.")
    await call.allow(f"identity:{operation}", {"target.token.user_id": subject.user.id})
    return subject, sealed


def _minds_rules(call: Call) -> bool:
    """Whether whoever asks keeps to access rules. To others a token that has some would look like one that may all."""
    try:
        return float(call.request.headers.get("openstack-identity-access-rules", "0")) >= 1
    except ValueError:
        return False


def token_document(call: Call, held: Held) -> dict[str, Any]:
    """What a token says, as clients see it."""
    token, snapshot = held.token, call.snapshot
    document: dict[str, Any] = {
        "methods": sorted(token.methods),
        "user": {
            "id": held.user.id,
            "name": held.user.name,
            "domain": domain_reference(snapshot, held.user.domain_id),
            "password_expires_at": expiry_shown(held.user),
        },
        "audit_ids": list(token.audit_ids),
        "issued_at": times.shown(token.issued_s),
        "expires_at": times.shown(token.expires_s),
    }
    if token.bound_to:
        document["oauth2_credential"] = {"x5t#S256": thumbprint_text(token.bound_to)}
    if token.federated is not None:
        document["user"]["OS-FEDERATION"] = {
            "identity_provider": {"id": token.federated.provider_id},
            "protocol": {"id": token.federated.protocol_id},
            "groups": [{"id": id_} for id_ in token.federated.group_ids],
        }
    if held.trust is not None:
        document["OS-TRUST:trust"] = {
            "id": held.trust.id,
            "impersonation": held.trust.impersonation,
            "trustor_user": {"id": held.trust.trustor_user_id},
            "trustee_user": {"id": held.trust.trustee_user_id},
        }
    if token.access_token_id:
        access = snapshot.access_tokens.require(token.access_token_id)
        document["OS-OAUTH1"] = {"access_token_id": access.id, "consumer_id": access.consumer_id}
    if held.application_credential is not None:
        document["application_credential"] = {
            "id": held.application_credential.id,
            "name": held.application_credential.name,
            "restricted": not held.application_credential.unrestricted,
        }
        if held.application_credential.access_rule_ids:
            rules = (snapshot.access_rules.get(id_) for id_ in held.application_credential.access_rule_ids)
            document["application_credential"]["access_rules"] = [
                {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}
                for rule in rules
                if rule is not None
            ]
    if held.project is not None:
        document["project"] = {
            "id": held.project.id,
            "name": held.project.name,
            "domain": domain_reference(snapshot, held.project.domain_id),
        }
        document["is_domain"] = False
    if held.domain is not None:
        document["domain"] = domain_reference(snapshot, held.domain.id)
    if held.system:
        document["system"] = {"all": True}
    if held.roles:
        document["roles"] = [{"id": role.id, "name": role.name} for role in held.roles]
        providers = [provider for provider in snapshot.service_providers if provider.enabled]
        if providers:
            document["service_providers"] = [
                {"id": one.id, "auth_url": one.auth_url, "sp_url": one.sp_url}
                for one in sorted(providers, key=lambda one: one.id)
            ]
        if "nocatalog" not in call.query:
            document["catalog"] = catalog(snapshot, call.origin, held.project.id if held.project else "")
    return document
