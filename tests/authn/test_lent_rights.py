"""Rights that are lent are used one by one, and make no other token."""

from __future__ import annotations

from typing import Any

from oauthlib.oauth1 import Client

from authn.keys import PROJECT_TARGET, Assignment
from authn.records import Project, User
from authn.records.credentials import ACCESS_TOKEN, CONSUMER, AccessToken, Consumer
from authn.rights import Scope
from authn.tokens import Proof
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask

SECRET = "hush"
LOGIN = "/v3/auth/tokens"


async def key_of(cloud: Cloud, user: User, project: Project, role: str) -> tuple[Consumer, AccessToken]:
    """A key that the user let a program have."""
    administration, sealed = cloud.service.administration, cloud.service.vault.seal(SECRET.encode())
    consumer = Consumer(administration.new_id(), sealed)
    await administration.create(CONSUMER, lambda snapshot: snapshot.consumers, consumer)
    roles = (cloud.made.role_ids[role],)
    access = AccessToken(administration.new_id(), sealed, consumer.id, user.id, project.id, roles, 0)
    await administration.create(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, access)
    return consumer, access


async def signed_login(cloud: Cloud, consumer: Consumer, access: AccessToken, identity: Any) -> Answer:
    stamp = str(cloud.clock.wall_us() // 1_000_000)
    client = Client(consumer.id, SECRET, access.id, SECRET, timestamp=stamp)
    _, headers, _ = client.sign(f"http://cloud:8080/identity{LOGIN}", "POST")
    return await ask(
        cloud, "POST", LOGIN, {"auth": {"identity": identity}}, headers={"authorization": headers["Authorization"]}
    )


async def test_two_that_lend_do_not_lend_together(cloud: Cloud) -> None:
    """The roles of the one would count in the project of the other."""
    wide, narrow = await cloud.project("wide"), await cloud.project("narrow")
    ann = await cloud.user("ann", wide, "admin")
    await cloud.service.administration.assign(Assignment(ann.id, narrow.id, cloud.made.role_ids["admin"]))
    body = {"application_credential": {"name": "n", "secret": SECRET}}
    path = f"/v3/users/{ann.id}/application_credentials"
    made = (await ask(cloud, "POST", path, body, token=await cloud.token("ann", wide))).json["application_credential"]
    consumer, access = await key_of(cloud, ann, narrow, "reader")
    lent = {"application_credential": {"id": made["id"], "secret": SECRET}, "oauth1": {}}
    alone = await signed_login(cloud, consumer, access, {"methods": ["oauth1"], **lent})
    assert [role["name"] for role in alone.json["token"]["roles"]] == ["reader"]
    both = {"methods": ["oauth1", "application_credential"], **lent}
    assert (await signed_login(cloud, consumer, access, both)).status == 401


async def test_a_token_of_a_signature_makes_no_other(cloud: Cloud) -> None:
    here, other = await cloud.project("here"), await cloud.project("other")
    ann = await cloud.user("ann", here)
    await cloud.service.administration.assign(Assignment(ann.id, other.id, cloud.made.role_ids["admin"]))
    for method, status in (("password", 201), ("ec2credential", 403)):
        token, _ = cloud.service.tokens.issue(Proof(ann, frozenset({method})), Scope(PROJECT_TARGET, here.id))
        identity = {"methods": ["token"], "token": {"id": token}}
        asked = {"auth": {"identity": identity, "scope": {"project": {"id": other.id}}}}
        assert (await ask(cloud, "POST", LOGIN, asked)).status == status
