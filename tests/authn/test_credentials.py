"""Credentials of every type, and EC2's, as clients keep them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from authn.keys import PROJECT_TARGET
from authn.records import Project, User
from authn.records.credentials import APPLICATION_CREDENTIAL, ApplicationCredential
from authn.rights import Scope
from authn.tokens import Proof
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask

EC2 = {"type": "ec2", "blob": '{"access": "key", "secret": "hush"}'}


async def lent(cloud: Cloud, user: User, project: Project, *, unrestricted: bool, role: str = "member") -> str:
    """A token of an application credential."""
    credential = ApplicationCredential(
        id=cloud.service.administration.new_id(),
        name=f"lent {unrestricted} {project.name}",
        user_id=user.id,
        project_id=project.id,
        secret_hash="x",
        role_ids=(cloud.made.role_ids[role],),
        unrestricted=unrestricted,
    )
    await cloud.service.administration.create(
        APPLICATION_CREDENTIAL, lambda snapshot: snapshot.application_credentials, credential
    )
    proof = Proof(user, frozenset({"application_credential"}), application_credential=credential)
    return cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, project.id))[0]


async def make(cloud: Cloud, token: str, **fields: Any) -> Answer:
    return await ask(cloud, "POST", "/v3/credentials", {"credential": fields}, token=token)


async def test_a_credential_lives(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    token = await cloud.token("ann", project)
    made = await make(cloud, token, type="cert", blob="pem", user_id=ann.id, colour="grey")
    assert made.status == 201
    credential = made.json["credential"]
    assert credential == {
        "id": credential["id"],
        "user_id": ann.id,
        "project_id": None,
        "type": "cert",
        "blob": "pem",
        "colour": "grey",
        "links": {"self": f"http://cloud:8080/identity/v3/credentials/{credential['id']}"},
    }
    path = f"/v3/credentials/{credential['id']}"
    assert (await ask(cloud, "GET", path, token=token)).json["credential"] == credential
    changed = await ask(cloud, "PATCH", path, {"credential": {"blob": "pem2", "type": "cert"}}, token=token)
    assert changed.json["credential"] == {**credential, "blob": "pem2"}
    for change in (
        {"blob": "x", "user_id": "y"},
        {"blob": "x", "type": "ec2"},
        {"blob": "x", "a": 1},
        {"type": "z"},
        {},
    ):
        assert (await ask(cloud, "PATCH", path, {"credential": change}, token=token)).status == 400
    assert (await ask(cloud, "DELETE", path, token=token)).status == 204
    assert (await ask(cloud, "GET", path, token=token)).status == 403
    assert (await ask(cloud, "GET", path, token=await cloud.admin_token())).status == 404


async def test_a_secret_is_sealed_in_the_registry(cloud: Cloud) -> None:
    await make(cloud, await cloud.admin_token(), type="cert", blob="very secret", user_id="u")
    (stored,) = cloud.service.snapshot.credentials
    assert b"very secret" not in stored.sealed
    assert cloud.service.vault.open(stored.sealed) == b"very secret"


async def test_everybody_sees_their_own(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    project = await cloud.project("quarry")
    ann, bob = await cloud.user("ann", project), await cloud.user("bob", project)
    hers = (await make(cloud, admin, type="cert", blob="a", user_id=ann.id)).json["credential"]
    his = (await make(cloud, admin, type="totp", blob="b", user_id=bob.id)).json["credential"]
    token = await cloud.token("ann", project)

    async def listed(token: str, query: str = "") -> list[str]:
        rows = (await ask(cloud, "GET", f"/v3/credentials{query}", token=token)).json["credentials"]
        return [row["id"] for row in rows]

    assert await listed(token) == [hers["id"]]
    assert await listed(token, f"?user_id={bob.id}") == []
    assert set(await listed(admin)) == {hers["id"], his["id"]}
    assert await listed(admin, f"?user_id={bob.id}") == [his["id"]]
    assert await listed(admin, "?type=cert") == [hers["id"]]
    for method, body in (("GET", None), ("PATCH", {"credential": {"blob": "x"}}), ("DELETE", None)):
        for id_ in (his["id"], "none"):
            assert (await ask(cloud, method, f"/v3/credentials/{id_}", body, token=token)).status == 403
    assert (await make(cloud, token, type="cert", blob="x", user_id=bob.id)).status == 403
    assert (await make(cloud, "", type="cert", blob="x", user_id=bob.id)).status == 401


async def test_an_ec2_credential_is_found_by_its_access_key(cloud: Cloud) -> None:
    admin, project = await cloud.admin_token(), await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    made = await make(cloud, admin, **EC2, user_id=ann.id, project_id=project.id)
    assert made.json["credential"]["id"] == hashlib.sha256(b"key").hexdigest()
    assert made.json["credential"]["blob"] == EC2["blob"]
    assert (await make(cloud, admin, **EC2, user_id=ann.id, project_id=project.id)).status == 409
    path = f"/v3/credentials/{made.json['credential']['id']}"
    for blob, status in (
        ('{"access": "key", "secret": "new"}', 200),
        ('{"access": "key", "secret": "new", "trust_id": "x"}', 400),
        ('{"access": "key", "secret": "new", "app_cred_id": "x"}', 400),
        ('{"secret": "new"}', 400),
        ("new", 400),
    ):
        assert (await ask(cloud, "PATCH", path, {"credential": {"blob": blob}}, token=admin)).status == status


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "ec2", "blob": "x", "project_id": "p"},
        {"type": "ec2", "blob": "[]", "project_id": "p"},
        {"type": "ec2", "blob": "[" * 20_000, "project_id": "p"},
        {"type": "ec2", "blob": '{"secret": "s"}', "project_id": "p"},
        {"type": "ec2", "blob": '{"access": 5}', "project_id": "p"},
        {"type": "ec2", "blob": '{"access": "a", "trust_id": "somebody\'s"}', "project_id": "p"},
        {"type": "EC2", "blob": '{"access": "a"}'},
        {"type": "cert"},
        {"type": "cert", "blob": {}},
        {"type": "cert", "blob": "\ud800"},
        {"type": "", "blob": "x"},
        {"blob": "x"},
        {"type": "cert", "blob": "x", "user_id": None},
    ],
)
async def test_what_is_no_credential(cloud: Cloud, fields: dict[str, Any]) -> None:
    token = await cloud.admin_token()
    assert (await make(cloud, token, **{"user_id": "u", **fields})).status == 400


async def test_a_delegated_token_reaches_its_projects_only(cloud: Cloud) -> None:
    project, other = await cloud.project("quarry"), await cloud.project("other")
    ann = await cloud.user("ann", project)
    own = await cloud.token("ann", project)
    inside = (await make(cloud, own, type="cert", blob="a", user_id=ann.id, project_id=project.id)).json["credential"]
    outside = (await make(cloud, own, type="cert", blob="a", user_id=ann.id, project_id=other.id)).json["credential"]
    factor = (await make(cloud, own, type="totp", blob="a", user_id=ann.id)).json["credential"]
    token = await lent(cloud, ann, project, unrestricted=False)
    rows = (await ask(cloud, "GET", "/v3/credentials", token=token)).json["credentials"]
    assert [row["id"] for row in rows] == [inside["id"]]
    body = {"credential": {"blob": "b"}}
    for credential in (outside, factor):
        for method in ("GET", "PATCH", "DELETE"):
            path = f"/v3/credentials/{credential['id']}"
            assert (await ask(cloud, method, path, body, token=token)).status == 403
    path = f"/v3/credentials/{inside['id']}"
    assert (await ask(cloud, "PATCH", path, body, token=token)).status == 200
    assert (await make(cloud, token, type="cert", blob="a", user_id=ann.id)).status == 403
    assert (await make(cloud, token, type="cert", blob="a", user_id=ann.id, project_id=project.id)).status == 201


async def test_ec2_credentials_of_delegated_tokens_say_so(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    fields = {**EC2, "user_id": ann.id, "project_id": project.id}
    own_path = f"/v3/users/{ann.id}/credentials/OS-EC2"
    restricted = await lent(cloud, ann, project, unrestricted=False)
    assert (await make(cloud, restricted, **fields)).status == 403
    assert (await ask(cloud, "POST", own_path, {"tenant_id": project.id}, token=restricted)).status == 403
    free = await lent(cloud, ann, project, unrestricted=True)
    blob = json.loads((await make(cloud, free, **fields)).json["credential"]["blob"])
    (id_,) = [one.id for one in cloud.service.snapshot.application_credentials if one.unrestricted]
    assert blob == {"access": "key", "secret": "hush", "app_cred_id": id_}
    made = await ask(cloud, "POST", own_path, {"tenant_id": project.id}, token=free)
    assert made.status == 201
    shown = await ask(
        cloud,
        "GET",
        f"/v3/credentials/{hashlib.sha256(made.json['credential']['access'].encode()).hexdigest()}",
        token=free,
    )
    assert json.loads(shown.json["credential"]["blob"])["app_cred_id"] == id_


async def test_os_ec2_lives(cloud: Cloud) -> None:
    project, other = await cloud.project("quarry"), await cloud.project("other")
    ann, bob = await cloud.user("ann", project), await cloud.user("bob", project)
    token, his, admin = await cloud.token("ann", project), await cloud.token("bob", project), await cloud.admin_token()
    path = f"/v3/users/{ann.id}/credentials/OS-EC2"
    made = await ask(cloud, "POST", path, {"tenant_id": project.id}, token=token)
    assert made.status == 201
    credential = made.json["credential"]
    own = f"{path}/{credential['access']}"
    assert credential == {
        "user_id": ann.id,
        "tenant_id": project.id,
        "access": credential["access"],
        "secret": credential["secret"],
        "trust_id": None,
        "links": {"self": f"http://cloud:8080/identity{own}"},
    }
    assert credential["secret"] != credential["access"]
    for caller in (token, admin):
        assert (await ask(cloud, "GET", own, token=caller)).json["credential"] == credential
        assert (await ask(cloud, "GET", path, token=caller)).json["credentials"] == [credential]
        assert (await ask(cloud, "GET", f"{path}/none", token=caller)).status == 404
    his_path = f"/v3/users/{bob.id}/credentials/OS-EC2/{credential['access']}"
    for method, where in (("GET", path), ("GET", own), ("DELETE", own), ("DELETE", his_path), ("GET", his_path)):
        assert (await ask(cloud, method, where, token=his)).status == 403
        assert (await ask(cloud, method, where)).status == 401
    assert (await ask(cloud, "POST", path, {"tenant_id": project.id}, token=his)).status == 403
    assert (await ask(cloud, "POST", path, {"tenant_id": "none"}, token=token)).status == 404
    assert (await ask(cloud, "POST", path, {}, token=token)).status == 404
    assert (await ask(cloud, "POST", path, {"tenant_id": 5}, token=token)).status == 400
    assert (await ask(cloud, "POST", path.replace(ann.id, "x"), {"tenant_id": project.id}, token=admin)).status == 404
    assert (await ask(cloud, "GET", path.replace(ann.id, "x"), token=admin)).status == 404
    elsewhere = await ask(cloud, "POST", path, {"tenant_id": other.id}, token=admin)
    delegated = await lent(cloud, ann, project, unrestricted=True)
    assert (await ask(cloud, "GET", path, token=delegated)).json["credentials"] == []
    assert (await ask(cloud, "GET", own, token=delegated)).status == 403
    outside = f"{path}/{elsewhere.json['credential']['access']}"
    assert (await ask(cloud, "GET", outside, token=delegated)).status == 403
    assert (await ask(cloud, "POST", path, {"tenant_id": other.id}, token=delegated)).status == 403
    assert (await ask(cloud, "DELETE", own, token=token)).status == 204
    assert (await ask(cloud, "GET", own, token=token)).status == 404
