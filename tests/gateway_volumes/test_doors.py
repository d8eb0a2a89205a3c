"""Bounds of what is kept, queries that nobody means well, and access rules."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from authn.access_rules import AllowedRequests
from authn.records.credentials import AccessRule
from gateway.volumes.policy import volume_policy
from tests.gateway_volumes import cloud as clouds
from tests.gateway_volumes.cloud import Cloud


@pytest.mark.parametrize("query", ["metadata={'a':0x" + "f" * 3900 + "}", "metadata={0x" + "f" * 3900 + ":'a'}"])
async def test_filters_with_endless_numbers(cloud: Cloud, query: str) -> None:
    assert (await cloud.ask("GET", f"/volumes?{query}")).status == 400


@pytest.mark.parametrize("kind", ["volumes", "snapshots"])
async def test_metadata_have_an_end(cloud: Cloud, kind: str) -> None:
    """And what has come to it can be deleted as before."""
    volume = (await cloud.create())["id"]
    id_ = volume if kind == "volumes" else (await cloud.snapshot(volume))["id"]
    path = f"/{kind}/{id_}"
    bodies = [{"metadata": {f"{number}-{one}": "x" * 250 for one in range(240)}} for number in range(3)]
    assert [(await cloud.ask("POST", f"{path}/metadata", body)).status for body in bodies] == [200, 200, 400]
    assert (await cloud.ask("DELETE", path)).status == 202


async def test_what_is_known_of_an_image_has_an_end(cloud: Cloud) -> None:
    volume = (await cloud.create())["id"]
    bodies = [{"metadata": {f"{number}-{one}": "x" * 250 for one in range(240)}} for number in range(3)]
    assert [(await cloud.act(volume, "os-set_image_metadata", body)).status for body in bodies] == [200, 200, 400]


@dataclass(frozen=True)
class Bound(clouds.Held):
    """A token of an application credential."""

    allowed: AllowedRequests  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("service", "status"), [("volumev3", 200), ("block-storage", 200), ("volume", 200), ("image", 401)]
)
async def test_access_rules_name_the_service_as_catalogues_do(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, service: str, status: int
) -> None:
    rule = AccessRule("rule", "user", service, "GET", "/v3/*/volumes")
    read = clouds.Tokens.read

    async def bound(
        self: clouds.Tokens, token: str, certificate: str = "", *, expired_s: int = 0
    ) -> clouds.Held | None:
        held = await read(self, token, certificate, expired_s=expired_s)
        return None if held is None else Bound(held.identity, AllowedRequests((rule,)))

    monkeypatch.setattr(clouds.Tokens, "read", bound)
    assert (await cloud.ask("GET", "/blue/volumes")).status == status


@pytest.mark.parametrize("scope", [{"domain_id": "acme"}, {"system_scope": "all"}])
def test_an_administrator_of_a_domain_or_of_the_system_is_none_of_everybodys_volumes(scope: dict[str, str]) -> None:
    policy = volume_policy()
    credentials = {"user_id": "u", "project_id": None, "roles": frozenset({"admin", "member", "reader"}), **scope}
    assert not [name for name in policy.operations if policy.decide(name, credentials, {"project_id": "blue"})]
    of_project = {"user_id": "u", "project_id": "red", "roles": frozenset({"admin"})}
    assert policy.decide("volume:get_all", of_project, {"project_id": "blue"})
