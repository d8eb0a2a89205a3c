"""Tokens that clients bring: which count, and every way known by which one does not."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from authn.errors import UnauthorizedError
from authn.federation.provider_http import ProviderAwayError
from tests.federation.fake_provider import EC_KEY, ISSUER, NOW, PROVIDER, RSA_KEY, FakeProvider, claims, signed
from tests.twins.clock import ManualClock

OTHERS = RSAKey.generate_key(2048, {"kid": "rsa"})


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY])
async def test_a_signed_token_counts_and_the_provider_is_not_asked_about_it(key: Any) -> None:
    fake = FakeProvider()
    party = fake.party(ManualClock())
    for _ in range(3):
        assert await party.claims_of_bearer(signed(claims(), key)) == claims()
    assert fake.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


@pytest.mark.parametrize(
    "told",
    [
        claims(iss="https://login.example.com/realm/"),
        claims(iss=None),
        claims(iss=[ISSUER]),
        claims(aud="others"),
        claims(aud=["others"]),
        claims(aud=None),
        claims(aud=None, azp="drystone"),
        claims(aud={"drystone": 1}),
        claims(sub=None),
        claims(sub=7),
        claims(exp=NOW - 60),
        claims(exp=None),
        claims(exp="2100-01-01"),
        claims(exp=True),
        claims(nbf=NOW + 61),
        claims(iat=NOW + 61),
        claims(iat="now"),
        [1],
        "text",
    ],
)
async def test_what_does_not_fit_us_does_not_count(told: Any) -> None:
    with pytest.raises(UnauthorizedError):
        await FakeProvider().party(ManualClock()).claims_of_bearer(signed(told))


async def test_clocks_may_differ_a_little() -> None:
    party = FakeProvider().party(ManualClock())
    assert await party.claims_of_bearer(signed(claims(exp=NOW - 59, nbf=NOW + 59, iat=NOW + 59)))


async def test_whom_a_token_is_for_is_said_by_the_operator() -> None:
    fake, clock = FakeProvider(), ManualClock()
    for_others = signed(claims(aud=["account"], azp="drystone"))
    of_others = signed(claims(aud=["account"], azp="others"))
    assert await fake.party(clock, replace(PROVIDER, audiences=("account",))).claims_of_bearer(of_others)
    lax = fake.party(clock, replace(PROVIDER, own_tokens=True))
    assert await lax.claims_of_bearer(for_others)
    with pytest.raises(UnauthorizedError):
        await lax.claims_of_bearer(of_others)


def unsigned(header: Any, told: Any, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(told).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def confused(algorithm: str, secret: bytes) -> str:
    """Signed with a public key as if it were a secret that is shared."""
    signed_part = unsigned({"alg": algorithm, "kid": "rsa"}, claims()).rpartition(".")[0]
    digest = hmac.digest(secret, signed_part.encode(), f"sha{algorithm[2:]}")
    return f"{signed_part}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "token",
    [
        unsigned({"alg": "none"}, claims()),
        unsigned({"alg": "None", "kid": "rsa"}, claims()),
        unsigned({"alg": "RS256", "kid": "rsa"}, claims()),
        unsigned({"alg": ["RS256"], "kid": "rsa"}, claims()),
        unsigned({"alg": "RS256", "kid": ["rsa"]}, claims()),
        unsigned({"kid": "rsa"}, claims()),
        unsigned(["RS256"], claims()),
        unsigned({"alg": "RS256", "kid": "rsa"}, claims(), b"x" * 256),
        unsigned({"alg": "HS256", "kid": "rsa"}, claims(), b"x" * 32),
        unsigned({"alg": "RS256", "kid": "rsa", "crit": ["mine"], "mine": 1}, claims(), b"x" * 256),
        signed(claims(), OTHERS),
        signed(claims(), OTHERS, jwk=OTHERS.as_dict(private=False)),
        signed(claims(), OTHERS, kid="unknown"),
        signed(claims(), OTHERS, jku="https://evil.example.com/keys"),
        signed(claims(), EC_KEY, kid="rsa"),
        signed(claims(), RSA_KEY, kid="ec"),
        signed(claims(), ECKey.generate_key("P-384", {"kid": "ec"}), alg="ES384"),
        signed(claims())[:-4] + "AAAA",
    ],
)
async def test_a_signature_that_is_not_of_the_providers_keys_does_not_count(token: str) -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body={"active": False})
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer(token)
    assert all(request.url.host == "login.example.com" for request in fake.requests)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_shared_secret(algorithm: str) -> None:
    for secret in (RSA_KEY.as_pem(private=False), RSA_KEY.as_der(private=False), b"drystone", b"hush:hush %"):
        with pytest.raises(UnauthorizedError):
            await FakeProvider().party(ManualClock()).claims_of_bearer(confused(algorithm, secret))


@pytest.mark.parametrize("token", ["", "a b", "ä", "a\n", "x" * 40_000, "..", "a.b.c"])
async def test_what_is_no_token_is_nobodys(token: str) -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body={"active": False})
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer(token)


async def test_a_new_key_is_found_and_an_old_one_is_gone() -> None:
    fake, clock = FakeProvider(keys=[RSA_KEY]), ManualClock()
    party = fake.party(clock)
    old, new = signed(claims(exp=NOW + 9000)), signed(claims(exp=NOW + 9000), EC_KEY)
    await party.claims_of_bearer(old)
    fake.keys = [EC_KEY]
    clock.advance(31)
    assert await party.claims_of_bearer(new)
    with pytest.raises(UnauthorizedError):
        await party.claims_of_bearer(old)


async def test_tokens_with_unknown_keys_do_not_make_us_ask_again_and_again() -> None:
    fake, clock = FakeProvider(), ManualClock()
    party = fake.party(clock)
    for seconds, askings in ((0, 1), (29, 1), (2, 2), (29, 2)):
        clock.advance(seconds)
        for _ in range(3):
            with pytest.raises(UnauthorizedError):
                await party.claims_of_bearer(signed(claims(exp=NOW + 900), OTHERS, kid="unknown"))
        assert fake.asked["/keys"] == askings


async def test_keys_serve_while_the_provider_is_away_but_not_for_ever() -> None:
    fake, clock = FakeProvider(), ManualClock()
    party = fake.party(clock)
    token = signed(claims(exp=NOW + 10**6))
    await party.claims_of_bearer(token)
    fake.away = True
    clock.advance(3600)
    assert await party.claims_of_bearer(token)
    clock.advance(23 * 3600 + 1)
    with pytest.raises(ProviderAwayError, match="nobody there"):
        await party.claims_of_bearer(token)


async def test_nobody_waits_for_a_failure_that_was_just_seen() -> None:
    fake, clock = FakeProvider(away=True), ManualClock()
    party = fake.party(clock)
    for seconds, askings in ((0, 1), (4, 1), (2, 2)):
        clock.advance(seconds)
        with pytest.raises(ProviderAwayError, match=r"acme.*nobody there"):
            await party.claims_of_bearer(signed(claims()))
        assert fake.asked.total() == askings
    fake.away = False
    clock.advance(6)
    assert await party.claims_of_bearer(signed(claims()))


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "rsa"},
        {**RSA_KEY.as_dict(private=False), "use": "enc"},
        {**RSA_KEY.as_dict(private=False), "alg": "PS256"},
        RSA_KEY.as_dict(private=True),
        {"kty": "RSA", "n": 1, "e": "AQAB", "kid": "rsa"},
        {"kty": "new", "kid": "rsa"},
        {},
        "text",
    ],
)
async def test_keys_that_are_none_are_passed_over(entry: Any) -> None:
    fake = FakeProvider()
    fake.reply("/keys", body={"keys": [entry, EC_KEY.as_dict(private=False)]})
    party = fake.party(ManualClock())
    with pytest.raises(UnauthorizedError):
        await party.claims_of_bearer(signed(claims()))
    assert await party.claims_of_bearer(signed(claims(), EC_KEY))


async def test_a_short_key_is_none() -> None:
    short = rsa.generate_private_key(65537, 1024)
    number = short.public_key().public_numbers().n.to_bytes(128, "big")
    fake = FakeProvider()
    key = {"kty": "RSA", "kid": "short", "e": "AQAB", "n": urlsafe_b64encode(number).rstrip(b"=").decode()}
    fake.reply("/keys", body={"keys": [key]})
    unsealed = unsigned({"alg": "RS256", "kid": "short"}, claims()).rpartition(".")[0]
    signature = short.sign(unsealed.encode(), PKCS1v15(), SHA256())
    token = f"{unsealed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer(token)


def unnamed(key: RSAKey) -> tuple[dict[str, Any], str]:
    """A key as a provider tells it without a name, and a token that names none."""
    told = {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}
    token = jws.serialize_compact({"alg": "RS256"}, json.dumps(claims(exp=NOW + 9000)), key, ["RS256"])
    return told, token


async def test_keys_and_tokens_may_have_no_names() -> None:
    fake, clock = FakeProvider(), ManualClock()
    party = fake.party(clock)
    first, old = unnamed(RSAKey.generate_key(2048))
    second, new = unnamed(RSAKey.generate_key(2048))
    fake.reply("/keys", body={"keys": [first]})
    for _ in range(2):
        assert await party.claims_of_bearer(old)
        clock.advance(31)
    assert fake.asked["/keys"] == 1
    fake.reply("/keys", body={"keys": [second]})
    assert await party.claims_of_bearer(new)
    fake.away = True
    clock.advance(31)
    assert await party.claims_of_bearer(new)


INTROSPECTED = {"active": True, "sub": "jane", "client_id": "drystone", "exp": NOW + 9, "iss": ISSUER}


async def test_an_opaque_token_is_asked_about_and_its_user_told() -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body=INTROSPECTED)
    fake.reply("/me", body={"sub": "jane", "email": "jane@example.com", "iss": "https://evil.example.com"})
    found = await fake.party(ManualClock()).claims_of_bearer("opaque")
    assert (found["sub"], found["email"], found["iss"]) == ("jane", "jane@example.com", ISSUER)
    introspection, userinfo = fake.requests[-2:]
    assert fake.form(introspection) == {"token": "opaque", "token_type_hint": "access_token"}
    basic = b"drystone:hush%3Ahush+%25"
    assert introspection.headers["Authorization"] == f"Basic {b64encode(basic).decode()}"
    assert userinfo.headers["Authorization"] == "Bearer opaque"


async def test_a_clients_own_token_has_no_user() -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body={**INTROSPECTED, "sub": "drystone"})
    fake.reply("/me", 401, {"error": "invalid_token"})
    assert (await fake.party(ManualClock()).claims_of_bearer("opaque"))["sub"] == "drystone"


@pytest.mark.parametrize(
    "told",
    [
        {**INTROSPECTED, "active": False},
        {**INTROSPECTED, "active": "true"},
        {},
        {**INTROSPECTED, "client_id": "others"},
        {**INTROSPECTED, "aud": "others"},
        {**INTROSPECTED, "iss": "https://evil.example.com"},
        {**INTROSPECTED, "exp": NOW - 61},
        {"active": True, "sub": "jane"},
    ],
)
async def test_an_opaque_token_that_does_not_hold_or_is_for_others_does_not_count(told: Any) -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body=told)
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer("opaque")


async def test_a_user_who_is_another_is_refused() -> None:
    fake = FakeProvider()
    fake.reply("/introspect", body=INTROSPECTED)
    fake.reply("/me", body={"sub": "root"})
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer("opaque")


async def test_who_tells_nothing_of_opaque_tokens_gets_none() -> None:
    fake = FakeProvider(metadata={"introspection_endpoint": ""})
    fake.reply("/me", body={"sub": "jane"})
    with pytest.raises(UnauthorizedError):
        await fake.party(ManualClock()).claims_of_bearer("opaque")


@pytest.mark.parametrize(("status", "body"), [(401, None), (400, {"error": "invalid_client"}), (500, {}), (403, None)])
async def test_a_client_that_is_not_taken_is_our_fault_not_the_users(status: int, body: Any) -> None:
    fake = FakeProvider()
    fake.reply("/introspect", status, body)
    with pytest.raises(ProviderAwayError):
        await fake.party(ManualClock()).claims_of_bearer("opaque")
