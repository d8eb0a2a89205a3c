"""Bodies and queries that nobody means well: whatever comes, there is an answer, and it is not a 500."""

from __future__ import annotations

import json
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.service import IdentityConfig, IdentityService
from store.registry import memory_registry
from tests.authn.conftest import PASSWORD, House
from tests.authn.test_v3 import ADMIN_SCOPE, ask, password_auth
from tests.twins.clock import ManualClock

text = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["admin", "default", "Default", "member", PASSWORD, "unscoped", "\ud800", "x" * 300]
)
scalar = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of the fields, each as it should be or as it should not, and maybe others."""
    return st.builds(
        lambda known, others: {**others, **known},
        st.fixed_dictionaries({}, optional={name: strategy | value for name, strategy in fields.items()}),
        st.dictionaries(text, value, max_size=2),
    )


reference = shaped(id=text, name=text)
wanted = shaped(id=text, name=text, domain=reference)
login = shaped(
    auth=shaped(
        identity=shaped(
            methods=st.lists(st.sampled_from(["password", "token"]) | value, max_size=3),
            password=shaped(user=shaped(id=text, name=text, domain=reference, password=text)),
            token=shaped(id=text),
        ),
        scope=shaped(project=wanted, domain=reference, system=value, unscoped=value),
    )
)
record = shaped(
    name=text,
    description=text,
    enabled=st.booleans(),
    domain_id=text,
    parent_id=text,
    is_domain=st.booleans(),
    password=text,
    original_password=text,
    default_project_id=text,
    tags=st.lists(text, max_size=3),
    options=value,
)
bodies = login | shaped(project=record) | shaped(user=record) | value

requests = st.tuples(
    st.sampled_from(["POST", "PATCH", "PUT", "GET", "HEAD", "DELETE", "OPTIONS"]),
    st.sampled_from(
        [
            "/v3/auth/tokens",
            "/v3/projects",
            "/v3/users",
            "/v3/projects/{project}",
            "/v3/users/{user}",
            "/v3/users/{user}/password",
            "/v3/role_assignments",
            "/v3/projects/{project}/users/{user}/roles/{text}",
            "/v3/users/{text}",
            "/v3/{text}",
            "/v3/auth/{text}",
        ]
    ),
    bodies.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=50),
    st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=30)
    | st.sampled_from(["limit=0", "limit=1", "limit=-1", "marker=%00", "name__x=1", "enabled=maybe", "name=%ff"]),
    text,
)


@given(st.lists(requests, min_size=1, max_size=10))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_request_has_an_answer_below_500(sequence: list[tuple[str, str, bytes, str, str]]) -> None:
    async def main() -> None:
        clock = ManualClock()
        registry = memory_registry(clock)
        made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
        service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock)
        await service.directory.load()
        house = House(registry, clock, service, made)
        login = await ask(house, "POST", "/v3/auth/tokens", password_auth("admin", scope=ADMIN_SCOPE))
        token = login.headers["x-subject-token"]
        victim = await house.user("ann", await house.project("quarry"))
        project = next(iter(service.view.projects_of(victim.id)))
        for method, template, body, query, word in sequence:
            path = template.format(project=project.id, user=victim.id, text=word.replace("?", ""))
            answer = await ask(house, method, f"{path}?{query}", token=token, raw=body)
            assert answer.status < 500

    trio.run(main)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_a_token(raw: bytes) -> None:
    async def main() -> None:
        registry = memory_registry(ManualClock())
        await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
        service = IdentityService(registry, IdentityConfig(hash_cost=CHEAP))
        await service.directory.load()
        assert await service.identify(raw.decode("latin-1")) is None

    trio.run(main)
