"""What this cloud says of its users to others."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from lxml import etree

from authn.keys import DOMAIN_TARGET, Assignment
from authn.rights import Scope
from authn.saml.elements import PREFIXES, SOAP
from authn.tokens import Proof
from store.core.clock import SystemClock
from tests.authn.test_v3 import ask
from tests.saml.conftest import AUTH_URL, ENTITY, SP_URL, Files, Vouching, made_files, vouching_cloud
from tests.saml.judge import believed, needs_xmlsec1
from tests.twins.clock import ManualClock

METADATA = "/v3/OS-FEDERATION/saml2/metadata"


async def metadata(vouching: Vouching) -> bytes:
    answer = await ask(vouching.cloud, "GET", METADATA)  # without a token
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    return answer.text


def texts(document: bytes, path: str) -> list[str]:
    found: Any = etree.fromstring(document).xpath(path, namespaces=PREFIXES)
    return [str(one) for one in found]


@needs_xmlsec1
async def test_a_service_provider_believes_it(vouching: Vouching) -> None:
    answer = await vouching.asked()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert (answer.headers["x-sp-url"], answer.headers["x-auth-url"]) == (SP_URL, AUTH_URL)
    assert believed(await metadata(vouching), answer.text) == {
        "openstack_user": ["ann"],
        "openstack_user_domain": ["Default"],
        "openstack_roles": ["member", "reader"],
        "openstack_project": ["quarry"],
        "openstack_project_domain": ["Default"],
        "openstack_groups": ['JSON:{"name": "masons", "domain": {"name": "Default"}}'],
    }


@needs_xmlsec1
async def test_what_others_changed_is_not_believed(vouching: Vouching) -> None:
    answer, told = await vouching.asked(), await metadata(vouching)
    forged = answer.text.replace(b">member<", b">admin<")
    assert forged != answer.text
    with pytest.raises(Exception, match="ignature"):
        believed(told, forged)


@needs_xmlsec1
async def test_another_cloud_is_not_believed(vouching: Vouching, tmp_path: Any, nursery: trio.Nursery) -> None:
    other = await vouching_cloud(nursery, made_files(tmp_path, "other").config(), SystemClock())
    answer = await other.asked()
    with pytest.raises(Exception, match="ignature"):
        believed(await metadata(vouching), answer.text)


@needs_xmlsec1
async def test_no_other_service_provider_believes_it(vouching: Vouching) -> None:
    answer, told = await vouching.asked(), await metadata(vouching)
    assert believed(told, answer.text)
    assert not believed(told, answer.text, "https://another.example.com/SAML2/ECP")


async def test_times_are_by_the_clock_and_the_operators_wish(files: Files, nursery: trio.Nursery) -> None:
    vouching = await vouching_cloud(nursery, files.config(assertion_expiration_time=60), ManualClock())
    document = (await vouching.asked()).text
    assert texts(document, "//@IssueInstant") == ["2023-11-14T22:13:20.000000Z"] * 2
    for path in ("//saml:SubjectConfirmationData/@NotOnOrAfter", "//saml:AuthnStatement/@SessionNotOnOrAfter"):
        assert texts(document, path) == ["2023-11-14T22:14:20.000000Z"]


async def test_no_two_are_the_same(vouching: Vouching) -> None:
    ids = [one for _ in range(2) for one in texts((await vouching.asked()).text, "//@ID | //@SessionIndex")]
    assert len(set(ids)) == 6


async def test_a_program_carries_it_in_an_envelope(vouching: Vouching) -> None:
    body = {"service_provider": {"relay_state_prefix": "ours:"}}
    assert (await vouching.ask("PATCH", "/v3/OS-FEDERATION/service_providers/beta", body)).status == 200
    answer = await vouching.asked(path="/ecp")
    assert (answer.status, answer.headers["x-sp-url"]) == (200, SP_URL)
    (state,) = etree.fromstring(answer.text).xpath("/soap:Envelope/soap:Header/ecp:RelayState", namespaces=PREFIXES)
    assert state.text.startswith("ours:")
    assert state.get(f"{{{SOAP}}}mustUnderstand") == "1"
    assert texts(answer.text, "/soap:Envelope/soap:Body/samlp:Response/saml:Issuer/text()") == [ENTITY]


@needs_xmlsec1
async def test_what_is_in_the_envelope_is_believed(vouching: Vouching) -> None:
    (response,) = etree.fromstring((await vouching.asked(path="/ecp")).text).xpath(
        "//samlp:Response", namespaces=PREFIXES
    )
    told = believed(await metadata(vouching), etree.tostring(response))
    assert told["openstack_user"] == ["ann"]


# -- what is refused -------------------------------------------------------------------------------------------------


async def test_who_may_not(vouching: Vouching) -> None:
    assert (await vouching.asked(token="gAAAA")).status == 404
    assert (await vouching.asked(provider="gamma")).status == 404
    assert (await vouching.asked(token="gAAAA", provider="gamma")).json["error"]["message"] == "Could not find token."
    unscoped = await vouching.cloud.token("ann")
    assert (await vouching.asked(token=unscoped)).status == 403
    admin = vouching.cloud.service.snapshot.users.require(vouching.cloud.made.user_id)
    held = Assignment(admin.id, "default", vouching.cloud.made.role_ids["admin"], target=DOMAIN_TARGET)
    await vouching.cloud.service.administration.assign(held)
    proof = Proof(admin, frozenset({"password"}))
    of_domain = vouching.cloud.service.tokens.issue(proof, Scope(DOMAIN_TARGET, "default"))[0]
    assert (await vouching.asked(token=of_domain)).status == 403
    path, body = "/v3/OS-FEDERATION/service_providers/beta", {"service_provider": {"enabled": False}}
    assert (await vouching.ask("PATCH", path, body)).status == 200
    assert (await vouching.asked()).status == 403


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"identity": {}, "scope": {}},
        {"identity": {"token": {"id": "x"}}},
        {"identity": {"token": {}}, "scope": {"service_provider": {"id": "beta"}}},
        {"identity": {"token": {"id": 1}}, "scope": {"service_provider": {"id": "beta"}}},
        {"identity": {"token": {"id": "x"}}, "scope": {"service_provider": {"id": "beta"}, "project": {}}},
        {"identity": {"token": {"id": "x"}}, "scope": {"service_provider": {"id": "beta"}}, "other": 1},
    ],
)
async def test_a_body_of_another_form(vouching: Vouching, auth: Any) -> None:
    answer = await ask(vouching.cloud, "POST", "/v3/auth/OS-FEDERATION/saml2", {"auth": auth})
    assert answer.status == 400


@pytest.mark.parametrize("path", ["", "/ecp"])
async def test_access_rules_are_kept(vouching: Vouching, path: str) -> None:
    user = vouching.cloud.service.snapshot.users.named(("default", "ann"))
    assert user is not None
    paths = {"": "/v3/auth/OS-FEDERATION/saml2", "/ecp": "/v3/auth/OS-FEDERATION/saml2/ecp"}

    async def token(rule: str) -> str:
        rules = [{"path": rule, "method": "POST", "service": "identity"}]
        body = {"application_credential": {"name": rule, "secret": "s", "access_rules": rules}}
        made = await ask(
            vouching.cloud, "POST", f"/v3/users/{user.id}/application_credentials", body, token=vouching.token
        )
        shown = {"id": made.json["application_credential"]["id"], "secret": "s"}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": shown}}
        return (await ask(vouching.cloud, "POST", "/v3/auth/tokens", {"auth": auth})).headers["x-subject-token"]

    assert (await vouching.asked(await token(paths[path]), path=path)).status == 200
    assert (await vouching.asked(await token("/v3/users"), path=path)).status == 403


async def test_a_name_that_xml_cannot_carry_is_told(vouching: Vouching) -> None:
    project = vouching.cloud.service.snapshot.projects.named(("default", "quarry"))
    assert project is not None
    renamed = await vouching.ask("PATCH", f"/v3/projects/{project.id}", {"project": {"name": "quarry\ufffe"}})
    assert renamed.status == 200
    answer = await vouching.asked()
    assert (answer.status, "SAML" in answer.json["error"]["message"]) == (400, True)


async def test_where_no_operator_wants_it(nursery: trio.Nursery) -> None:
    vouching = await vouching_cloud(nursery, None, ManualClock())
    for answer in (await vouching.asked(), await vouching.asked(path="/ecp"), await vouching.ask("GET", METADATA)):
        assert (answer.status, "not configured" in answer.json["error"]["message"]) == (404, True)
