"""Bodies and queries that nobody means well: whatever comes, there is an answer, and it is not a 500."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authn.bootstrap import bootstrap
from authn.ec2 import id_of
from authn.hashing import CHEAP, PasswordHasher
from authn.rights import Rights
from authn.service import IdentityConfig, IdentityService
from authn.token_format import unseal
from authn.token_keys import TokenKeys
from store.registry import memory_registry
from tests.authn.conftest import PASSWORD, Cloud
from tests.authn.test_v3 import ADMIN_SCOPE, ask, password_auth
from tests.twins.clock import ManualClock

text = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["admin", "default", "Default", "member", PASSWORD, "unscoped", "\ud800", "x" * 300]
)
scalar = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)


RECORD = {
    "name": "new",
    "description": "d",
    "enabled": True,
    "domain_id": "default",
    "parent_id": "default",
    "is_domain": False,
    "password": PASSWORD,
    "original_password": PASSWORD,
    "default_project_id": "",
    "tags": ["t"],
    "options": {},
}
LOGIN = password_auth("admin", scope=ADMIN_SCOPE)
LOGIN["auth"]["identity"]["token"] = {"id": "gAAAA"}
TOTP = {"auth": {"identity": {"methods": ["totp"], "totp": {"user": {"id": "ann", "passcode": "123456"}}}}}
LENT = {
    "auth": {
        "identity": {
            "methods": ["application_credential"],
            "application_credential": {
                "name": "n",
                "secret": "s",
                "user": {"name": "ann", "domain": {"id": "default"}},
            },
        }
    }
}
CREDENTIAL = {
    "credential": {
        "type": "ec2",
        "blob": '{"access": "key", "secret": "hush"}',
        "user_id": "ann",
        "project_id": "quarry",
    }
}
EC2 = {
    "credentials": {
        "access": "key",
        "signature": "x",
        "host": "h:1",
        "verb": "GET",
        "path": "/",
        "params": {"SignatureVersion": "2", "Timestamp": "2026-01-01T00:00:00Z", "a": 1},
        "headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host", "X-Amz-Date": "b"},
        "body_hash": "x",
        "token": "QVdTNC1ITUFDLVNIQTI1Ng==",
    }
}
EC2_4 = {"credentials": {**EC2["credentials"], "params": {}}}
APPLICATION_CREDENTIAL = {
    "application_credential": {
        "name": "backup",
        "secret": "s",
        "expires_at": "2040-01-01T00:00:00",
        "unrestricted": True,
        "roles": [{"name": "member"}],
        "access_rules": [{"service": "identity", "method": "GET", "path": "/v3/*"}],
    }
}
PROJECT, USER = {"project": RECORD}, {"user": RECORD}
GONE = object()
SEALER = TokenKeys({0: bytes(32), 1: bytes(range(32))}).sealer()


def places(body: Any) -> list[tuple[Any, Any]]:
    """All places in a body where something else may be put: the container and the key."""
    found: list[tuple[Any, Any]] = []
    waiting = [body]
    for held in waiting:
        entries = list(held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ())
        found += [(held, key) for key, _ in entries]
        waiting += [inner for _, inner in entries]
    return found


def spoilt(right: Any, changes: list[tuple[int, Any]]) -> Any:
    """A body that was right, after some changes."""
    body = copy.deepcopy(right)
    for where, what in changes:
        found = places(body)
        if not found:
            break
        held, key = found[where % len(found)]
        if what is GONE:
            del held[key]
        else:
            held[key] = what
    return body


AIMED = [
    ("POST", "/v3/auth/tokens", LOGIN),
    ("POST", "/v3/projects", PROJECT),
    ("PATCH", "/v3/projects/{project}", PROJECT),
    ("POST", "/v3/users", USER),
    ("PATCH", "/v3/users/{user}", USER),
    ("POST", "/v3/users/{user}/password", USER),
    ("GET", "/v3/projects", {}),
    ("GET", "/v3/users", {}),
    ("GET", "/v3/role_assignments", {}),
    ("PUT", "/v3/projects/{project}/users/{user}/roles/{text}", {}),
    ("DELETE", "/v3/projects/{project}/users/{user}/roles/{text}", {}),
    ("DELETE", "/v3/users/{user}", {}),
    ("POST", "/v3/auth/tokens", TOTP),
    ("POST", "/v3/auth/tokens", LENT),
    ("POST", "/v3/credentials", CREDENTIAL),
    ("PATCH", f"/v3/credentials/{id_of('key')}", CREDENTIAL),
    ("GET", "/v3/credentials", {}),
    ("POST", "/v3/users/{user}/credentials/OS-EC2", {"tenant_id": "x"}),
    ("GET", "/v3/users/{user}/credentials/OS-EC2/{text}", {}),
    ("POST", "/v3/ec2tokens", EC2),
    ("POST", "/v3/ec2tokens", EC2_4),
    ("POST", "/v3/s3tokens", EC2),
    ("POST", "/v3/users/{admin}/application_credentials", APPLICATION_CREDENTIAL),
    ("GET", "/v3/users/{admin}/application_credentials", {}),
]
METHODS = ["POST", "PATCH", "PUT", "GET", "HEAD", "DELETE", "OPTIONS"]
targets = st.sampled_from(AIMED) | st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from(["/v3/users/{text}", "/v3/projects/{text}", "/v3/{text}", "/v3/auth/{text}", "{text}"]),
    st.just(LOGIN),
)
changes = st.lists(st.tuples(st.integers(0, 100), st.just(GONE) | value), max_size=2)
queries = st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=30) | st.sampled_from(
    ["", "limit=0", "limit=1", "limit=-1", "limit=1&x=%ff", "marker=%00", "name__x=1", "enabled=maybe", "name=%ff"]
)
requests = st.tuples(targets, changes, st.none() | st.binary(max_size=50), queries, text)


@given(st.lists(requests, min_size=1, max_size=10))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_request_has_an_answer_below_500(sequence: list[Any]) -> None:
    async def main() -> None:
        clock = ManualClock()
        registry = memory_registry(clock)
        made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
        service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
        await service.directory.load()
        cloud = Cloud(registry, clock, service, made)
        login = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin", scope=ADMIN_SCOPE))
        token = login.headers["x-subject-token"]
        body = {"credential": {**CREDENTIAL["credential"], "user_id": made.user_id, "project_id": made.project_id}}
        assert (await ask(cloud, "POST", "/v3/credentials", body, token=token)).status == 201
        victim = await cloud.user("ann", await cloud.project("quarry"))
        project = Rights(service.snapshot).projects(victim.id)[0]
        for (method, template, right), changed, raw, query, word in sequence:
            sent = json.dumps(spoilt(right, changed)).encode() if raw is None else raw
            path = template.format(admin=made.user_id, project=project.id, user=victim.id, text=word.replace("?", ""))
            answer = await ask(cloud, method, f"{path}?{query}", token=token, raw=sent)
            assert answer.status < 500

    trio.run(main)


@given(
    st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")) | text | st.from_regex("gAAAA[A-Za-z0-9_-]{60,200}")
)
@settings(max_examples=200, deadline=None)
def test_no_text_is_a_token(sealed: str) -> None:
    assert unseal(sealed, SEALER) is None


@pytest.mark.parametrize("value", [b"1e999", b"[" * 900 + b"]" * 900], ids=["infinite", "deep"])
async def test_nothing_is_stored_that_cannot_be_told_again(cloud: Cloud, value: bytes) -> None:
    ann = await cloud.user("ann", await cloud.project("quarry"))
    token = await cloud.token("ann", cloud.service.snapshot.projects.named(("default", "quarry")))
    for told, status in ((b"1", 201), (value, 400)):
        raw = b'{"credential": {"user_id": "%s", "type": "note", "blob": "b", "foo": %s}}' % (ann.id.encode(), told)
        assert (await ask(cloud, "POST", "/v3/credentials", raw=raw, token=token)).status == status
