"""The whole of it: a cloud, a certified OpenID provider, and stock clients, each a program of its own."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import trustme
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from tests.federation.conftest import RealProvider
from tests.process.program import Program, running

pytestmark = [pytest.mark.process, pytest.mark.client, pytest.mark.xdist_group("openid-provider")]

DASHBOARD = "https://dashboard.example.com/auth/websso/"
PUBLIC = "http://127.0.0.1:1/identity"
"""As the provider knows us; the browser of these tests knows where that is."""
SECRET = "hush"
JANE: dict[str, Any] = {"username": "jane", "password": "open sesame"}
OPENSTACK = Path(sys.executable).with_name("openstack")
PERSON = {
    "local": [
        {"user": {"name": "{0}", "email": "{1}"}},
        {"groups": "{2}", "domain": {"name": "Default"}},
        {"projects": [{"name": "{0}'s own", "roles": [{"name": "member"}]}]},
    ],
    "remote": [{"type": "OIDC-preferred_username"}, {"type": "OIDC-email"}, {"type": "OIDC-groups"}],
}
PROGRAM = {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-client_id"}]}


class Administrator:
    """Over the API, in as few requests as it takes."""

    def __init__(self, program: Program, trust: ssl.SSLContext | bool = True) -> None:
        self._http = httpx.Client(verify=trust, base_url=f"{program.url}/identity/v3")
        user = {"name": "admin", "domain": {"id": "default"}, "password": program.settings()["OS_PASSWORD"]}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        answer = self._http.post("/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._http.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def trust(self, provider: str, protocol: str, remote_id: str, *rules: Any) -> None:
        """Whom the provider vouches for by the protocol, by these rules."""
        described = {"enabled": True, "remote_ids": [remote_id]}
        self.ask("PUT", f"/OS-FEDERATION/identity_providers/{provider}", identity_provider=described)
        self.ask("PUT", f"/OS-FEDERATION/mappings/{provider}", mapping={"rules": rules})
        path = f"/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}"
        self.ask("PUT", path, protocol={"mapping_id": provider})

    def close(self) -> None:
        self._http.close()


@dataclass
class Federated:
    program: Program
    issuer: str
    domain_id: str

    @property
    def auth_url(self) -> str:
        return f"{self.program.url}/identity/v3"

    def openstack(self, *words: str, **settings: str) -> Any:
        """The stock client's answer."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.program.folder.parent),
            "OS_AUTH_URL": self.auth_url,
        }
        command = [str(OPENSTACK), *words, "-f", "json"]
        done = subprocess.run(
            command, env={**environment, **settings}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cloud(real_provider: RealProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federated]:
    if not OPENSTACK.exists():
        pytest.skip("the stock client is not installed")
    folder = tmp_path_factory.mktemp("federated")
    (folder / "identity.toml").write_text(
        f"""
        public_url = "{PUBLIC}"
        trusted_dashboards = ["{DASHBOARD}"]

        [[openid_provider]]
        identity_provider = "acme"
        protocol = "openid"
        issuer = "{real_provider.issuer}"
        client_id = "drystone"
        client_secret = "{SECRET}"
        """
    )
    with running(folder / "data", "--identity-config", str(folder / "identity.toml")) as program:
        administrator = Administrator(program)
        administrator.trust("acme", "openid", real_provider.issuer, PERSON, PROGRAM)
        group = administrator.ask("POST", "/groups", group={"name": "dev"})["group"]["id"]
        project = administrator.ask("POST", "/projects", project={"name": "quarry"})["project"]["id"]
        (reader,) = administrator.ask("GET", "/roles?name=reader")["roles"]
        administrator.ask("PUT", f"/projects/{project}/groups/{group}/roles/{reader['id']}")
        domain = administrator.ask("GET", "/OS-FEDERATION/identity_providers/acme")["identity_provider"]["domain_id"]
        administrator.close()
        yield Federated(program, real_provider.issuer, domain)


def common(cloud: Federated) -> dict[str, Any]:
    return {
        "auth_url": cloud.auth_url,
        "identity_provider": "acme",
        "protocol": "openid",
        "client_id": "drystone",
        "client_secret": SECRET,
        "discovery_endpoint": f"{cloud.issuer}/.well-known/openid-configuration",
    }


def user_token(cloud: Federated) -> str:
    form = {"grant_type": "password", "scope": "openid email profile", **JANE}
    given: str = httpx.post(f"{cloud.issuer}/token", data=form, auth=("drystone", SECRET)).json()["access_token"]
    return given


def test_a_password_at_the_provider_opens_a_project(cloud: Federated) -> None:
    password = v3.OidcPassword(
        **common(cloud), scope="openid email profile", **JANE, project_name="quarry", project_domain_name="Default"
    )
    session = Session(password)
    access = password.get_access(session)
    assert access.username == "jane.doe"
    assert access.project_name == "quarry"
    assert set(access.role_names or ()) == {"reader"}
    assert session.get("/", endpoint_filter={"service_type": "identity"}, allow={}).status_code == 300


def test_an_access_token_of_the_same_person_is_the_same_user(cloud: Federated) -> None:
    own: dict[str, Any] = {"project_name": "jane.doe's own", "project_domain_id": cloud.domain_id}
    by_token = v3.OidcAccessToken(cloud.auth_url, "acme", "openid", access_token=user_token(cloud), **own)
    by_password = v3.OidcPassword(**common(cloud), scope="openid email profile", **JANE, **own)
    first, second = by_token.get_access(Session()), by_password.get_access(Session())
    assert first.user_id == second.user_id
    assert set(first.role_names or ()) == {"member", "reader"}


def test_a_program_is_a_user_of_its_own(cloud: Federated) -> None:
    plugin = v3.OidcClientCredentials(**common(cloud), scope="openid")
    assert plugin.get_unscoped_auth_ref(Session()).username == "drystone"


def test_the_stock_client_finds_projects_and_rescopes(cloud: Federated) -> None:
    oidc = {
        "OS_AUTH_TYPE": "v3oidcaccesstoken",
        "OS_IDENTITY_PROVIDER": "acme",
        "OS_PROTOCOL": "openid",
        "OS_ACCESS_TOKEN": user_token(cloud),
        "OS_IDENTITY_API_VERSION": "3",
    }
    projects = cloud.openstack("federation", "project", "list", **oidc)
    assert {one["Name"] for one in projects} == {"quarry", "jane.doe's own"}
    quarry = next(one["ID"] for one in projects if one["Name"] == "quarry")
    assert cloud.openstack("federation", "domain", "list", **oidc) == []
    scoped = {**oidc, "OS_PROJECT_ID": quarry}
    token = cloud.openstack("token", "issue", **scoped)
    assert token["project_id"] == quarry
    again = {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": token["id"], "OS_PROJECT_ID": quarry}
    assert cloud.openstack("token", "issue", **again)["project_id"] == quarry


def browse(cloud: Federated, path: str, form: dict[str, str]) -> httpx.Response:
    """What a browser does that a dashboard sends there: the page it ends on."""
    with httpx.Client() as browser:
        url, posted = f"{cloud.program.url}/identity{path}?origin={DASHBOARD}", False
        for _ in range(12):
            if "/login/" in url and not posted:
                assert "<form" in browser.get(url).text
                answer = browser.post(url, data=form)
                posted = True
            else:
                answer = browser.get(url)
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers["Location"])
            if url.startswith(PUBLIC):
                url = f"{cloud.program.url}/identity{url.removeprefix(PUBLIC)}"
    raise AssertionError(f"sent on and on, last to {url}")


def test_a_browser_comes_back_to_its_dashboard_with_a_token(cloud: Federated) -> None:
    page = browse(cloud, "/v3/auth/OS-FEDERATION/websso/openid", JANE)
    assert page.status_code == 200, page.text
    assert f'action="{DASHBOARD}"' in page.text
    found = re.search('name="token" id="token" value="([^"]+)"', page.text)
    assert found
    scope: dict[str, Any] = {"project_name": "quarry", "project_domain_name": "Default"}
    access = v3.Token(cloud.auth_url, found[1], **scope).get_access(Session())
    assert (access.username, access.project_name) == ("jane.doe", "quarry")


def test_a_wrong_password_at_the_provider_opens_nothing(cloud: Federated) -> None:
    page = browse(cloud, "/v3/auth/OS-FEDERATION/websso/openid", {**JANE, "password": "wrong"})
    assert page.status_code == 401
    assert "token" not in page.text


def test_a_provider_is_tried_step_by_step(cloud: Federated, tmp_path: Path) -> None:
    config = ("--identity-config", str(cloud.program.folder.parent / "identity.toml"))
    (tmp_path / "claims").write_text('{"preferred_username": "jane", "email": "j@example.com", "groups": ["dev", "x"]}')
    done = cloud.program.command("auth", "test", "acme", *config, "--claims", str(tmp_path / "claims"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0].split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", "discovery"],
        ["ok", "keys"],
        ["ok", "client"],
        ["ok", "records"],
        ["ok", "mapping"],
        ["ok", "group"],
        ["-", "group"],
        ["ok", "project"],
        ["-", "browsers"],
    ]
    assert f"{PUBLIC}/v3/auth/OS-FEDERATION/websso/openid" in done.stdout
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((cloud.program.folder.parent / "identity.toml").read_text().replace(SECRET, "wrong"))
    done = cloud.program.command("auth", "test", "acme", "--identity-config", str(wrong))
    assert done.returncode == 1
    assert "FAIL  client credentials" in done.stdout
    assert "next: compare client_id and client_secret" in done.stdout
    done = cloud.program.command("auth", "test", "other", *config)
    assert done.returncode == 1
    assert "acme (openid)" in done.stderr


@contextmanager
def over_tls(folder: Path, *clients: str) -> Iterator[Program]:
    """A cloud whose clients may show certificates. `folder` has its authority's (ca.pem), and for each of the clients
    one of the name, with its key."""
    authority, cards = trustme.CA(), trustme.CA(organization_name="Cards", organization_unit_name="Desk")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    cards.cert_pem.write_to_path(str(folder / "clients.pem"))
    for client in clients:
        card = cards.issue_cert(f"{client}@example.com", common_name=client)
        card.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{client}.pem"))
    options = ("--tls-certificate", str(folder / "server.pem"), "--tls-client-ca", str(folder / "clients.pem"))
    program = Program(folder / "data", *options)
    program.sign_in = lambda project="": None  # type: ignore[method-assign]
    program.start()
    try:
        yield program
    finally:
        program.stop()


def test_a_certificate_logs_in_over_tls(tmp_path: Path) -> None:
    rule = {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_S_DN_CN"}]}
    with over_tls(tmp_path, "jane") as program:
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        administrator = Administrator(program, trust)
        administrator.trust("cards", "x509", "OU=Desk,O=Cards", rule)
        administrator.close()
        login = f"{program.url}/identity/v3/OS-FEDERATION/identity_providers/cards/protocols/x509/auth"
        with httpx.Client(verify=trust) as stranger:
            assert stranger.get(login).status_code == 401
        trust.load_cert_chain(str(tmp_path / "jane.pem"))
        with httpx.Client(verify=trust) as jane:
            answer = jane.get(login)
        assert answer.status_code == 201, answer.text
        assert answer.json()["token"]["user"]["name"] == "jane"


def test_a_program_with_a_certificate_by_keystoneauth(tmp_path: Path) -> None:
    """OAuth 2.0 mutual TLS: keystoneauth's own plugin, and its token at all services, with the certificate and not."""
    rule = {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}]}
    with over_tls(tmp_path, "robot", "thief") as program:
        administrator = Administrator(program, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
        administrator.ask("PUT", "/OS-FEDERATION/mappings/oauth2_mapping", mapping={"rules": [rule]})
        project = administrator.ask("POST", "/projects", project={"name": "quarry"})["project"]["id"]
        user = administrator.ask("POST", "/users", user={"name": "robot", "default_project_id": project})["user"]["id"]
        (member,) = administrator.ask("GET", "/roles?name=member")["roles"]
        administrator.ask("PUT", f"/projects/{project}/users/{user}/roles/{member['id']}")
        administrator.close()
        url = f"{program.url}/identity/v3"
        plugin = v3.OAuth2mTlsClientCredential(url, f"{url}/OS-OAUTH2/token", user)
        robot = Session(plugin, verify=str(tmp_path / "ca.pem"), cert=str(tmp_path / "robot.pem"))
        assert robot.get_project_id() == project
        account = f"{program.url}/v1/AUTH_{project}"
        asked = (account, f"{program.url}/image/v2/images", f"{program.url}/volume/v3/{project}/volumes")
        assert [robot.get(one).status_code for one in asked] == [200 if one != account else 204 for one in asked]
        token = robot.get_token()
        thief = Session(verify=str(tmp_path / "ca.pem"), cert=str(tmp_path / "thief.pem"))
        stranger = Session(verify=str(tmp_path / "ca.pem"))
        for session in (thief, stranger):
            answers = [session.get(one, headers={"X-Auth-Token": token}, raise_exc=False) for one in asked]
            assert [answer.status_code for answer in answers] == [401, 401, 401]
