"""OAuth 2.0 mutual TLS: a user's program shows a certificate and gets a token that is nothing without it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from authn.errors import UnauthorizedError
from authn.federation.certificate import assertion_of_certificate
from authn.records import User
from authn.service_call import ServiceCall
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud
from tests.authn.test_v3 import Answer, ask
from tests.federation.fake_provider import NOW
from tests.federation.test_certificate import ISSUER, name

RULES: list[dict[str, Any]] = [
    {
        "local": [{"user": {"name": "{0}", "email": "{1}", "domain": {"name": "{2}"}}}],
        "remote": [
            {"type": "SSL_CLIENT_SUBJECT_DN_CN"},
            {"type": "SSL_CLIENT_SUBJECT_DN_EMAILADDRESS"},
            {"type": "SSL_CLIENT_SUBJECT_DN_O"},
            {"type": "SSL_CLIENT_ISSUER_DN_CN", "any_one_of": ["CA"]},
        ],
    }
]
BY_NAME = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}]}]
BY_ID = [{"local": [{"user": {"id": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_UID"}]}]


def card(
    subject: str = "robot",
    *,
    email: str = "robot@example.com",
    domain: str = "Default",
    issuer: x509.Name = ISSUER,
    ends: float = NOW + 10 * LIFETIME_S,
    user_id: str = "",
) -> str:
    """A certificate in PEM; each has a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [(NameOID.COMMON_NAME, subject), (NameOID.EMAIL_ADDRESS, email), (NameOID.ORGANIZATION_NAME, domain)]
    names = name(*parts, *([(NameOID.USER_ID, user_id)] if user_id else []))
    first, last = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (NOW - 9, ends))
    builder = x509.CertificateBuilder(issuer, names, key.public_key(), 7, first, last)
    return ssl.DER_cert_to_PEM_cert(builder.sign(key, SHA256()).public_bytes(Encoding.DER))


def on(certificate: str | None, error: str | None = None) -> dict[str, Any]:
    """What the server says of a connection whose client has shown this."""
    return {"tls": {"client_cert_chain": [certificate] if certificate else [], "client_cert_error": error}}


async def asked(cloud: Cloud, certificate: str | None, client_id: str, form: str = "", **told: Any) -> Answer:
    raw = f"grant_type=client_credentials&client_id={client_id}{form}".encode()
    return await ask(cloud, "POST", "/v3/OS-OAUTH2/token", raw=raw, extensions=on(certificate), **told)


async def mapped(cloud: Cloud, rules: list[dict[str, Any]]) -> None:
    admin = await cloud.admin_token()
    answer = await ask(
        cloud, "PUT", "/v3/OS-FEDERATION/mappings/oauth2_mapping", {"mapping": {"rules": rules}}, token=admin
    )
    assert answer.status == 201, answer.text


@pytest.fixture
async def robot(cloud: Cloud) -> User:
    """A user with a project, a role there and an address."""
    project = await cloud.project("quarry")
    user = await cloud.user("robot", project, "reader")
    admin = await cloud.admin_token()
    body = {"user": {"default_project_id": project.id, "email": "robot@example.com"}}
    assert (await ask(cloud, "PATCH", f"/v3/users/{user.id}", body, token=admin)).status == 200
    return cloud.service.snapshot.users.require(user.id)


@pytest.fixture
async def bound(cloud: Cloud, robot: User) -> tuple[str, str]:
    """A token, and the certificate that it is bound to."""
    await mapped(cloud, RULES)
    certificate = card()
    return (await asked(cloud, certificate, robot.id)).json["access_token"], certificate


async def test_a_certificate_makes_a_token_for_its_users_default_project(cloud: Cloud, robot: User) -> None:
    await mapped(cloud, RULES)
    certificate = card()
    answer = await asked(cloud, certificate, robot.id)
    assert (answer.status, answer.json["token_type"], answer.json["expires_in"]) == (200, "Bearer", LIFETIME_S)
    identity = await cloud.service.identify(answer.json["access_token"], certificate)
    assert identity is not None
    assert (identity.user_id, identity.project_id) == (robot.id, robot.default_project_id)
    assert identity.roles == {"reader"}


async def test_what_a_token_is_bound_to_is_shown_as_keystone_shows_it(cloud: Cloud, bound: tuple[str, str]) -> None:
    """keystonemiddleware's `oauth2_mtls_token` compares just this."""
    token, certificate = bound
    admin = await cloud.admin_token()
    told = await ask(cloud, "GET", "/v3/auth/tokens", token=admin, headers={"x-subject-token": token})
    assert told.status == 200
    digest = hashlib.sha256(ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(certificate)).encode()).digest()
    assert told.json["token"]["oauth2_credential"] == {"x5t#S256": base64.urlsafe_b64encode(digest).decode()}
    assert told.json["token"]["methods"] == ["oauth2_credential"]


async def test_a_bound_token_is_nothing_without_its_certificate(cloud: Cloud, bound: tuple[str, str]) -> None:
    token, certificate = bound
    assert await cloud.service.identify(token, certificate) is not None
    assert cloud.service.known(token) is None
    for other in ("", card(), certificate.replace("\n", "")):
        assert await cloud.service.identify(token, other) is None
    headers = {"x-subject-token": token}
    for shown in (None, card()):
        answer = await ask(cloud, "GET", "/v3/auth/tokens", token=token, headers=headers, extensions=on(shown))
        assert answer.status == 401
    answer = await ask(cloud, "GET", "/v3/auth/tokens", token=token, headers=headers, extensions=on(certificate, "x"))
    assert answer.status == 401, "a certificate that the server has not verified"
    answer = await ask(cloud, "GET", "/v3/auth/tokens", token=token, headers=headers, extensions=on(certificate))
    assert answer.status == 200


async def test_what_is_made_of_a_bound_token_is_bound(cloud: Cloud, bound: tuple[str, str], robot: User) -> None:
    token, certificate = bound
    identity = {"methods": ["token"], "token": {"id": token}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": robot.default_project_id}}}}
    assert (await ask(cloud, "POST", "/v3/auth/tokens", body)).status == 404
    assert (await ask(cloud, "POST", "/v3/auth/tokens", body, extensions=on(card()))).status == 404
    answer = await ask(cloud, "POST", "/v3/auth/tokens", body, extensions=on(certificate))
    assert answer.status == 201
    assert "oauth2_credential" in answer.json["token"]
    assert await cloud.service.identify(answer.headers["x-subject-token"]) is None
    assert await cloud.service.identify(answer.headers["x-subject-token"], certificate) is not None


async def test_other_services_ask_for_the_certificate(cloud: Cloud, bound: tuple[str, str]) -> None:
    token, certificate = bound

    async def receive() -> Any:
        raise AssertionError

    async def project(shown: str | None, **headers: str) -> str:
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/image/v2/images",
            "headers": fields,
            "extensions": on(shown),
        }
        call = ServiceCall(cloud.service, ("image",), "/image", scope, receive, cloud.service.policy)
        held = await call.identify(call.token())
        return str(held.credentials["project_id"]) if held is not None else ""

    assert await project(certificate, x_auth_token=token)
    assert not await project(None, x_auth_token=token)
    assert not await project(card(), x_auth_token=token)
    assert await project(certificate, authorization=f"Bearer {token}"), "as clients of OAuth 2.0 send it (RFC 6750)"
    assert not await project(card(), authorization=f"bearer {token}")
    assert not await project(certificate, authorization=f"Basic {token}")


async def test_a_token_ends_with_its_certificate(cloud: Cloud, robot: User) -> None:
    await mapped(cloud, RULES)
    now = cloud.clock.wall_us() / 1e6
    certificate = card(ends=now + 60)
    answer = await asked(cloud, certificate, robot.id)
    assert answer.json["expires_in"] <= 60
    cloud.clock.advance(61)
    assert await cloud.service.identify(answer.json["access_token"], certificate) is None
    assert (await asked(cloud, certificate, robot.id)).status == 401


@pytest.mark.parametrize(
    "certificate",
    [
        card("other"),
        card(email="other@example.com"),
        card(domain="Other"),
        card(issuer=name((NameOID.COMMON_NAME, "Another CA"))),
        card(ends=NOW - 1),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        None,
    ],
)
async def test_another_certificate_is_refused(cloud: Cloud, robot: User, certificate: str | None) -> None:
    await mapped(cloud, RULES)
    answer = await asked(cloud, certificate, robot.id)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.json["error_description"] == "Client authentication failed."


WHITELISTED = [
    {
        "local": [{"user": {"name": "{0}", "domain": {"name": "{1}"}}}],
        "remote": [
            {"type": "SSL_CLIENT_SUBJECT_DN_CN"},
            {"type": "SSL_CLIENT_SUBJECT_DN_O", "whitelist": ["Acme"]},
        ],
    }
]
BLACKLISTED = [
    {
        "local": [{"user": {"id": "{0}", "name": "{1}"}}],
        "remote": [
            {"type": "SSL_CLIENT_SUBJECT_DN_UID", "blacklist": ["root"]},
            {"type": "SSL_CLIENT_SUBJECT_DN_CN"},
        ],
    }
]


@pytest.mark.parametrize(
    ("rules", "certificate"), [(WHITELISTED, card(domain="Evil")), (BLACKLISTED, card(user_id="root"))]
)
async def test_what_the_mapping_says_and_comes_out_empty_is_so_of_nobody(
    cloud: Cloud, robot: User, rules: list[dict[str, Any]], certificate: str
) -> None:
    """A domain that is not let through is not the first domain, nor is an id that is not let through left out."""
    await mapped(cloud, rules)
    assert (await asked(cloud, certificate, robot.id)).status == 401


def with_name_in(old: bytes, new: bytes) -> str:
    """A certificate in PEM for `qobot`, whose name is replaced in the encoding, and which is signed then."""

    def tlv(tag: int, content: bytes) -> bytes:
        length = len(content)
        digits = length.to_bytes((length.bit_length() + 7) // 8 or 1, "big")
        return bytes([tag]) + (digits if length < 128 else bytes([0x80 | len(digits)]) + digits) + content

    key = ec.generate_private_key(ec.SECP256R1())
    first, last = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (NOW - 9, NOW + LIFETIME_S))
    subject = name((NameOID.COMMON_NAME, "qobot"))
    made = x509.CertificateBuilder(ISSUER, subject, key.public_key(), 7, first, last).sign(key, SHA256())
    assert made.tbs_certificate_bytes.count(old) == 1
    signed = made.tbs_certificate_bytes.replace(old, new)
    algorithm = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
    der = tlv(0x30, signed + algorithm + tlv(3, b"\0" + key.sign(signed, ec.ECDSA(SHA256()))))
    return ssl.DER_cert_to_PEM_cert(der)


@pytest.mark.parametrize("odd", [b"\x14\x05\xff\xfeobo", b"\x03\x05\x00obot", b"\x0c\x05\xff\xfe\xfd\xfc\xfb"])
async def test_a_certificate_whose_names_cannot_be_read_is_refused(cloud: Cloud, robot: User, odd: bytes) -> None:
    """Old encodings, bits instead of text, what is no UTF-8: TLS lets some of them in."""
    await mapped(cloud, BY_NAME)
    certificate = with_name_in(b"\x0c\x05qobot", odd)
    answer = await asked(cloud, certificate, robot.id)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    with pytest.raises(UnauthorizedError):
        assertion_of_certificate(ssl.PEM_cert_to_DER_cert(certificate))


async def test_a_receipt_does_not_tell_that_a_certificate_was_shown(
    cloud: Cloud, robot: User, bound: tuple[str, str]
) -> None:
    """It would count on any connection."""
    token, certificate = bound
    admin = await cloud.admin_token()
    rules = {"user": {"options": {"multi_factor_auth_rules": [["password", "oauth2_credential"]]}}}
    assert (await ask(cloud, "PATCH", f"/v3/users/{robot.id}", rules, token=admin)).status == 200
    by_token, by_password = {"id": token}, {"user": {"id": robot.id, "password": PASSWORD}}
    body: dict[str, Any] = {"auth": {"identity": {"methods": ["token"], "token": by_token}}}
    first = await ask(cloud, "POST", "/v3/auth/tokens", body, extensions=on(certificate))
    receipt = {"openstack-auth-receipt": first.headers["openstack-auth-receipt"]}
    second = {"auth": {"identity": {"methods": ["password"], "password": by_password}}}
    assert (await ask(cloud, "POST", "/v3/auth/tokens", second, headers=receipt)).status == 401
    both = {"methods": ["token", "password"], "token": by_token, "password": by_password}
    answer = await ask(cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": both}}, extensions=on(certificate))
    assert answer.status == 201
    assert "oauth2_credential" in answer.json["token"]


async def test_without_the_mapping_nobody_comes_in(cloud: Cloud, robot: User) -> None:
    assert (await asked(cloud, card(), robot.id)).status == 401


async def test_who_is_not_there_or_may_nothing_is_refused(cloud: Cloud, robot: User) -> None:
    await mapped(cloud, RULES)
    admin = await cloud.admin_token()

    async def change(**fields: Any) -> None:
        assert (await ask(cloud, "PATCH", f"/v3/users/{robot.id}", {"user": fields}, token=admin)).status == 200

    assert (await asked(cloud, card(), "0" * 32)).status == 401
    assert (await asked(cloud, card(), "")).status == 401
    await change(options={"multi_factor_auth_rules": [["password", "totp"]]})
    assert (await asked(cloud, card(), robot.id)).status == 401
    await change(options={"multi_factor_auth_rules": []}, default_project_id=None)
    assert (await asked(cloud, card(), robot.id)).status == 401
    await change(default_project_id=cloud.made.project_id)
    assert (await asked(cloud, card(), robot.id)).status == 401, "no role there"
    await change(default_project_id=robot.default_project_id, enabled=False)
    assert (await asked(cloud, card(), robot.id)).status == 401
    await change(enabled=True)
    assert (await asked(cloud, card(), robot.id)).status == 200


async def test_a_name_is_meant_in_the_first_domain(cloud: Cloud, robot: User) -> None:
    """Or whoever may make users in a domain of their own would choose whose certificate is theirs."""
    await mapped(cloud, BY_NAME)
    assert (await asked(cloud, card(), robot.id)).status == 200
    admin = await cloud.admin_token()
    domain = (await ask(cloud, "POST", "/v3/domains", {"domain": {"name": "elsewhere"}}, token=admin)).json["domain"]
    project = {"project": {"name": "p", "domain_id": domain["id"]}}
    project_id = (await ask(cloud, "POST", "/v3/projects", project, token=admin)).json["project"]["id"]
    user = {"name": "robot", "domain_id": domain["id"], "default_project_id": project_id, "password": PASSWORD}
    user_id = (await ask(cloud, "POST", "/v3/users", {"user": user}, token=admin)).json["user"]["id"]
    path = f"/v3/projects/{project_id}/users/{user_id}/roles/{cloud.made.role_ids['member']}"
    assert (await ask(cloud, "PUT", path, token=admin)).status == 204
    assert (await asked(cloud, card(), user_id)).status == 401
    assert (await asked(cloud, card(user_id=user_id), user_id)).status == 401


async def test_an_id_needs_no_domain_and_a_name_that_others_may_have_does_not_count(cloud: Cloud, robot: User) -> None:
    """Who an identity provider vouches for has the name that it gives them, were it an administrator's."""
    await mapped(cloud, BY_NAME)
    administration = cloud.service.administration
    vouched_for = User(
        administration.new_id(),
        "robot",
        default_project_id=robot.default_project_id,
        federated=(("acme", "openid", "robot"),),
    )
    made = await administration.create_user(vouched_for, "")
    admin = await cloud.admin_token()
    path = f"/v3/projects/{robot.default_project_id}/users/{made.id}/roles/{cloud.made.role_ids['member']}"
    assert (await ask(cloud, "PUT", path, token=admin)).status == 204
    assert (await asked(cloud, card(), made.id)).status == 401
    body = {"mapping": {"rules": BY_ID}}
    answer = await ask(cloud, "PATCH", "/v3/OS-FEDERATION/mappings/oauth2_mapping", body, token=admin)
    assert answer.status == 200
    assert (await asked(cloud, card(user_id=made.id), made.id)).status == 200
    assert (await asked(cloud, card(user_id=robot.id), made.id)).status == 401


async def test_a_secret_counts_also_where_a_certificate_is_shown(cloud: Cloud, robot: User) -> None:
    admin = await cloud.admin_token()
    body = {"application_credential": {"name": "backup", "secret": "hush", "roles": [{"name": "reader"}]}}
    path = f"/v3/users/{cloud.made.user_id}/application_credentials"
    made = (await ask(cloud, "POST", path, body, token=admin)).json["application_credential"]
    answer = await asked(cloud, card(), made["id"], "&client_secret=hush")
    assert answer.status == 200
    assert await cloud.service.identify(answer.json["access_token"]) is not None
    assert (await asked(cloud, card(), made["id"], "&client_secret=wrong")).status == 401
