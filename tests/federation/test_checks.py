"""What an operator is told of a provider that does not work, and what to do then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from authn.federation.provider import OpenIDProvider
from authn.federation.provider_checks import Check, ProviderChecks
from authn.federation.token_checks import Claims
from authn.way_checks import way_checks
from drystone.auth_commands import auth_group
from tests.authn.conftest import Cloud
from tests.federation.fake_provider import ISSUER, PROVIDER, FakeProvider, claims, signed
from tests.federation.ways_in import WayIn, named, open_way
from tests.twins.clock import ManualClock


async def run(fake: FakeProvider, provider: OpenIDProvider = PROVIDER) -> tuple[list[Check], Claims | None]:
    checks = ProviderChecks(provider, httpx.AsyncClient(transport=httpx.MockTransport(fake.handle)), ManualClock())
    found = [check async for check in checks.run()]
    assert all(check.next_step for check in found if check.good is False)
    return found, checks.claims


def goods(checks: list[Check]) -> dict[str, bool | None]:
    return {check.what: check.good for check in checks}


@pytest.fixture
def fake() -> FakeProvider:
    made = FakeProvider()
    made.reply("/token", 200, {"access_token": signed(claims(sub="drystone"))})
    return made


async def test_a_provider_that_works(fake: FakeProvider) -> None:
    checks, told = await run(fake)
    assert goods(checks) == {"discovery": True, "keys": True, "client credentials": True}
    assert "2 public: rsa, ec" in checks[1].said
    assert told is not None
    assert told["sub"] == "drystone"
    assert fake.form(fake.requests[2]) == {"grant_type": "client_credentials"}


async def test_nothing_is_asked_of_one_that_does_not_describe_itself(fake: FakeProvider) -> None:
    for broken in ({"issuer": ISSUER + "/"}, {"token_endpoint": "https://elsewhere.example.com/token"}):
        fake.metadata = broken
        checks, told = await run(fake)
        assert goods(checks) == {"discovery": False}
        assert f"{ISSUER}/.well-known/openid-configuration" in checks[0].next_step
        assert told is None
    fake.metadata, fake.away = {}, True
    assert goods((await run(fake))[0]) == {"discovery": False}


async def test_keys_that_are_none(fake: FakeProvider) -> None:
    fake.keys = []
    assert goods((await run(fake))[0])["keys"] is False
    fake.reply("/keys", 500)
    assert goods((await run(fake))[0])["keys"] is False
    fake.metadata = {"jwks_uri": ""}
    assert "no set of keys" in (await run(fake))[0][1].said


@pytest.mark.parametrize(
    ("status", "body", "good", "said"),
    [
        (401, {}, False, "does not take the client"),
        (400, {"error": "invalid_client"}, False, "does not take the client"),
        (400, {"error": "unauthorized_client"}, None, "the secret is right"),
        (500, {}, False, "status 500"),
        (200, {}, False, "does not count"),
        (200, {"access_token": 7}, False, "does not count"),
        (200, {"access_token": signed(claims(aud="others"))}, False, "for others"),
    ],
)
async def test_our_own_token(fake: FakeProvider, status: int, body: Any, good: bool | None, said: str) -> None:
    fake.reply("/token", status, body)
    checks, told = await run(fake)
    assert checks[-1].good is good
    assert said in checks[-1].said
    assert told is None


async def test_what_cannot_be_tried(fake: FakeProvider) -> None:
    checks, _ = await run(fake, replace(PROVIDER, client_secret=""))
    assert checks[-1].good is None
    fake.metadata = {"token_endpoint": ""}
    assert (await run(fake))[0][-1].good is False
    assert not fake.asked["/token"]


async def test_an_opaque_token_that_we_may_not_ask_about(fake: FakeProvider) -> None:
    fake.reply("/token", 200, {"access_token": "opaque"})
    fake.reply("/introspect", 403)
    checks, _ = await run(fake)
    assert checks[-1].good is False
    assert "introspection" in checks[-1].next_step


# -- here ------------------------------------------------------------------------------------------------------------


def here(cloud: Cloud, told: Claims | None, provider: OpenIDProvider = PROVIDER) -> list[Check]:
    found = list(way_checks(cloud.service.snapshot, provider, told))
    assert all(check.next_step for check in found if check.good is False)
    return found


def command(cloud: Cloud, provider: OpenIDProvider = PROVIDER) -> str:
    """What to type for the only thing that is said to be wrong."""
    (broken,) = here(cloud, None, provider)
    assert broken.good is False
    return broken.next_step


async def test_records_that_are_missing_come_with_the_command_that_makes_them(cloud: Cloud) -> None:
    assert command(cloud) == f"openstack identity provider create acme --remote-id {ISSUER}"
    way = await open_way(cloud)
    assert command(cloud, named("acme", "second")).startswith(
        "openstack federation protocol create second --identity-provider acme"
    )
    await way.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": {"enabled": False}})
    assert command(cloud) == "openstack identity provider set --enable acme"
    await way.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": {"enabled": True}})
    assert [check.good for check in here(cloud, None)] == [True, None]
    await way.ask("DELETE", "/v3/OS-FEDERATION/mappings/people")
    assert command(cloud).startswith("openstack mapping create people")


@pytest.fixture
async def way(cloud: Cloud) -> WayIn:
    return await open_way(cloud)


async def test_whom_claims_mean(way: WayIn) -> None:
    users = len(way.cloud.service.snapshot.users)
    _, mapping = here(way.cloud, {"preferred_username": "jane"})
    assert mapping.good
    assert "the user jane in the domain" in mapping.said
    assert len(way.cloud.service.snapshot.users) == users
    _, nobody = here(way.cloud, {"email": "jane@example.com"})
    assert nobody.good is False
    assert "OIDC-email" in nobody.next_step
    _, local = await _mapped(way, {"user": {"name": "{0}", "type": "local", "domain": {"id": "default"}}})
    assert "here already" in local.said


async def test_another_issuer_is_told(way: WayIn) -> None:
    body = {"identity_provider": {"remote_ids": ["https://other.example.com"]}}
    await way.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", body)
    _, mapping = here(way.cloud, {"preferred_username": "jane"})
    assert mapping.good is False
    assert mapping.next_step == f"openstack identity provider set acme --remote-id {ISSUER}"


async def _mapped(way: WayIn, *local: Any) -> list[Check]:
    await way.map([{"local": list(local), "remote": [{"type": "OIDC-preferred_username"}]}], "2.0")
    return here(way.cloud, {"preferred_username": "jane"})


async def test_places_that_are_here_and_those_that_are_not(way: WayIn) -> None:
    group = await way.made("POST", "/v3/groups", {"group": {"name": "dev", "domain_id": "default"}})
    user = {"user": {"name": "{0}"}}
    _, _, *places = await _mapped(
        way,
        user,
        {"group": {"id": group["id"]}},
        {"group": {"id": "unknown"}},
        {"group": {"name": "dev", "domain": {"name": "Default"}}},
        {"group": {"name": "ops", "domain": {"name": "Default"}}},
        {"group": {"name": "dev", "domain": {"name": "nowhere"}}},
        {"projects": [{"name": "p", "roles": [{"name": "Member"}]}, {"name": "q", "roles": [{"name": "lord"}]}]},
    )
    assert [check.good for check in places] == [True, False, True, None, None, True, False]
    assert "lord" in places[-1].next_step
    for domain in ({"id": "nowhere"}, {"name": "nowhere"}):
        _, mapping = await _mapped(way, {"user": {"name": "{0}", "domain": domain}})
        assert mapping.good is False
        assert "domain nowhere does not exist" in mapping.said


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["other"], "there are: acme (openid), acme (second)"),
        (["acme"], "say which by --protocol: openid, second"),
        (["acme", "--protocol", "third"], "there are: acme (openid), acme (second)"),
        (["acme", "--protocol", "second", "--claims", "list"], "is no JSON object"),
        (["acme", "--protocol", "second", "--claims", "text"], "is no JSON"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    block = f'[[openid_provider]]\nidentity_provider = "acme"\nissuer = "{ISSUER}"\nclient_id = "drystone"\n'
    Path("config").write_text(f'{block}protocol = "openid"\n{block}protocol = "second"\n')
    Path("list").write_text("[]")
    Path("text").write_text("{")
    done = CliRunner().invoke(auth_group(), ["test", "--identity-config", "config", *words])
    assert done.exit_code == 1
    assert said in done.output
