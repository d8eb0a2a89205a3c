"""Every path of the API, asked by every kind of caller: what policy refuses is refused, and nothing is left unasked.

Paths and callers are generated from the routes and from the policy itself, so a new one is looked at as soon as it is
there. Nothing is written: whoever is let through gets as far as the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import pytest

from authn.directory import Step
from authn.keys import DOMAIN_TARGET, PROJECT_TARGET, SYSTEM_ID, SYSTEM_TARGET, USER_ACTOR, Assignment
from authn.policy import RULES, operations
from authn.records import DEFAULT_DOMAIN, User
from authn.rights import SYSTEM, Scope
from authn.snapshot import IdentitySnapshot
from authn.tokens import Proof
from authn.v3 import federated_auth, saml2
from authn.v3.routes import routes
from gateway.rest.policy import Credentials, Policy, Target, Verdict
from store.core.errors import ConflictError
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import ask

ROLES: Final = ("admin", "manager", "member", "reader", "service")
SCOPES: Final = ("system", "domain", "project")

OPEN: Final = {
    # who asks has to show something else than a token, or nothing
    ("GET", "/"),
    ("GET", "/v3"),
    ("POST", "/v3/auth/tokens"),
    ("POST", "/v3/users/{id}/password"),
    ("POST", "/v3/OS-OAUTH1/request_token"),
    ("POST", "/v3/OS-OAUTH1/access_token"),
    ("POST", "/v3/OS-OAUTH2/token"),
    *product(("GET", "POST"), federated_auth.ROUTES),
    *((method, path) for path, methods in saml2.ROUTES.items() for method in methods),
}


NOT_SERVED: Final = {"identity:list_revoke_events"}
"""Operations of the table that no path leads to."""


@dataclass
class Watching(Policy):
    """The policy, and what it was asked."""

    asked: list[tuple[str, Verdict]] = field(default_factory=list)

    def __init__(self) -> None:
        super().__init__(operations(), RULES)
        self.asked = []

    def decide(self, name: str, credentials: Credentials, target: Target) -> Verdict:
        verdict = super().decide(name, credentials, target)
        self.asked.append((name, verdict))
        return verdict


def every_path() -> list[tuple[str, str]]:
    return [(method, path) for path, handlers in routes().items() for method in handlers]


async def token_of(cloud: Cloud, role: str, scope: Scope) -> str:
    """A token of a user who holds just that."""
    administration = cloud.service.administration
    user = await administration.create_user(User(administration.new_id(), f"{role}-{scope.target}"), None)
    await administration.assign(Assignment(user.id, scope.id, cloud.made.role_ids[role], USER_ACTOR, scope.target))
    return cloud.service.tokens.issue(Proof(user, frozenset({"password"})), scope)[0]


def filled(cloud: Cloud, path: str, user_id: str) -> str:
    """The path with ids of what is there, where something is."""
    known = {
        "user_id": user_id,
        "actor_id": user_id,
        "project_id": cloud.made.project_id,
        "target_id": DEFAULT_DOMAIN if "/domains/" in path else cloud.made.project_id,
        "role_id": cloud.made.role_ids["member"],
        "domain_id": DEFAULT_DOMAIN,
    }
    owner = path.split("/")[2] if path.count("/") > 1 else ""
    known["id"] = {
        "users": user_id,
        "projects": cloud.made.project_id,
        "domains": DEFAULT_DOMAIN,
        "roles": cloud.made.role_ids["manager"],
    }.get(owner, "none")
    parts = (known.get(part[1:-1], "none") if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


@pytest.fixture
def watching(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Watching:
    made = Watching()
    cloud.service.policy = made
    return made


@pytest.fixture
def sealed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nothing can be written."""

    async def refuse(make: Callable[[IdentitySnapshot], Step | None]) -> None:
        make(cloud.service.snapshot)
        raise ConflictError("nothing is written in this test")

    return lambda: monkeypatch.setattr(cloud.service.directory, "change", refuse)


async def test_what_policy_refuses_is_refused(cloud: Cloud, watching: Watching, sealed: Callable[[], None]) -> None:
    target = await cloud.user("target", await cloud.project("elsewhere"))
    scopes = {
        "system": SYSTEM,
        "domain": Scope(DOMAIN_TARGET, DEFAULT_DOMAIN),
        "project": Scope(PROJECT_TARGET, cloud.made.project_id),
    }
    assert scopes["system"] == (SYSTEM_TARGET, SYSTEM_ID)
    tokens = {(role, name): await token_of(cloud, role, scopes[name]) for role, name in product(ROLES, SCOPES)}
    sealed()
    allowed: dict[str, set[tuple[str, str]]] = {}
    for (method, path), (who, token) in product(every_path(), tokens.items()):
        if (method, path) in OPEN:
            continue
        watching.asked.clear()
        answer = await ask(cloud, method, filled(cloud, path, target.id), body_for(method), token=token)
        said = f"{who} {method} {path}: {answer.status} {watching.asked}"
        assert answer.status != 500, said
        assert watching.asked or answer.status in (400, 404), said
        if watching.asked and watching.asked[0][1] is False:
            assert answer.status == 403, said
        for name, verdict in watching.asked:
            if verdict:
                allowed.setdefault(name, set()).add(who)
    for name in allowed:
        if name.split(":")[1].startswith(("create_", "update_", "delete_")):
            assert {role for role, _ in allowed[name]} <= {"admin", "manager"}, name


def body_for(method: str) -> Any:
    """Of no kind in particular: every noun is in it, and nothing in any."""
    if method not in ("POST", "PUT", "PATCH"):
        return None
    nouns = [one.name.partition("create_")[2] for one in operations() if "create_" in one.name]
    return {noun: [{}] if noun.endswith("limits") else {} for noun in nouns} | {"config": {}}


async def test_who_shows_nothing_gets_nothing(cloud: Cloud, watching: Watching) -> None:
    for method, path in every_path():
        if (method, path) in OPEN:
            continue
        answer = await ask(cloud, method, filled(cloud, path, "none"), body_for(method))
        assert answer.status == 401, f"{method} {path}: {answer.status}"
        assert not watching.asked


async def test_every_operation_of_the_table_is_asked_somewhere(
    cloud: Cloud, watching: Watching, sealed: Callable[[], None]
) -> None:
    admin = await cloud.admin_token()
    target = await cloud.user("target")
    sealed()
    for method, path in every_path():
        for asked in (path, path + "?trustor_user_id=x", path + "?trustee_user_id=x", path + "?domain_id=default"):
            await ask(cloud, method, filled(cloud, asked, target.id), body_for(method), token=admin)
    everything = {name for name, _ in watching.asked}
    missing = {operation.name for operation in operations()} - everything - NOT_SERVED
    assert not missing - BY_RECORD, " ".join(sorted(missing - BY_RECORD))


BY_RECORD: Final = {
    # these are asked when the body or a record says which operation it is, or whose; each has a test of its own
    "identity:create_credential",
    "identity:create_trust",
    "identity:delete_group",
    "identity:delete_trust",
    "identity:ec2_delete_credential",
    "identity:ec2_get_credential",
    "identity:get_role_for_trust",
    "identity:get_security_compliance_domain_config",
    "identity:get_trust",
    "identity:list_roles_for_trust",
    "identity:create_domain_role",
    "identity:get_domain_role",
    "identity:update_domain_role",
    "identity:delete_domain_role",
    "identity:list_role_assignments_for_tree",
    "identity:validate_token",
    "identity:check_token",
    "identity:revoke_token",
}
