"""Requests that nobody means well, at every route of the Identity API: `python -m tests.authn.hostile_routes`.

Bodies begin as something plausible for any resource and are spoilt in places; ids are of what is there, or of nothing;
queries are drawn from what clients ask and from noise. Three callers ask: an administrator of the system, the manager
of a domain, a member of a project. Whatever they change is there for those who come after.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import trio

from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.keys import DOMAIN_TARGET, PROJECT_TARGET, SYSTEM_ID, SYSTEM_TARGET, USER_ACTOR, Assignment
from authn.records import DEFAULT_DOMAIN, User
from authn.rights import SYSTEM, Scope
from authn.service import IdentityConfig, IdentityService
from authn.tokens import Proof
from authn.v3.routes import routes
from store.registry import memory_registry
from tests.authn.conftest import PASSWORD, Cloud
from tests.authn.test_v3 import ask
from tests.gateway_rest import hostile
from tests.saml.conftest import made_files
from tests.twins.clock import ManualClock

NOISE: Final = (*hostile.NOISE, {"name": "admin", "domain": {"id": "default"}})

PLAUSIBLE: Final[dict[str, Any]] = {
    "name": "new",
    "description": "d",
    "enabled": True,
    "domain_id": "default",
    "parent_id": None,
    "is_domain": False,
    "password": PASSWORD,
    "original_password": PASSWORD,
    "default_project_id": None,
    "tags": ["t"],
    "options": {"immutable": False},
    "type": "totp",
    "blob": '{"access": "a", "secret": "b"}',
    "url": "http://a/%(project_id)s",
    "interface": "public",
    "region": "RegionTwo",
    "region_id": "RegionOne",
    "parent_region_id": None,
    "service_id": "none",
    "filters": {"interface": "public"},
    "roles": [{"id": "none"}],
    "impersonation": True,
    "trustor_user_id": "none",
    "trustee_user_id": "none",
    "project_id": "none",
    "expires_at": "2099-01-01T00:00:00.000000Z",
    "remaining_uses": 3,
    "unrestricted": False,
    "access_rules": [{"service": "identity", "method": "GET", "path": "/v3/users"}],
    "remote_ids": ["r"],
    "mapping_id": "none",
    "rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "U"}]}],
    "auth_url": "http://a/b",
    "sp_url": "http://a/c",
    "default_limit": 10,
    "resource_limit": 5,
    "resource_name": "things",
    "identity": {"methods": ["password"], "password": {"user": {"id": "none", "password": PASSWORD}}},
    "scope": {"project": {"id": "none"}},
    "driver": "sql",
    "ldap": {"url": "ldap://127.0.0.1:1", "user_tree_dn": "dc=a"},
    "federated": [{"idp_id": "i", "protocols": [{"protocol_id": "p", "unique_id": "u"}]}],
    "verb": "GET",
    "signature": "s",
    "access": "a",
    "tenant_id": "none",
}
NOUNS: Final = (
    *("user", "group", "project", "domain", "role", "service", "endpoint", "region", "credential", "trust"),
    *("policy", "limit", "limits", "registered_limit", "registered_limits", "endpoint_group", "consumer", "auth"),
    *("application_credential", "identity_provider", "mapping", "protocol", "service_provider", "config"),
    *("credentials", "roles", "tags"),
)
QUERIES: Final = (
    *("", "", "", "limit=1", "limit=0", "limit=x", "marker=zz", "name=admin", "name__contains=a", "enabled=maybe"),
    *("domain_id=default", "effective", "include_names", "include_subtree&scope.project.id=none", "nope=1"),
    *("sort_key=name&sort_dir=desc", "fields=id", "subtree_as_ids", "parents_as_list", "tags=a,b", "%ff=%00"),
    *("scope.system=all", "user.id=none&group.id=none", "is_domain=1", "origin=http://evil", "allow_expired=1"),
)


_WORDS: Final = {
    "service_id": "services",
    "trustor_user_id": "users",
    "trustee_user_id": "users",
    "project_id": "projects",
    "tenant_id": "projects",
    "mapping_id": "mappings",
}


class Attack:
    """Draws requests for one cloud."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # a test's seed
        self._paths = [(method, path) for path, handlers in routes().items() for method in handlers]
        self.ids: dict[str, list[str]] = {"": ["none", DEFAULT_DOMAIN, "RegionOne", "admin", "a" * 64]}
        """By the word that stands before an id in paths."""

    def request(self) -> tuple[str, str, Any]:
        """Method, path with query, body."""
        method, path = self._random.choice(self._paths)
        parts = path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                parts[at] = quote(self._id(parts[at - 1]), safe="")
        query = self._random.choice(QUERIES)
        return method, "/".join(parts) + (f"?{query}" if query else ""), self._body()

    def _id(self, word: str = "") -> str:
        known = self.ids.get(word) if self._random.random() < 0.8 else None
        return self._random.choice(known or self._random.choice(list(self.ids.values())))

    def _body(self) -> Any:
        chosen = self._random
        if chosen.random() < 0.05:
            return chosen.choice(NOISE)
        least = chosen.choice((0, len(PLAUSIBLE) - 8))
        names = chosen.sample(sorted(PLAUSIBLE), chosen.randint(least, len(PLAUSIBLE)))
        spoilt = chosen.choice((0.0, 0.02, 0.2))
        inner: Any = {name: copy.deepcopy(PLAUSIBLE[name]) for name in names}
        for name in names:
            if PLAUSIBLE[name] == "none":
                inner[name] = self._id(_WORDS.get(name, ""))
            if chosen.random() < spoilt:
                inner[name] = chosen.choice(NOISE)
        if "name" in inner and inner["name"] == "new":
            inner["name"] = f"new{chosen.randint(0, 50)}"
        wrapped = [inner] if chosen.random() < 0.1 else inner
        return dict.fromkeys(NOUNS, wrapped)

    def learn(self, answer: bytes) -> None:
        """Ids that were told are asked for later."""
        try:
            document = json.loads(answer)
        except ValueError:
            return
        for noun, held in document.items() if isinstance(document, dict) else ():
            if isinstance(held, dict) and isinstance(held.get("id"), str):
                known = self.ids.setdefault("policies" if noun == "policy" else f"{noun}s", [])
                known.append(held["id"])
                del known[:-30]


async def attack(seed: int, requests: int, every: int = 10_000) -> Counter[int]:
    """How often which status was answered. Raises AssertionError for one of 500 and more that is none of 503."""
    clock = ManualClock()
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    with tempfile.TemporaryDirectory() as folder:
        saml = made_files(Path(folder), "idp").config()
    config = IdentityConfig(hash_cost=CHEAP, token_seconds=10**9, saml=saml)
    service = IdentityService(registry, config, clock=clock)
    statuses: Counter[int] = Counter()
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: service.run(task_status=task_status))
        cloud = Cloud(registry, clock, service, made)
        drawn, began = Attack(seed), time.monotonic()
        for number in range(requests):
            if number % 500 == 0:
                tokens = await _tokens(cloud, number)
            method, path, body = drawn.request()
            answer = await ask(
                cloud, method, path, body, token=tokens[number % len(tokens)], client=f"192.0.2.{number % 250}"
            )
            statuses[answer.status] += 1
            assert answer.status < 500 or answer.status == 503, f"seed {seed}: {method} {path} {body}: {answer.text!r}"
            drawn.learn(answer.text)
            if (number + 1) % every == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"{number + 1} requests, {time.monotonic() - began:.0f} s, peak {peak} MiB, {dict(statuses)}")
        nursery.cancel_scope.cancel()
    return statuses


async def _tokens(cloud: Cloud, number: int) -> list[str]:
    """Of the three callers, who may have been deleted meanwhile; so they are made anew."""
    administration, tokens = cloud.service.administration, []
    project = await cloud.project(f"asked{number}")
    for role, scope in (
        ("admin", SYSTEM),
        ("manager", Scope(DOMAIN_TARGET, DEFAULT_DOMAIN)),
        ("member", Scope(PROJECT_TARGET, project.id)),
    ):
        found = cloud.service.snapshot.roles.named(("", role))
        if found is None or not cloud.service.snapshot.domain_enabled(DEFAULT_DOMAIN):
            tokens.append("")
            continue
        user = await administration.create_user(User(administration.new_id(), f"{role}{number}"), PASSWORD)
        await administration.assign(Assignment(user.id, scope.id, found.id, USER_ACTOR, scope.target))
        tokens.append(cloud.service.tokens.issue(Proof(user, frozenset({"password"})), scope)[0])
    assert (SYSTEM.target, SYSTEM.id) == (SYSTEM_TARGET, SYSTEM_ID)
    return [tokens[0], *tokens]


if __name__ == "__main__":
    hostile.command(__doc__, attack)
