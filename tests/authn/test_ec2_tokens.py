"""Services ask who signed a request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from authn.keys import Assignment
from authn.records import Project, User
from authn.records.credentials import (
    ACCESS_TOKEN,
    APPLICATION_CREDENTIAL,
    CREDENTIAL,
    TRUST,
    AccessToken,
    Credential,
    Trust,
)
from gateway.rest import times
from tests.authn.conftest import Cloud
from tests.authn.test_credentials import lent
from tests.authn.test_v3 import Answer, ask

HOST = "ec2.example.org"


def version_2(access: str, secret: str, **params: str) -> dict[str, Any]:
    """An EC2 request as a service hands it on."""
    params = {"AWSAccessKeyId": access, "SignatureMethod": "HmacSHA256", "SignatureVersion": "2", **params}
    query = "&".join(f"{name}={params[name]}" for name in sorted(params))
    signed = hmac.digest(secret.encode(), f"GET\n{HOST}\n/\n{query}".encode(), "sha256")
    return {
        "access": access,
        "signature": base64.b64encode(signed).decode(),
        "host": HOST,
        "verb": "GET",
        "path": "/",
        "params": params,
    }


def s3(access: str, secret: str) -> dict[str, Any]:
    """What an S3 server hands on."""
    text = b"AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/here/s3/aws4_request\n" + b"0" * 64
    key = b"AWS4" + secret.encode()
    for part in (b"20260101", b"here", b"s3", b"aws4_request"):
        key = hmac.digest(key, part, "sha256")
    return {
        "access": access,
        "token": base64.urlsafe_b64encode(text).decode(),
        "signature": hmac.new(key, text, hashlib.sha256).hexdigest(),
    }


def version_4(access: str, secret: str, date: str, **params: str) -> dict[str, Any]:
    """A POST as a service hands it on, whose parameters its signature does not cover."""
    scope = (date[:8], "here", "ec2", "aws4_request")
    canonical = f"POST\n/\n\nx-amz-date:{date}\n\nx-amz-date\n{'0' * 64}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4" + secret.encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    signed = hmac.new(key, f"AWS4-HMAC-SHA256\n{date}\n{'/'.join(scope)}\n{digest}".encode(), hashlib.sha256)
    credential = f"Credential={access}/{'/'.join(scope)}"
    return {
        "access": access,
        "signature": signed.hexdigest(),
        "host": HOST,
        "verb": "POST",
        "path": "/",
        "params": params,
        "headers": {"X-Amz-Date": date, "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=x-amz-date"},
        "body_hash": "0" * 64,
    }


class Signer:
    """A user with an EC2 credential, and a service that asks about it."""

    def __init__(self, cloud: Cloud, user: User, project: Project, service: str, held: dict[str, str]) -> None:
        self.cloud, self.user, self.project, self.service = cloud, user, project, service
        self.access, self.secret = held["access"], held["secret"]

    async def ask(self, sent: Any, path: str = "ec2tokens", token: str | None = None) -> Answer:
        caller = self.service if token is None else token
        return await ask(self.cloud, "POST", f"/v3/{path}", sent, token=caller)


async def signer(cloud: Cloud, token: str = "") -> Signer:
    project = cloud.service.snapshot.projects.named(("default", "quarry")) or await cloud.project("quarry")
    user = cloud.service.snapshot.users.named(("default", "ann")) or await cloud.user("ann", project)
    await cloud.user("service", project, "service")
    path = f"/v3/users/{user.id}/credentials/OS-EC2"
    token = token or await cloud.token("ann", project)
    held = (await ask(cloud, "POST", path, {"tenant_id": project.id}, token=token)).json["credential"]
    return Signer(cloud, user, project, await cloud.token("service", project), held)


async def test_a_signed_request_is_its_owners(cloud: Cloud) -> None:
    ann = await signer(cloud)
    for sent in (version_2(ann.access, ann.secret), version_2(ann.access, ann.secret, Action="x")):
        for name in ("credentials", "credential", "ec2Credentials"):
            answer = await ann.ask({name: sent})
            assert answer.status == 200
            token = answer.json["token"]
            assert (token["user"]["id"], token["project"]["id"]) == (ann.user.id, ann.project.id)
            assert token["methods"] == ["ec2credential"]
            assert {role["name"] for role in token["roles"]} == {"member", "reader"}
            identity = await cloud.service.identify(answer.headers["x-subject-token"])
            assert identity is not None
            assert identity.user_id == ann.user.id
    answer = await ann.ask({"credentials": s3(ann.access, ann.secret)}, "s3tokens")
    assert answer.status == 200
    assert answer.json["token"]["project"]["id"] == ann.project.id
    assert "x-subject-token" not in answer.headers


async def test_only_services_and_administrators_ask(cloud: Cloud) -> None:
    ann = await signer(cloud)
    hers = await cloud.token("ann", ann.project)
    for path, sent in (("ec2tokens", version_2(ann.access, ann.secret)), ("s3tokens", s3(ann.access, ann.secret))):
        body = {"credentials": sent}
        assert (await ann.ask(body, path, "")).status == 401
        assert (await ann.ask(body, path, hers)).status == 403
        assert (await ann.ask(body, path, await cloud.admin_token())).status == 200
        assert (await ask(cloud, "GET", f"/v3/{path}", token=ann.service)).status == 405


async def test_what_is_not_signed(cloud: Cloud) -> None:
    ann = await signer(cloud)
    good, good_s3 = version_2(ann.access, ann.secret), s3(ann.access, ann.secret)
    for path in ("ec2tokens", "s3tokens"):
        assert (await ann.ask({}, path)).status == 400
        assert (await ann.ask({"credentials": 5}, path)).status == 400
        assert (await ann.ask({"credentials": {"access": 5}}, path)).status == 400
        assert (await ann.ask({"credentials": {}}, path)).status == 401
        assert (await ann.ask({"credentials": {"access": None}}, path)).status == 401
        assert (await ann.ask({"credentials": {"access": ann.access}}, path)).status == 401
        assert (await ann.ask({"credentials": {**good, "access": "none"}}, path)).status == 404
    wrong: dict[str, Any]
    for wrong in ({"signature": "x"}, {"signature": ""}, {"verb": "PUT"}, {"params": {}}, {"params": None}):
        assert (await ann.ask({"credentials": {**good, **wrong}})).status == 401
    for wrong in ({"signature": "x"}, {"token": "x"}, {"token": ""}, {"token": None}):
        assert (await ann.ask({"credentials": {**good_s3, **wrong}}, "s3tokens")).status == 401


@pytest.mark.parametrize(
    ("changes", "secret", "status"),
    [
        ({}, "s", 200),
        ({"type": "EC2"}, "s", 404),
        ({"blob": '{"access": "key"}'}, "", 401),
        ({"blob": '{"access": "key", "secret": ""}'}, "", 401),
        ({"user_id": "nobody"}, "s", 401),
        ({"project_id": "none"}, "s", 401),
    ],
)
async def test_credentials_that_sign_nothing(cloud: Cloud, changes: Any, secret: str, status: int) -> None:
    ann = await signer(cloud)
    fields = {
        "type": "ec2",
        "blob": '{"access": "key", "secret": "s"}',
        "user_id": ann.user.id,
        "project_id": ann.project.id,
        **changes,
    }
    admin = await cloud.admin_token()
    assert (await ask(cloud, "POST", "/v3/credentials", {"credential": fields}, token=admin)).status == 201
    assert (await ann.ask({"credentials": s3("key", secret)}, "s3tokens")).status == status


async def test_a_request_is_signed_about_now(cloud: Cloud) -> None:
    ann = await signer(cloud)
    now_s = cloud.clock.wall_us() // 1_000_000
    for offset_s, status in ((0, 200), (-890, 200), (890, 200), (-910, 401), (910, 401)):
        stated = datetime.fromtimestamp(now_s + offset_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        sent = version_2(ann.access, ann.secret, Timestamp=stated)
        assert (await ann.ask({"credentials": sent})).status == status
        sent = {**s3(ann.access, ann.secret), "headers": {"x-amz-DATE": stated}}
        assert (await ann.ask({"credentials": sent}, "s3tokens")).status == status
    sent = version_2(ann.access, ann.secret, Timestamp="yesterday")
    assert (await ann.ask({"credentials": sent})).status == 401


async def test_no_time_counts_that_the_signature_does_not_cover(cloud: Cloud) -> None:
    ann = await signer(cloud)
    now_s = cloud.clock.wall_us() // 1_000_000
    for offset_s, status in ((0, 200), (-910, 401)):
        signed, now = (datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ") for at in (now_s + offset_s, now_s))
        for params in ({}, {"Timestamp": now}, {"X-Amz-Date": now}):
            sent = version_4(ann.access, ann.secret, signed, **params)
            assert (await ann.ask({"credentials": sent})).status == status


async def test_who_may_no_longer_is_nobody(cloud: Cloud) -> None:
    ann = await signer(cloud)
    body = {"credentials": version_2(ann.access, ann.secret)}
    held = Assignment(ann.user.id, ann.project.id, cloud.made.role_ids["member"])
    await cloud.service.administration.unassign(held)
    assert (await ann.ask(body)).status == 401
    await cloud.service.administration.assign(held)
    assert (await ann.ask(body)).status == 200
    await cloud.service.administration.delete_user(ann.user.id)
    assert (await ann.ask(body)).status == 404


async def test_a_credential_of_an_application_credential_is_no_more_than_that(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project, "manager")
    ann = await signer(cloud, await lent(cloud, user, project, unrestricted=True))
    body = {"credentials": version_2(ann.access, ann.secret)}
    token = (await ann.ask(body)).json["token"]
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    (credential,) = cloud.service.snapshot.application_credentials
    assert token["application_credential"]["id"] == credential.id
    await cloud.service.administration.delete(
        APPLICATION_CREDENTIAL, lambda snapshot: snapshot.application_credentials, credential.id
    )
    assert (await ann.ask(body)).status == 401


async def test_a_blob_that_names_anothers_delegation_is_nobody(cloud: Cloud) -> None:
    """Such as one that was stored before anybody looked."""
    ann = await signer(cloud)
    admin = cloud.service.snapshot.users.named(("default", "admin"))
    assert admin is not None
    administration = cloud.service.administration
    for trustor, impersonation, status in ((admin.id, True, 401), (ann.user.id, True, 200), (admin.id, False, 200)):
        if trustor == admin.id:
            held = Assignment(admin.id, ann.project.id, cloud.made.role_ids["admin"])
            await administration.assign(held)
        trust = Trust(
            id=administration.new_id(),
            trustor_user_id=trustor,
            trustee_user_id=ann.user.id,
            project_id=ann.project.id,
            role_ids=(cloud.made.role_ids["member"],),
            impersonation=impersonation,
            expires_s=cloud.clock.wall_us() // 1_000_000 + 60,
            remaining_uses=1,
        )
        await administration.create(TRUST, lambda snapshot: snapshot.trusts, trust)
        access = f"key {trust.id}"
        blob = json.dumps({"access": access, "secret": "s", "trust_id": trust.id}).encode()
        credential = Credential(
            id=hashlib.sha256(access.encode()).hexdigest(),
            user_id=ann.user.id,
            type="ec2",
            sealed=cloud.service.vault.seal(blob),
            project_id=ann.project.id,
        )
        await administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, credential)
        answer = await ann.ask({"credentials": s3(access, "s")}, "s3tokens")
        assert answer.status == status
        if status == 200:
            assert answer.json["token"]["expires_at"] == times.shown(trust.expires_s)
            assert (await ann.ask({"credentials": s3(access, "s")}, "s3tokens")).status == 401  # it is used up


async def test_a_credential_of_an_oauth_key_ends_with_it(cloud: Cloud) -> None:
    ann = await signer(cloud)
    administration = cloud.service.administration
    key = AccessToken(
        id=administration.new_id(),
        sealed_secret=b"",
        consumer_id="c",
        authorizing_user_id=ann.user.id,
        project_id=ann.project.id,
        role_ids=(cloud.made.role_ids["reader"],),
        expires_s=cloud.clock.wall_us() // 1_000_000 + 60,
    )
    await administration.create(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, key)
    blob = json.dumps({"access": "key", "secret": "s", "access_token_id": key.id}).encode()
    credential = Credential(
        id=hashlib.sha256(b"key").hexdigest(),
        user_id=ann.user.id,
        type="ec2",
        sealed=cloud.service.vault.seal(blob),
        project_id=ann.project.id,
    )
    await administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, credential)
    token = (await ann.ask({"credentials": s3("key", "s")}, "s3tokens")).json["token"]
    assert token["expires_at"] == times.shown(key.expires_s)
    assert [role["name"] for role in token["roles"]] == ["reader"]
