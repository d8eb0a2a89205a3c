"""More than one way to authenticate: passcodes, the rules that ask for them, and receipts between the two."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
import trio

from authn.factors import unmet_rules
from authn.receipts import RECEIPT_SECONDS
from authn.records import User
from authn.throttle import FREE_FAILURES
from authn.v1 import V1AuthApp
from tests.authn.conftest import PASSWORD, Cloud, issued
from tests.authn.test_v3 import Answer, ask, password_auth

KEY = b"12345678901234567890"
"""Of RFC 6238's test vectors."""
BASE32 = base64.b32encode(KEY).decode()
RECEIPT = "openstack-auth-receipt"


def passcode(seconds: float, key: bytes = KEY) -> str:
    """RFC 6238, by itself: the test must not ask what is tested."""
    digest = hmac.digest(key, int(seconds // 30).to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def totp_auth(code: Any, user: Any = None, scope: Any = None) -> Any:
    named = user or {"name": "ann", "domain": {"id": "default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["totp"], "totp": {"user": {**named, "passcode": code}}}}
    return {"auth": auth if scope is None else {**auth, "scope": scope}}


def both_auth(code: str) -> Any:
    identity = totp_auth(code)["auth"]["identity"] | password_auth("ann")["auth"]["identity"]
    return {"auth": {"identity": {**identity, "methods": ["password", "totp"]}}}


async def login(cloud: Cloud, body: Any, receipt: str = "", client: str = "192.0.2.7") -> Answer:
    headers = {RECEIPT: receipt} if receipt else {}
    return await ask(cloud, "POST", "/v3/auth/tokens", body, headers=headers, client=client)


def now(cloud: Cloud) -> float:
    return cloud.clock.wall_us() / 1_000_000


async def ann_with(cloud: Cloud, secret: str = BASE32, rules: Any = None) -> User:
    ann = await cloud.user("ann", await cloud.project("quarry"))
    admin = await cloud.admin_token()
    body = {"credential": {"type": "totp", "blob": secret, "user_id": ann.id}}
    assert (await ask(cloud, "POST", "/v3/credentials", body, token=admin)).status == 201
    if rules is not None:
        options = {"user": {"options": {"multi_factor_auth_rules": rules}}}
        assert (await ask(cloud, "PATCH", f"/v3/users/{ann.id}", options, token=admin)).status == 200
    return ann


def test_the_vectors_of_the_standard() -> None:
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert passcode(seconds) == code


async def test_a_passcode_makes_a_token(cloud: Cloud) -> None:
    ann = await ann_with(cloud)
    project = cloud.service.snapshot.projects.named(("default", "quarry"))
    assert project is not None
    scope = {"project": {"id": project.id}}
    answer = await login(cloud, totp_auth(passcode(now(cloud)), scope=scope))
    assert answer.status == 201
    token = answer.json["token"]
    assert (token["user"]["id"], token["methods"], token["project"]["id"]) == (ann.id, ["totp"], project.id)
    cloud.clock.advance(30)
    assert (await login(cloud, totp_auth(passcode(now(cloud)), {"id": ann.id}))).status == 201


async def test_a_passcode_is_good_for_once(cloud: Cloud, nursery: trio.Nursery) -> None:
    await ann_with(cloud)
    before, code = passcode(now(cloud) - 30), passcode(now(cloud))
    assert (await login(cloud, totp_auth(code))).status == 201
    for again in (code, before):
        assert (await login(cloud, totp_auth(again))).status == 401
    other = await cloud.another(nursery)
    elsewhere = Cloud(cloud.registry, cloud.clock, other, cloud.made)
    assert (await login(elsewhere, totp_auth(code))).status == 401
    cloud.clock.advance(30)
    assert (await login(elsewhere, totp_auth(passcode(now(cloud))))).status == 201


@pytest.mark.parametrize(("offset_s", "status"), [(-60, 401), (-30, 201), (0, 201), (30, 401)])
async def test_one_step_back_and_no_more(cloud: Cloud, offset_s: int, status: int) -> None:
    await ann_with(cloud)
    assert (await login(cloud, totp_auth(passcode(now(cloud) + offset_s)))).status == status


@pytest.mark.parametrize("secret", [BASE32.lower(), base64.b32encode(b"x" * 17).decode().rstrip("=")])
async def test_secrets_as_devices_write_them(cloud: Cloud, secret: str) -> None:
    await ann_with(cloud, secret)
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    assert (await login(cloud, totp_auth(passcode(now(cloud), key)))).status == 201


@pytest.mark.parametrize("secret", ["not base32!", "AAAA", ""])
async def test_a_secret_that_is_none_lets_nobody_in(cloud: Cloud, secret: str) -> None:
    await ann_with(cloud, secret)
    for code in ("", "000000", passcode(now(cloud), b"")):
        assert (await login(cloud, totp_auth(code))).status == 401


async def test_any_of_several_secrets_will_do(cloud: Cloud) -> None:
    ann = await ann_with(cloud, "not base32!")
    body = {"credential": {"type": "totp", "blob": BASE32, "user_id": ann.id}}
    assert (await ask(cloud, "POST", "/v3/credentials", body, token=await cloud.admin_token())).status == 201
    assert (await login(cloud, totp_auth(passcode(now(cloud))))).status == 201


@pytest.mark.parametrize(
    ("code", "user", "status"),
    [
        ("", None, 401),
        ("12345", None, 401),
        ("ü\ud800", None, 401),
        (None, None, 400),
        (123456, None, 400),
        ("right", {"id": "none"}, 401),
        ("right", {"name": "none", "domain": {"id": "default"}}, 401),
        ("right", {"name": "ann", "domain": {"id": "none"}}, 401),
        ("right", {"name": "ann"}, 400),
        ("right", {"name": "admin", "domain": {"id": "default"}}, 401),
    ],
)
async def test_who_is_not_let_in(cloud: Cloud, code: Any, user: Any, status: int) -> None:
    await ann_with(cloud)
    code = passcode(now(cloud)) if code == "right" else code
    assert (await login(cloud, totp_auth(code, user))).status == status


async def test_a_credential_of_another_type_is_no_secret(cloud: Cloud) -> None:
    ann = await cloud.user("ann")
    body = {"credential": {"type": "cert", "blob": BASE32, "user_id": ann.id}}
    assert (await ask(cloud, "POST", "/v3/credentials", body, token=await cloud.admin_token())).status == 201
    assert (await login(cloud, totp_auth(passcode(now(cloud))))).status == 401


@pytest.mark.parametrize("rules", [[], [["password", "totp"]]])
async def test_a_disabled_user_is_nobody(cloud: Cloud, rules: Any) -> None:
    """And is given no receipt."""
    ann = await ann_with(cloud, rules=rules)
    body = {"user": {"enabled": False}}
    await ask(cloud, "PATCH", f"/v3/users/{ann.id}", body, token=await cloud.admin_token())
    answer = await login(cloud, totp_auth(passcode(now(cloud))))
    assert answer.status == 401
    assert RECEIPT not in answer.headers


async def test_a_passcode_that_is_used_up_is_a_guess(cloud: Cloud) -> None:
    await ann_with(cloud)
    used = passcode(now(cloud) - 30)
    assert (await login(cloud, totp_auth(used))).status == 201
    for _ in range(FREE_FAILURES):
        assert (await login(cloud, totp_auth(used))).status == 401
    assert (await login(cloud, totp_auth(passcode(now(cloud))))).status == 401


async def test_guesses_are_slowed_down(cloud: Cloud) -> None:
    """Also of somebody who knows the password, which counts for itself."""
    ann = await ann_with(cloud)
    code = passcode(now(cloud))
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for number in range(FREE_FAILURES):
        named = {"id": ann.id} if number % 2 else None
        assert (await login(cloud, totp_auth(wrong, named), client="192.0.2.66")).status == 401
        assert (await login(cloud, password_auth("ann"), client="192.0.2.66")).status == 201
    assert (await login(cloud, totp_auth(code), client="192.0.2.66")).status == 401
    assert (await login(cloud, totp_auth(code))).status == 201


async def test_guesses_at_nobodys_passcode_make_no_other_forgotten(cloud: Cloud, monkeypatch: Any) -> None:
    monkeypatch.setattr("authn.throttle.PLACES_MAX", 3)
    await ann_with(cloud)
    await cloud.user("bob")  # who has no secret that makes any
    code = passcode(now(cloud))
    for _ in range(FREE_FAILURES):
        assert (await login(cloud, totp_auth("x"))).status == 401
        assert (await login(cloud, password_auth("admin", "wrong"))).status == 401
    for name in ("bob", "n1", "n2", "n3", "n4"):
        named = {"name": name, "domain": {"id": "default"}}
        assert (await login(cloud, totp_auth("x", named))).status == 401
    assert (await login(cloud, totp_auth(code))).status == 401
    assert (await login(cloud, password_auth("admin"))).status == 401


async def test_the_right_passcode_ends_the_counting(cloud: Cloud) -> None:
    await ann_with(cloud)
    for _ in range(3):
        code = passcode(now(cloud))
        for _ in range(FREE_FAILURES - 1):
            assert (await login(cloud, totp_auth("x"))).status == 401
        assert (await login(cloud, totp_auth(code))).status == 201
        cloud.clock.advance(30)


# -- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "shown", "missing"),
    [
        ([], {"password"}, None),
        ([["password", "totp"]], {"password", "totp"}, None),
        ([["password", "totp"]], {"password", "totp", "token"}, None),
        ([["password", "totp"]], {"password"}, [["password", "totp"]]),
        ([["password", "totp"]], {"application_credential"}, []),
        ([["password", "totp"], ["mapped"]], {"password"}, [["password", "totp"]]),
        ([["password", "totp"], ["mapped"]], {"mapped"}, None),
        ([["password", "palm"]], {"password"}, None),
        ([["palm"]], {"password"}, None),
        ([["palm"], ["totp"]], {"password"}, []),
    ],
)
def test_what_rules_ask_for(rules: Any, shown: set[str], missing: Any) -> None:
    user = User("i", "ann", options=json.dumps({"multi_factor_auth_rules": rules}))
    assert unmet_rules(user, shown) == missing
    off = User("i", "ann", options=json.dumps({"multi_factor_auth_rules": rules, "multi_factor_auth_enabled": False}))
    assert unmet_rules(off, shown) is None


async def test_both_at_once(cloud: Cloud) -> None:
    await ann_with(cloud, rules=[["password", "totp"]])
    answer = await login(cloud, both_auth(passcode(now(cloud))))
    assert answer.status == 201
    assert answer.json["token"]["methods"] == ["password", "totp"]
    sealed = answer.headers["x-subject-token"]
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": sealed}}}}
    assert (await login(cloud, again)).status == 201
    cloud.clock.advance(30)
    assert (await login(cloud, both_auth("000000"))).status == 401


async def test_a_token_of_less_is_no_way_around_the_rules(cloud: Cloud) -> None:
    ann = await ann_with(cloud, rules=[["password", "totp"]])
    old = issued(cloud.service, ann)
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": old}}}}
    assert (await login(cloud, again)).status == 401


async def test_one_after_the_other_with_a_receipt(cloud: Cloud) -> None:
    ann = await ann_with(cloud, rules=[["password", "totp"], ["mapped"]])
    first = await login(cloud, password_auth("ann"))
    assert first.status == 401
    assert "x-subject-token" not in first.headers
    receipt = first.json["receipt"]
    assert first.json == {
        "receipt": {
            "methods": ["password"],
            "user": {"id": ann.id, "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "expires_at": receipt["expires_at"],
            "issued_at": receipt["issued_at"],
        },
        "required_auth_methods": [["password", "totp"]],
    }
    assert receipt["expires_at"] > receipt["issued_at"]
    sealed = first.headers[RECEIPT]
    second = await login(cloud, totp_auth(passcode(now(cloud))), sealed)
    assert second.status == 201
    assert second.json["token"]["methods"] == ["password", "totp"]
    cloud.clock.advance(30)
    third = await login(cloud, totp_auth(passcode(now(cloud))))
    assert third.json["receipt"]["methods"] == ["totp"]
    assert (await login(cloud, password_auth("ann"), third.headers[RECEIPT])).status == 201


async def test_a_receipt_is_no_token_and_a_token_no_receipt(cloud: Cloud) -> None:
    ann = await ann_with(cloud, rules=[["password", "totp"]])
    sealed = (await login(cloud, password_auth("ann"))).headers[RECEIPT]
    assert await cloud.service.identify(sealed) is None
    for other in (issued(cloud.service, ann), "nonsense", "ü", "x" * 3000):
        assert (await login(cloud, totp_auth(passcode(now(cloud))), other)).status == 401
        cloud.clock.advance(30)
    assert (await login(cloud, totp_auth(passcode(now(cloud))), sealed)).status == 201


@pytest.mark.parametrize(("seconds", "status"), [(RECEIPT_SECONDS - 1, 201), (RECEIPT_SECONDS, 401)])
async def test_a_receipt_ends(cloud: Cloud, seconds: int, status: int) -> None:
    await ann_with(cloud, rules=[["password", "totp"]])
    sealed = (await login(cloud, password_auth("ann"))).headers[RECEIPT]
    cloud.clock.advance(seconds)
    assert (await login(cloud, totp_auth(passcode(now(cloud))), sealed)).status == status


async def test_a_new_password_ends_receipts(cloud: Cloud) -> None:
    ann = await ann_with(cloud, rules=[["password", "totp"]])
    sealed = (await login(cloud, password_auth("ann"))).headers[RECEIPT]
    await cloud.service.administration.update_user(ann.id, password="another")
    assert (await login(cloud, totp_auth(passcode(now(cloud))), sealed)).status == 401


async def test_a_receipt_is_its_users(cloud: Cloud) -> None:
    await ann_with(cloud, rules=[["password", "totp"]])
    bob = await cloud.user("bob")
    options = {"user": {"options": {"multi_factor_auth_rules": [["password", "totp"]]}}}
    await ask(cloud, "PATCH", f"/v3/users/{bob.id}", options, token=await cloud.admin_token())
    sealed = (await login(cloud, password_auth("bob"))).headers[RECEIPT]
    assert (await login(cloud, totp_auth(passcode(now(cloud))), sealed)).status == 401


async def test_the_v1_handshake_is_no_way_around_the_rules(cloud: Cloud) -> None:
    await ann_with(cloud, rules=[["password", "totp"]])
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/auth/v1.0",
        "headers": [(b"x-auth-user", b"quarry:ann"), (b"x-auth-key", PASSWORD.encode())],
        "client": ("192.0.2.7", 4711),
        "scheme": "http",
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await V1AuthApp(cloud.service)(scope, receive, send)
    assert sent[0]["status"] == 401
