"""Rules for passwords: what an operator may write down, and what then happens to users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from authn.bootstrap import bootstrap
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP, PasswordHasher
from authn.operator import open_operator
from authn.password_pattern import parse_pattern
from authn.password_rules import DAY_S, PasswordRules, parse_password_rules
from authn.records import User
from authn.service import IdentityConfig, IdentityService
from authn.v1 import V1AuthApp
from drystone.identity_file import read_identity_file
from store.core.errors import InvalidError
from store.registry import memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud
from tests.authn.test_v1 import ask as ask_v1
from tests.authn.test_v1 import credentials
from tests.authn.test_v3 import ADMIN_SCOPE, Answer, ask, password_auth
from tests.twins.clock import DAWN_US, ManualClock

DAWN_S = DAWN_US // 1_000_000


async def started(nursery: trio.Nursery, **options: Any) -> Cloud:
    """A cloud whose operator wants this of passwords; the administrator was there before."""
    clock = ManualClock()
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP, password_rules=parse_password_rules(options))
    service = IdentityService(registry, config, clock=clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    return Cloud(registry, clock, service, made)


async def log_in(cloud: Cloud, password: str = PASSWORD, name: str = "ann") -> Answer:
    return await ask(cloud, "POST", "/v3/auth/tokens", password_auth(name, password))


async def admin(cloud: Cloud) -> str:
    answer = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin", scope=ADMIN_SCOPE))
    return answer.headers["x-subject-token"]


async def add(cloud: Cloud, **fields: Any) -> Answer:
    body = {"user": {"name": "ann", "password": PASSWORD, **fields}}
    return await ask(cloud, "POST", "/v3/users", body, token=await admin(cloud))


async def patch(cloud: Cloud, user_id: str, **fields: Any) -> Answer:
    return await ask(cloud, "PATCH", f"/v3/users/{user_id}", {"user": fields}, token=await admin(cloud))


async def change(cloud: Cloud, user_id: str, old: str, new: str) -> Answer:
    body = {"user": {"original_password": old, "password": new}}
    return await ask(cloud, "POST", f"/v3/users/{user_id}/password", body)


# -- what is written down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "a table"),
        ({"password_expiry": 1}, "password_expiry: not known"),
        ({"pattern": "x"}, "pattern: not known"),
        ({"disable_user_account_days_inactive": 0}, "days_inactive: a whole number from 1"),
        ({"password_expires_days": 0}, "password_expires_days: a whole number from 1"),
        ({"password_expires_days": True}, "password_expires_days"),
        ({"lockout_duration": "1800"}, "lockout_duration"),
        ({"lockout_failure_attempts": 0}, "lockout_failure_attempts"),
        ({"unique_last_password_count": -1}, "unique_last_password_count"),
        ({"unique_last_password_count": 65}, "from 0 to 64"),
        ({"change_password_upon_first_use": 1}, "true or false"),
        ({"password_regex_description": ""}, "password_regex_description"),
        ({"password_regex": "(a"}, "password_regex: is no regular expression"),
        ({"minimum_password_age": 9, "password_expires_days": 9}, "less than password_expires_days"),
    ],
)
def test_what_is_wrong_is_named(value: Any, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        parse_password_rules(value)


def test_the_file_has_them_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    path.write_text("[security_compliance]\nlockout_failure_attempts = 3\n")
    rules = read_identity_file(str(path)).password_rules
    assert (rules.lockout_failure_attempts, rules.lockout_duration) == (3, 1800)
    path.write_text("[security_compliance]\nlockout = 3\n")
    with pytest.raises(InvalidError, match=r"identity.toml: security_compliance.lockout"):
        read_identity_file(str(path))
    assert read_identity_file(None).password_rules == PasswordRules() == parse_password_rules({})


@pytest.mark.parametrize(
    ("pattern", "fit", "unfit"),
    [
        (r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$", ("abcdef7", "7abcdef"), ("abcdefg", "1234567", "abc7")),
        (r"(?=.*[)|\]])[a-z]*", ("a)", "|", "a]"), ("ab",)),
        (r"(?=.*[]x)])a", ("a]", "a)", "ax"), ("ay",)),
        (r"(?=.*[^]x)])y", ("ya",), ()),
        (r"^(?!.*(?:pass|word)).{4,}", ("quarry",), ("a password", "abc")),
        (r"(?=(a|b))(?:a|b)\(", ("a(", "b(c"), ("c(", "a")),
        (r"(?=.*\))(?=.*\()a", ("a()",), ("a)", "a(")),
        ("a|b", ("b",), ("c", "xb")),
        (r"[a-z]{3}", ("abc", "abcd"), ("1abc", "ab")),
    ],
)
def test_patterns(pattern: str, fit: tuple[str, ...], unfit: tuple[str, ...]) -> None:
    parsed = parse_pattern(pattern)
    assert [one for one in (*fit, *unfit) if parsed.fits(one)] == list(fit)


@pytest.mark.parametrize("pattern", ["(?=a", "(?=a)b|c", "(?=a)*b", "a(?=b)", r"(a)\1", "(?=(?=a))b", "x" * 1025])
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidError):
        parse_pattern(pattern)


# -- what passwords look like ----------------------------------------------------------------------------------------


async def test_a_password_has_to_match_whoever_sets_it(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, password_regex=r"^(?=.*\d).{5,}$", password_regex_description="five, and a digit")
    refused = await add(cloud)
    assert (refused.status, "five, and a digit" in refused.json["error"]["message"]) == (400, True)
    user_id = (await add(cloud, password="sesame 1")).json["user"]["id"]
    assert (await patch(cloud, user_id, password="sesame")).status == 400
    assert (await change(cloud, user_id, "sesame 1", "sesame")).status == 400
    assert (await change(cloud, user_id, "sesame 1", "sesame 2")).status == 204
    assert (await log_in(cloud, "sesame 2")).status == 201


async def test_the_rules_are_told(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, password_regex=r".{5,}", password_regex_description="five")
    path, token = "/v3/domains/default/config/security_compliance", await admin(cloud)
    rules = {"password_regex": ".{5,}", "password_regex_description": "five"}
    assert (await ask(cloud, "GET", path, token=token)).json == {"config": {"security_compliance": rules}}
    one = await ask(cloud, "GET", f"{path}/password_regex_description", token=token)
    assert one.json == {"config": {"password_regex_description": "five"}}


# -- how long they last ----------------------------------------------------------------------------------------------


async def test_a_password_expires_to_the_second_and_is_then_only_good_for_its_change(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, password_expires_days=2)
    user = (await add(cloud)).json["user"]
    assert user["password_expires_at"] == "2023-11-16T22:13:20.000000"
    cloud.clock.advance(2 * DAY_S - 1)
    token = (await log_in(cloud)).json["token"]
    assert token["user"]["password_expires_at"] == user["password_expires_at"]
    cloud.clock.advance(1)
    refused = await log_in(cloud)
    assert (refused.status, user["id"] in refused.json["error"]["message"]) == (401, True)
    assert "expired" not in (await log_in(cloud, "wrong")).json["error"]["message"]
    assert (await change(cloud, user["id"], PASSWORD, "another")).status == 204
    assert (await log_in(cloud, "another")).status == 201


async def test_who_is_free_of_expiry(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, password_expires_days=1)
    user = (await add(cloud)).json["user"]
    free = (await add(cloud, name="bob", options={"ignore_password_expiry": True})).json["user"]
    assert free["password_expires_at"] is None
    cloud.clock.advance(DAY_S)
    assert (await log_in(cloud)).status == 401
    assert (await log_in(cloud, name="bob")).status == 201
    assert (await log_in(cloud, name="admin")).status == 201, "a password of before the rule"
    assert (await patch(cloud, user["id"], options={"ignore_password_expiry": True})).status == 200
    assert (await log_in(cloud)).status == 201


async def test_users_are_found_by_when_their_passwords_expire(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, password_expires_days=1)
    await add(cloud)
    token = await admin(cloud)

    async def found(asked: str) -> list[str]:
        answer = await ask(cloud, "GET", f"/v3/users?password_expires_at={asked}", token=token)
        return [user["name"] for user in answer.json["users"]]

    at = "2023-11-15T22:13:20Z"
    for asked in (at, f"eq:{at}", f"lte:{at}", f"gte:{at}", "lt:2023-11-15T22:13:21Z", "neq:2023-11-15T22:13:21Z"):
        assert await found(asked) == ["ann"], asked
    for asked in (f"lt:{at}", f"gt:{at}", f"neq:{at}"):
        assert await found(asked) == [], asked
    group = await ask(cloud, "POST", "/v3/groups", {"group": {"name": "masons"}}, token=token)
    members = f"/v3/groups/{group.json['group']['id']}/users"
    for name in ("ann", "admin"):
        user = cloud.service.snapshot.users.named(("default", name))
        assert user is not None
        assert (await ask(cloud, "PUT", f"{members}/{user.id}", token=token)).status == 204
    listed = await ask(cloud, "GET", f"{members}?password_expires_at=lte:{at}", token=token)
    assert [user["name"] for user in listed.json["users"]] == ["ann"]
    for asked in (f"before:{at}", "lt:soon"):
        assert (await ask(cloud, "GET", f"/v3/users?password_expires_at={asked}", token=token)).status == 400


async def test_an_administrators_password_is_for_one_use(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, change_password_upon_first_use=True)
    user = (await add(cloud)).json["user"]
    assert (await log_in(cloud)).status == 401
    assert (await change(cloud, user["id"], PASSWORD, "own")).status == 204
    assert (await log_in(cloud, "own")).status == 201
    assert (await patch(cloud, user["id"], password="reset")).status == 200
    assert (await log_in(cloud, "reset")).status == 401
    options = {"ignore_change_password_upon_first_use": True}
    assert (await patch(cloud, user["id"], password="reset", options=options)).status == 200
    assert (await log_in(cloud, "reset")).status == 201


# -- changing them ---------------------------------------------------------------------------------------------------


async def test_the_last_passwords_are_not_set_again_by_their_user(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, unique_last_password_count=2)
    user_id = (await add(cloud, password="p1")).json["user"]["id"]
    assert (await change(cloud, user_id, "p1", "p2")).status == 204
    assert (await change(cloud, user_id, "p2", "p2")).status == 400
    assert (await change(cloud, user_id, "p2", "p1")).status == 400
    assert (await change(cloud, user_id, "p2", "p3")).status == 204
    assert len(cloud.service.snapshot.users.require(user_id).former_hashes) == 1, "no more than the rule wants"
    assert (await change(cloud, user_id, "p3", "p1")).status == 204
    assert (await patch(cloud, user_id, password="p1")).status == 200, "an administrator may"


async def test_without_the_rule_nothing_is_remembered(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    assert (await change(cloud, user.id, PASSWORD, PASSWORD)).status == 204
    after = cloud.service.snapshot.users.require(user.id)
    assert (after.former_hashes, after.password_set_s, after.password_own) == ((), DAWN_S, True)


async def test_a_password_of_the_users_own_is_used_for_some_days(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, minimum_password_age=2)
    user_id = (await add(cloud, password="p1")).json["user"]["id"]
    assert (await change(cloud, user_id, "p1", "p2")).status == 204, "an administrator's may be changed at once"
    cloud.clock.advance(2 * DAY_S - 1)
    refused = await change(cloud, user_id, "p2", "p3")
    assert (refused.status, "in 1 day(s)" in refused.json["error"]["message"]) == (400, True)
    cloud.clock.advance(1)
    assert (await change(cloud, user_id, "p2", "p3")).status == 204
    assert (await patch(cloud, user_id, password="p4")).status == 200, "an administrator may"


async def test_a_password_that_is_locked_is_not_its_users_to_change(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    assert (await patch(cloud, user.id, options={"lock_password": True})).status == 200
    assert (await change(cloud, user.id, PASSWORD, "other")).status == 400
    assert (await log_in(cloud)).status == 201


async def test_a_change_by_a_password_that_is_no_longer_right_is_refused(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    await cloud.service.administration.update_user(user.id, password="another")
    with pytest.raises(UnauthorizedError):
        await cloud.service.own_password.change(user, "mine")
    assert (await log_in(cloud, "another")).status == 201


# -- lock-out --------------------------------------------------------------------------------------------------------


async def locked(nursery: trio.Nursery, **fields: Any) -> tuple[Cloud, User]:
    """With two wrong passwords of two that are borne, from two places."""
    cloud = await started(nursery, lockout_failure_attempts=2, lockout_duration=60)
    user_id = (await add(cloud, **fields)).json["user"]["id"]
    for address in ("192.0.2.1", "192.0.2.2"):
        answer = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann", "wrong"), client=address)
        assert answer.status == 401
    return cloud, cloud.service.snapshot.users.require(user_id)


async def test_wrong_passwords_lock_for_so_long_and_guesses_make_it_no_longer(nursery: trio.Nursery) -> None:
    cloud, user = await locked(nursery)
    refused = await log_in(cloud)
    assert refused.json == (await log_in(cloud, "wrong")).json, "that it is locked is not told"
    assert (await change(cloud, user.id, PASSWORD, "other")).status == 401
    cloud.clock.advance(59)
    assert (await log_in(cloud)).status == 401
    assert (await log_in(cloud, "wrong")).status == 401
    cloud.clock.advance(1)
    assert (await log_in(cloud)).status == 201


async def test_after_a_lock_as_many_wrong_ones_are_borne_again(nursery: trio.Nursery) -> None:
    cloud, _ = await locked(nursery)
    cloud.clock.advance(60)
    assert (await log_in(cloud, "wrong")).status == 401
    assert (await log_in(cloud)).status == 201


async def test_after_a_lock_no_more_wrong_ones_are_borne_than_before(nursery: trio.Nursery) -> None:
    cloud, _ = await locked(nursery)
    cloud.clock.advance(60)
    for password in ("wrong", "wrong", PASSWORD):
        assert (await log_in(cloud, password)).status == 401


async def test_the_right_password_ends_the_count(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, lockout_failure_attempts=2)
    await add(cloud)
    for _ in range(3):
        assert (await log_in(cloud, "wrong")).status == 401
        assert (await log_in(cloud)).status == 201


async def test_every_process_keeps_the_locked_out(nursery: trio.Nursery) -> None:
    cloud, _ = await locked(nursery)
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP, password_rules=cloud.service.password_rules)
    other = IdentityService(cloud.registry, config, clock=cloud.clock)
    await nursery.start(lambda task_status: other.run(task_status=task_status))
    with pytest.raises(UnauthorizedError):
        await other.login.by_name("ann", PASSWORD)


@pytest.mark.parametrize("fields", [{"enabled": True}, {"password": PASSWORD}])
async def test_an_administrator_unlocks(nursery: trio.Nursery, fields: dict[str, Any]) -> None:
    cloud, user = await locked(nursery)
    assert (await patch(cloud, user.id, description="mason")).status == 200
    assert (await log_in(cloud)).status == 401
    assert (await patch(cloud, user.id, **fields)).status == 200
    assert (await log_in(cloud)).status == 201


async def test_who_is_not_locked_out(nursery: trio.Nursery) -> None:
    cloud, user = await locked(nursery, options={"ignore_lockout_failure_attempts": True})
    assert user.failures == 0
    assert (await log_in(cloud)).status == 201


async def test_what_is_counted_takes_as_long_for_everybody(nursery: trio.Nursery, monkeypatch: Any) -> None:
    cloud = await started(nursery, lockout_failure_attempts=2)
    await add(cloud)
    writes, transact = [], cloud.registry.transact

    async def counted(*asked: Any) -> Any:
        writes.append(asked)
        return await transact(*asked)

    monkeypatch.setattr(cloud.registry, "transact", counted)
    for name, password in (
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("ann", "wrong"),
        ("ann", "wrong while locked"),
        ("ann", PASSWORD),
    ):
        writes.clear()
        assert (await log_in(cloud, password, name)).status == 401
        assert len(writes) == 1, (name, password)


async def test_a_right_guess_at_somebody_disabled_takes_as_long(nursery: trio.Nursery, monkeypatch: Any) -> None:
    cloud = await started(nursery, lockout_failure_attempts=5)
    await add(cloud, enabled=False)
    writes, transact = [], cloud.registry.transact

    async def counted(*asked: Any) -> Any:
        writes.append(asked)
        return await transact(*asked)

    monkeypatch.setattr(cloud.registry, "transact", counted)
    for password in ("wrong", PASSWORD):
        writes.clear()
        assert (await log_in(cloud, password, "ann")).status == 401
        assert len(writes) == 1, password


async def test_what_v1_remembers_is_no_way_in_for_the_locked_out(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, lockout_failure_attempts=1, lockout_duration=60)
    await cloud.user("ann", await cloud.project("quarry"))
    app = V1AuthApp(cloud.service)
    assert (await ask_v1(app, credentials()))[0] == 200
    assert (await ask_v1(app, credentials(key="wrong")))[0] == 401
    assert (await ask_v1(app, credentials()))[0] == 401
    cloud.clock.advance(60)
    assert (await ask_v1(app, credentials()))[0] == 200


async def test_the_command_line_lets_the_locked_out_in_again(nursery: trio.Nursery) -> None:
    cloud, _ = await locked(nursery)
    operator = await open_operator(cloud.registry, CHEAP)
    await operator.set_password("ann", PASSWORD)
    await trio.testing.wait_all_tasks_blocked()  # the service's watch has told it
    assert (await log_in(cloud)).status == 201


async def test_failures_end_no_token(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, lockout_failure_attempts=1)
    await add(cloud)
    token = (await log_in(cloud)).headers["x-subject-token"]
    assert (await log_in(cloud, "wrong")).status == 401
    assert (await ask(cloud, "GET", "/v3/auth/projects", token=token)).status == 200
