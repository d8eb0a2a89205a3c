"""OAuth 2.0's client credentials: an application credential becomes a token."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.authn.conftest import LIFETIME_S, Cloud
from tests.authn.test_v3 import Answer, ask

FORM = b"grant_type=client_credentials"


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def asked(cloud: Cloud, raw: bytes = FORM, headers: dict[str, str] | None = None) -> Answer:
    return await ask(cloud, "POST", "/v3/OS-OAUTH2/token", raw=raw, headers=headers)


@pytest.fixture
async def credential(cloud: Cloud) -> dict[str, Any]:
    admin = await cloud.admin_token()
    body = {"application_credential": {"name": "backup", "secret": "hush:+ hush", "roles": [{"name": "reader"}]}}
    path = f"/v3/users/{cloud.made.user_id}/application_credentials"
    made: dict[str, Any] = (await ask(cloud, "POST", path, body, token=admin)).json["application_credential"]
    return made


async def test_a_client_gets_a_token_of_its_project(cloud: Cloud, credential: dict[str, Any]) -> None:
    answer = await asked(cloud, headers=basic(credential["id"], "hush%3A%2B+hush"))
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", LIFETIME_S)
    identity = await cloud.service.identify(answer.json["access_token"])
    assert identity is not None
    assert (identity.project_id, identity.roles) == (cloud.made.project_id, frozenset({"reader"}))


async def test_the_form_may_say_who_it_is(cloud: Cloud, credential: dict[str, Any]) -> None:
    form = f"grant_type=client_credentials&client_id={credential['id']}&client_secret=hush%3A%2B+hush"
    assert (await asked(cloud, form.encode())).status == 200


@pytest.mark.parametrize("client", [("nobody", "x"), ("", ""), ("ID", "wrong")])
async def test_who_is_not_known_is_an_invalid_client(
    cloud: Cloud, credential: dict[str, Any], client: tuple[str, str]
) -> None:
    answer = await asked(cloud, headers=basic(client[0].replace("ID", credential["id"]), client[1]))
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")
    assert (await asked(cloud, headers={"authorization": "Basic !"})).status == 401


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", "invalid_request"),
        (b"grant_type", "invalid_request"),
        (b"\xff", "invalid_request"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (b"grant_type=password", "unsupported_grant_type"),
    ],
)
async def test_what_is_no_such_request_is_refused(cloud: Cloud, raw: bytes, error: str) -> None:
    answer = await asked(cloud, raw)
    assert (answer.status, answer.json["error"]) == (400, error)


@pytest.mark.parametrize(("rule", "status"), [(["password", "totp"], 401), (["application_credential"], 200)])
async def test_who_has_to_show_more_gets_no_token_this_way(
    cloud: Cloud, credential: dict[str, Any], rule: list[str], status: int
) -> None:
    admin = await cloud.admin_token()
    options = {"user": {"options": {"multi_factor_auth_rules": [rule]}}}
    await ask(cloud, "PATCH", f"/v3/users/{cloud.made.user_id}", options, token=admin)
    answer = await asked(cloud, headers=basic(credential["id"], "hush%3A%2B+hush"))
    assert answer.status == status
