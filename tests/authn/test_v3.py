"""Keystone's API as clients speak it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest

from authn.bootstrap import CATALOGUE
from authn.records import Project
from authn.service import IdentityService
from authn.table import Table
from authn.throttle import FREE_FAILURES
from authn.v3 import IdentityApp
from tests.authn.conftest import PASSWORD, Cloud


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@lru_cache(maxsize=8)
def _app(service: IdentityService) -> IdentityApp:
    return IdentityApp(service)  # its tree of 200 routes takes longer than most requests


async def ask(
    cloud: Cloud,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
    client: str = "192.0.2.7",
    extensions: Mapping[str, Any] | None = None,
) -> Answer:
    app = _app(cloud.service)
    data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    named = {"host": "cloud:8080", **({"x-auth-token": token} if token else {}), **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "client": (client, 4711),
        "path": "/identity" + path,
        "raw_path": ("/identity" + path).encode("utf-8", "surrogatepass"),
        "query_string": query.encode(),
        "extensions": extensions or {},
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    fields = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    assert re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fields["x-openstack-request-id"])
    answer = Answer(sent[0]["status"], fields, b"".join(message["body"] for message in sent[1:]))
    own_form = "openstack-auth-receipt" in fields or "/OS-OAUTH2/" in path  # the latter's is that of RFC 6749
    if answer.status >= 400 and not own_form:
        error = answer.json["error"]
        assert error["code"] == answer.status
        assert error["message"]
        assert error["title"]
    return answer


def password_auth(name: str, password: str = PASSWORD, scope: Any = None) -> Any:
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return {"auth": auth if scope is None else {**auth, "scope": scope}}


ADMIN_SCOPE = {"project": {"name": "admin", "domain": {"name": "Default"}}}


@pytest.mark.parametrize("path", ["", "/"])
async def test_the_versions_are_told_with_the_host_that_was_asked(cloud: Cloud, path: str) -> None:
    answer = await ask(cloud, "GET", path)
    assert answer.status == 300
    (version,) = answer.json["versions"]["values"]
    assert version["links"] == [{"rel": "self", "href": "http://cloud:8080/identity/v3/"}]
    assert (await ask(cloud, "GET", "/v3" + path)).json["version"] == version


async def test_whether_it_can_work_is_told_to_everybody(cloud: Cloud) -> None:
    answer = await ask(cloud, "GET", "/healthcheck")
    assert (answer.status, answer.text) == (200, b"OK")


async def test_a_host_that_is_no_host_is_not_repeated(cloud: Cloud) -> None:
    answer = await ask(cloud, "GET", "/", headers={"host": 'a"><script>'})
    assert b"script" not in answer.text


async def test_a_password_makes_a_scoped_token(cloud: Cloud) -> None:
    answer = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin", scope=ADMIN_SCOPE))
    assert answer.status == 201
    assert answer.headers["x-subject-token"].startswith("gAAAA")
    token = answer.json["token"]
    assert token["methods"] == ["password"]
    assert token["project"]["id"] == cloud.made.project_id
    assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}
    urls = {service["type"]: service["endpoints"][0]["url"] for service in token["catalog"]}
    assert urls == {
        "identity": "http://cloud:8080/identity",
        "volumev3": f"http://cloud:8080/volume/v3/{cloud.made.project_id}",
        "block-storage": "http://cloud:8080/volume/v3",
        "object-store": f"http://cloud:8080/v1/AUTH_{cloud.made.project_id}",
        "image": "http://cloud:8080/image",
        "network": "http://cloud:8080/network",
        "compute": "http://cloud:8080/compute/v2.1",
        "placement": "http://cloud:8080/placement",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z", token["expires_at"])
    without = await ask(cloud, "POST", "/v3/auth/tokens?nocatalog", password_auth("admin", scope=ADMIN_SCOPE))
    assert "catalog" not in without.json["token"]


async def test_unscoped_then_rescoped_keeps_the_end_and_the_chain(cloud: Cloud) -> None:
    first = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin"))
    assert "project" not in first.json["token"]
    cloud.clock.advance(100)
    identity = {"methods": ["token"], "token": {"id": first.headers["x-subject-token"]}}
    scope = {"project": {"id": cloud.made.project_id}}
    second = await ask(cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
    assert second.status == 201
    before, after = first.json["token"], second.json["token"]
    assert after["expires_at"] == before["expires_at"]
    assert after["audit_ids"][1:] == before["audit_ids"]
    assert after["methods"] == ["password", "token"]


@pytest.mark.parametrize(
    "body",
    [
        password_auth("admin", "wrong"),
        password_auth("nobody"),
        password_auth("admin", scope={"project": {"id": "nothing"}}),
        password_auth("admin", scope={"project": {"name": "admin", "domain": {"id": "elsewhere"}}}),
        password_auth("admin", scope={"domain": {"id": "default"}}),
        password_auth("service", scope={"system": {"all": True}}),
        {"auth": {"identity": {"methods": ["palm"], "palm": {}}}},
        {"auth": {"identity": {"methods": []}}},
    ],
)
async def test_who_is_not_known_is_401(cloud: Cloud, body: Any) -> None:
    answer = await ask(cloud, "POST", "/v3/auth/tokens", body)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud:8080/identity"'


async def test_a_token_that_does_not_hold_is_not_found_where_it_is_to_be_rescoped(cloud: Cloud) -> None:
    made = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("admin"))
    ended = made.headers["x-subject-token"]
    await ask(cloud, "DELETE", "/v3/auth/tokens", token=ended, headers={"x-subject-token": ended})
    for token in (ended, "gAAAA"):
        body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
        assert (await ask(cloud, "POST", "/v3/auth/tokens", body)).status == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"auth": 1}',
        b"[" * 100_000,
        b'{"auth": NaN}',
        b"\xff",
        b'{"auth": {"identity": {"methods": ["password"]}}}',
        b'{"auth": {"identity": {"methods": "password"}}}',
        b'{"auth": {"identity": {"methods": [["password"]]}}}',
        b"1" * 10_000,
    ],
)
async def test_a_body_that_is_no_login_is_400(cloud: Cloud, raw: bytes) -> None:
    assert (await ask(cloud, "POST", "/v3/auth/tokens", raw=raw)).status == 400


async def test_a_body_that_is_too_long_is_413(cloud: Cloud) -> None:
    assert (await ask(cloud, "POST", "/v3/auth/tokens", raw=b" " * 120_000)).status == 413


async def test_tokens_are_shown_and_given_back(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    project = await cloud.project("quarry")
    await cloud.user("ann", project)
    await cloud.user("service", project, "service")
    await cloud.user("bob", project)
    ann, bob, service = [await cloud.token(name, project) for name in ("ann", "bob", "service")]

    def subject(token: str) -> dict[str, str]:
        return {"x-subject-token": token}

    for caller, status in ((admin, 200), (ann, 200), (service, 200), (bob, 403), ("", 401)):
        for method in ("GET", "HEAD"):
            answer = await ask(cloud, method, "/v3/auth/tokens", token=caller, headers=subject(ann))
            assert answer.status == status
    assert (await ask(cloud, "GET", "/v3/auth/tokens", token=admin, headers=subject("x"))).status == 404
    assert (await ask(cloud, "DELETE", "/v3/auth/tokens", token=bob, headers=subject(ann))).status == 403
    assert (await ask(cloud, "DELETE", "/v3/auth/tokens", token=ann, headers=subject(ann))).status == 204
    assert (await ask(cloud, "GET", "/v3/auth/tokens", token=admin, headers=subject(ann))).status == 404
    assert (await ask(cloud, "GET", "/v3/auth/projects", token=ann)).status == 401


async def test_projects_live(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    made = await ask(cloud, "POST", "/v3/projects", {"project": {"name": "quarry", "colour": "grey"}}, token=admin)
    assert made.status == 201
    project = made.json["project"]
    assert (project["colour"], project["enabled"], project["parent_id"]) == ("grey", True, "default")
    path = f"/v3/projects/{project['id']}"
    assert (await ask(cloud, "POST", "/v3/projects", {"project": {"name": "quarry"}}, token=admin)).status == 409
    listed = await ask(cloud, "GET", "/v3/projects?name=quarry", token=admin)
    assert [row["id"] for row in listed.json["projects"]] == [project["id"]]
    changed = await ask(cloud, "PATCH", path, {"project": {"name": "pit", "enabled": False}}, token=admin)
    assert changed.json["project"] == {**project, "name": "pit", "enabled": False}
    assert (await ask(cloud, "GET", path, token=admin)).json["project"]["name"] == "pit"
    assert (await ask(cloud, "POST", "/v3/projects", {"project": {"name": "quarry"}}, token=admin)).status == 201
    assert (await ask(cloud, "DELETE", path, token=admin)).status == 204
    assert (await ask(cloud, "GET", path, token=admin)).status == 404
    assert (await ask(cloud, "DELETE", path, token=admin)).status == 404


async def test_users_live(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    body = {"user": {"name": "ann", "password": "p1", "email": "ann@example.org"}}
    made = await ask(cloud, "POST", "/v3/users", body, token=admin)
    assert made.status == 201
    user = made.json["user"]
    assert user["email"] == "ann@example.org"
    assert b"p1" not in made.text
    path = f"/v3/users/{user['id']}"
    assert (await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann", "p1"))).status == 201
    assert (await ask(cloud, "PATCH", path, {"user": {"password": "p2"}}, token=admin)).status == 200
    assert (await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann", "p1"))).status == 401
    own = {"user": {"original_password": "p2", "password": "p3"}}
    assert (await ask(cloud, "POST", path + "/password", own)).status == 204
    assert (await ask(cloud, "POST", path + "/password", own)).status == 401
    login = await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann", "p3"))
    token = login.headers["x-subject-token"]
    assert (await ask(cloud, "GET", path, token=token)).json["user"]["name"] == "ann"
    assert (await ask(cloud, "GET", "/v3/users", token=token)).status == 403
    assert (await ask(cloud, "DELETE", path, token=admin)).status == 204
    assert (await ask(cloud, "GET", path, token=token)).status == 401


async def test_a_change_of_a_user_is_what_it_names_and_no_more(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    project = (await ask(cloud, "POST", "/v3/projects", {"project": {"name": "quarry"}}, token=admin)).json["project"]
    body = {"user": {"name": "ann", "description": "mason", "default_project_id": project["id"], "email": "a@b"}}
    user = (await ask(cloud, "POST", "/v3/users", body, token=admin)).json["user"]
    path = f"/v3/users/{user['id']}"
    for change in ({"email": "c@d"}, {"description": "carver"}, {"default_project_id": None}, {"description": None}):
        answer = await ask(cloud, "PATCH", path, {"user": change}, token=admin)
        assert answer.status == 200
        before, user = user, answer.json["user"]
        (name,) = change
        assert {key: value for key, value in user.items() if key != name} == {
            key: value for key, value in before.items() if key != name
        }
        assert (user.get(name) or None) == change[name]


async def test_roles_are_added_checked_listed_and_removed(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    project, user = await cloud.project("quarry"), await cloud.user("ann")
    member = cloud.made.role_ids["member"]
    path = f"/v3/projects/{project.id}/users/{user.id}/roles/{member}"
    assert (await ask(cloud, "HEAD", path, token=admin)).status == 404
    assert (await ask(cloud, "PUT", path, token=admin)).status == 204
    assert (await ask(cloud, "PUT", path, token=admin)).status == 204
    assert (await ask(cloud, "HEAD", path, token=admin)).status == 204
    query = f"/v3/role_assignments?user.id={user.id}&scope.project.id={project.id}&include_names"
    (row,) = (await ask(cloud, "GET", query, token=admin)).json["role_assignments"]
    assert row["role"] == {"id": member, "name": "member"}
    assert row["user"] == {"id": user.id, "name": "ann", "domain": {"id": "default", "name": "Default"}}
    effective = (await ask(cloud, "GET", query + "&effective", token=admin)).json["role_assignments"]
    assert [one["role"]["name"] for one in effective] == ["member", "reader"]
    assert (await ask(cloud, "DELETE", path, token=admin)).status == 204
    assert (await ask(cloud, "DELETE", path, token=admin)).status == 404
    for wrong in (path.replace(member, "x"), path.replace(user.id, "\ud800"), path.replace(project.id, "x")):
        for method in ("PUT", "GET", "DELETE"):
            assert (await ask(cloud, method, wrong, token=admin)).status == 404


async def test_lists_come_in_pages(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    for number in range(5):
        await cloud.project(f"p{number}")
    path, names = "/v3/projects?limit=2&name__startswith=p", []
    while path:
        answer = (await ask(cloud, "GET", path, token=admin)).json
        names += [project["name"] for project in answer["projects"]]
        path = (answer["links"]["next"] or "").removeprefix("http://cloud:8080/identity")
    assert sorted(names) == [f"p{number}" for number in range(5)]
    assert (await ask(cloud, "GET", "/v3/projects?limit=x", token=admin)).status == 400


@pytest.mark.parametrize("noun", ["roles", "domains", "services", "endpoints", "regions"])
async def test_what_is_only_looked_at(cloud: Cloud, noun: str) -> None:
    admin = await cloud.admin_token()
    rows = (await ask(cloud, "GET", f"/v3/{noun}", token=admin)).json[noun]
    assert rows
    shown = await ask(cloud, "GET", f"/v3/{noun}/{rows[0]['id']}", token=admin)
    assert shown.json[noun.removesuffix("s")] == rows[0]
    assert (await ask(cloud, "GET", f"/v3/{noun}/none", token=admin)).status == 404
    assert (await ask(cloud, "POST", f"/v3/{noun}", {}, token=admin)).status == 400


@pytest.mark.parametrize("path", ["/v3/users", "/v3/projects", "/v3/roles", "/v3/role_assignments", "/v3/services"])
async def test_a_member_administers_nothing(cloud: Cloud, path: str) -> None:
    project = await cloud.project("quarry")
    await cloud.user("ann", project, "manager")
    token = await cloud.token("ann", project)
    assert (await ask(cloud, "GET", path, token=token)).status == 403
    assert (await ask(cloud, "GET", path)).status == 401
    assert (await ask(cloud, "GET", f"/v3/projects/{project.id}", token=token)).status == 200
    catalog = await ask(cloud, "GET", "/v3/auth/catalog", token=token)
    assert {service["type"] for service in catalog.json["catalog"]} == {type_ for type_, _, _ in CATALOGUE}


async def test_a_service_without_endpoints_is_in_the_catalogue_unless_endpoints_are_chosen(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    await ask(cloud, "POST", "/v3/services", {"service": {"type": "dns", "name": "names"}}, token=admin)

    async def told() -> dict[str, int]:
        catalog = await ask(cloud, "GET", "/v3/auth/catalog", token=admin)
        return {service["name"]: len(service["endpoints"]) for service in catalog.json["catalog"]}

    assert await told() == {"names": 0, **{name: 3 for _, name, _ in CATALOGUE}}
    endpoints = (await ask(cloud, "GET", "/v3/endpoints?interface=public", token=admin)).json["endpoints"]
    swift = next(one["id"] for one in endpoints if "AUTH_" in one["url"])
    project = (await ask(cloud, "GET", "/v3/auth/projects", token=admin)).json["projects"][0]["id"]
    await ask(cloud, "PUT", f"/v3/OS-EP-FILTER/projects/{project}/endpoints/{swift}", token=admin)
    assert await told() == {"swift": 1}


async def test_a_group_of_endpoints_begins_with_filters_and_may_lose_them(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    stem = "/v3/OS-EP-FILTER/endpoint_groups"

    def group(filters: dict[str, str]) -> dict[str, object]:
        return {"endpoint_group": {"name": "chosen", "filters": filters}}

    assert (await ask(cloud, "POST", stem, group({}), token=admin)).status == 400
    made = (await ask(cloud, "POST", stem, group({"interface": "public"}), token=admin)).json["endpoint_group"]
    assert len((await ask(cloud, "GET", f"{stem}/{made['id']}/endpoints", token=admin)).json["endpoints"]) == len(
        CATALOGUE
    )
    changed = await ask(cloud, "PATCH", f"{stem}/{made['id']}", group({}), token=admin)
    assert (changed.status, changed.json["endpoint_group"]["filters"]) == (200, {})
    assert len((await ask(cloud, "GET", f"{stem}/{made['id']}/endpoints", token=admin)).json["endpoints"]) == 3 * len(
        CATALOGUE
    )


async def test_own_projects(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    await cloud.project("other")
    user = await cloud.user("ann", project)
    token = await cloud.token("ann")
    for path in ("/v3/auth/projects", f"/v3/users/{user.id}/projects"):
        rows = (await ask(cloud, "GET", path, token=token)).json["projects"]
        assert [row["name"] for row in rows] == ["quarry"]
    assert (await ask(cloud, "GET", "/v3/auth/catalog", token=token)).status == 403


async def test_nothing_else_is_served(cloud: Cloud) -> None:
    assert (await ask(cloud, "GET", "/v2.0")).status == 404
    answer = await ask(cloud, "PUT", "/v3/auth/tokens")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, GET, HEAD, DELETE"


async def test_whoever_guesses_keeps_out_nobody_but_themselves(cloud: Cloud) -> None:
    user = await cloud.user("ann")
    by_id = {"id": user.id, "password": "guess"}
    wrong = [
        password_auth("ann", "guess"),
        {"auth": {"identity": {"methods": ["password"], "password": {"user": by_id}}}},
    ]
    for number in range(FREE_FAILURES):
        tried = await ask(cloud, "POST", "/v3/auth/tokens", wrong[number % 2], client="192.0.2.66")
        assert tried.status == 401
    right = password_auth("ann", PASSWORD)
    assert (await ask(cloud, "POST", "/v3/auth/tokens", right, client="192.0.2.66")).status == 401
    assert (await ask(cloud, "POST", "/v3/auth/tokens", right)).status == 201


async def test_a_page_looks_at_no_more_than_it_shows(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, seen = await cloud.admin_token(), list[str]()
    for number in range(20):
        await cloud.project(f"p{number}")
    after = Table.after

    def counting(self: Table[Project], id_: str) -> Iterator[Project]:
        for record in after(self, id_):
            seen.append(record.name)
            yield record

    monkeypatch.setattr(Table, "after", counting)
    first = await ask(cloud, "GET", "/v3/projects?limit=3", token=admin)
    assert len(seen) == 4, "one more says that there are more"
    marker = first.json["projects"][-1]["id"]
    second = (await ask(cloud, "GET", f"/v3/projects?limit=3&marker={marker}", token=admin)).json["projects"]
    assert len(seen) == 8
    everything = (await ask(cloud, "GET", "/v3/projects", token=admin)).json["projects"]
    assert [*first.json["projects"], *second] == everything[:6]
    by_name = (await ask(cloud, "GET", "/v3/projects?sort_key=name&limit=3", token=admin)).json["projects"]
    assert [one["name"] for one in by_name] == ["admin", "p0", "p1"]


async def test_a_name_is_found_in_every_domain(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    other = (await ask(cloud, "POST", "/v3/domains", {"domain": {"name": "other"}}, token=admin)).json["domain"]["id"]
    for domain in ("default", other):
        for noun in ("user", "project", "group"):
            body = {noun: {"name": "same", "domain_id": domain}}
            assert (await ask(cloud, "POST", f"/v3/{noun}s", body, token=admin)).status == 201
    for plural in ("users", "projects", "groups"):
        for query, domains in (("", {"default", other}), ("&domain_id=default", {"default"}), ("&domain_id=x", set())):
            rows = (await ask(cloud, "GET", f"/v3/{plural}?name=same{query}", token=admin)).json[plural]
            assert {row["domain_id"] for row in rows} == domains
