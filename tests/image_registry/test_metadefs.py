"""Metadata definitions: namespaces and all that is in them."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from image_registry.v2.metadefs.schemas import SCHEMAS
from tests.gateway_rest.service import Answer
from tests.image_registry.cloud import Cloud

ADMIN = "admin@ops"
SPACES = "/v2/metadefs/namespaces"
CORES: dict[str, Any] = {"title": "Cores", "type": "integer", "minimum": 1, "maximum": 2**70, "default": 4}
WHOLE: dict[str, Any] = {
    "namespace": "OS::Compute::Granite",
    "display_name": "Granite",
    "description": "Hard",
    "visibility": "public",
    "resource_type_associations": [
        {"name": "OS::Nova::Flavor", "prefix": "hw:"},
        {"name": "OS::Glance::Image", "prefix": "hw_", "properties_target": "image"},
    ],
    "properties": {"cores": CORES},
    "objects": [{"name": "cache", "description": "d", "required": ["ways"], "properties": {"ways": CORES}}],
    "tags": [{"name": "fast"}, {"name": "slow"}],
}
PATH = f"{SPACES}/{WHOLE['namespace']}"


async def ask(cloud: Cloud, method: str, path: str, body: Any = None, token: str = ADMIN, **headers: str) -> Answer:
    return await cloud.ask(method, path, body, token, headers)


async def make(cloud: Cloud, name: str, **said: Any) -> None:
    answer = await ask(cloud, "POST", SPACES, {"namespace": name, **said})
    assert answer.status == 201, answer.body
    cloud.clock.advance(1)


async def names(cloud: Cloud, query: str = "", token: str = ADMIN) -> list[str]:
    answer = await ask(cloud, "GET", f"{SPACES}?{query}", token=token)
    assert answer.status == 200, answer.body
    return [one["namespace"] for one in answer.json["namespaces"]]


async def test_a_namespace_is_made_with_all_that_is_in_it(cloud: Cloud) -> None:
    answer = await ask(cloud, "POST", SPACES, WHOLE)
    assert (answer.status, answer.headers["location"]) == (201, PATH)
    shown = (await ask(cloud, "GET", PATH, token="reader@blue")).json
    assert answer.json == shown
    assert {name: shown[name] for name in ("namespace", "display_name", "description", "visibility")} == {
        name: WHOLE[name] for name in ("namespace", "display_name", "description", "visibility")
    }
    assert (shown["owner"], shown["protected"], shown["self"]) == ("ops", False, PATH)
    assert shown["schema"] == "/v2/schemas/metadefs/namespace"
    assert shown["properties"] == {"cores": CORES}
    assert shown["tags"] == WHOLE["tags"]
    (one,) = shown["objects"]
    assert (one["name"], one["required"], one["properties"]) == ("cache", ["ways"], {"ways": CORES})
    assert one["self"] == f"{PATH}/objects/cache"
    assert [(one["name"], one["prefix"]) for one in shown["resource_type_associations"]] == [
        ("OS::Nova::Flavor", "hw:"),
        ("OS::Glance::Image", "hw_"),
    ]


async def test_names_of_properties_are_those_on_a_resource(cloud: Cloud) -> None:
    await ask(cloud, "POST", SPACES, WHOLE)
    shown = (await ask(cloud, "GET", f"{PATH}?resource_type=OS::Nova::Flavor")).json
    assert list(shown["properties"]) == ["hw:cores"]
    assert (list(shown["objects"][0]["properties"]), shown["objects"][0]["required"]) == (["hw:ways"], ["hw:ways"])
    assert list((await ask(cloud, "GET", f"{PATH}?resource_type=OS::Nova::Server")).json["properties"]) == ["cores"]
    one = f"{PATH}/properties"
    assert (await ask(cloud, "GET", f"{one}/hw_cores?resource_type=OS::Glance::Image")).json["name"] == "cores"
    for path in ("cores?resource_type=OS::Glance::Image", "hw_cores", "cores?resource_type=OS::Nova::Server"):
        assert (await ask(cloud, "GET", f"{one}/{path}")).status == 404


async def test_a_namespace_that_cannot_be_made_whole_is_not_made(cloud: Cloud) -> None:
    for wrong, status in (
        ({"tags": [{"name": "a"}, {"name": "a"}]}, 409),
        ({"objects": [{"description": "d"}]}, 400),
        ({"objects": [{"name": "o", "properties": {"p": {"title": "t"}}}]}, 400),
        ({"properties": {"p": {"title": "t", "type": "colour"}}}, 400),
        ({"properties": {"p": {"title": "t", "type": "string", "unknown": 1}}}, 400),
        ({"objects": [{"name": "o", "properties": {"p": {**CORES, "unknown": 1}}}]}, 400),
        ({"objects": [{"name": "o", "properties": {"p" * 81: CORES}}]}, 400),
        ({"properties": {"p" * 81: CORES}}, 400),
        ({"visibility": "shared"}, 400),
        ({"display_name": "d" * 81}, 400),
        ({"unknown": 1}, 400),
        ({"description": "half \ud800"}, 400),
        ({"namespace": ""}, 400),
        ({"namespace": "a/b"}, 400),
        ({"namespace": 7}, 400),
        ({"created_at": "x"}, 403),
        ({"self": "x"}, 403),
    ):
        answer = await ask(cloud, "POST", SPACES, {"namespace": "n", **wrong})
        assert answer.status == status, (wrong, answer.body)
    bodies: tuple[Any, ...] = ([], {}, b"", b"{")
    for body in bodies:
        assert (await ask(cloud, "POST", SPACES, body)).status == 400
    assert await names(cloud) == []
    await make(cloud, "n")
    assert (await ask(cloud, "POST", SPACES, {"namespace": "n"})).status == 409


async def test_who_may_not_see_a_namespace_is_told_that_there_is_none(cloud: Cloud) -> None:
    await make(cloud, "own", owner="blue")
    await make(cloud, "hidden")
    await make(cloud, "open", visibility="public")
    assert await names(cloud, token="member@blue") == ["open", "own"]
    assert await names(cloud) == ["open", "hidden", "own"]
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"namespace": "hidden"}),
        ("DELETE", "", None),
        ("GET", "/objects", None),
        ("POST", "/objects", {"name": "o"}),
        ("GET", "/properties", None),
        ("POST", "/properties", {"name": "p", **CORES}),
        ("GET", "/tags", None),
        ("POST", "/tags", {"tags": [{"name": "t"}]}),
        ("POST", "/tags/t", None),
        ("GET", "/resource_types", None),
        ("POST", "/resource_types", {"name": "r"}),
        ("DELETE", "/resource_types/r", None),
    ):
        seen = (200,) if method == "GET" else (403,)
        for name, statuses in (("hidden", (404,)), ("missing", (404,)), ("open", seen), ("own", seen)):
            answer = await ask(cloud, method, f"{SPACES}/{name}{path}", body, "member@blue")
            assert answer.status in statuses, (method, name, path, answer.body)
            if name == "hidden":
                hidden = answer.body
            if name == "missing":
                assert answer.body == hidden.replace(b"hidden", b"missing")
        assert (await ask(cloud, method, f"{SPACES}/open{path}", body, "nobody")).status == 401
    assert (await ask(cloud, "POST", SPACES, {"namespace": "n"}, "member@blue")).status == 403
    assert (await ask(cloud, "GET", SPACES, token="stranger@blue")).status in (403, 404)


async def test_lists_have_pages_filters_and_an_order(cloud: Cloud) -> None:
    await make(cloud, "b", resource_type_associations=[{"name": "R"}, {"name": "S"}])
    await make(cloud, "c", visibility="public", resource_type_associations=[{"name": "T"}])
    await make(cloud, "a")
    assert await names(cloud) == ["a", "c", "b"]
    assert await names(cloud, "sort_key=namespace&sort_dir=asc") == ["a", "b", "c"]
    assert await names(cloud, "visibility=public") == ["c"]
    assert await names(cloud, "resource_types=S,T") == ["c", "b"]
    assert await names(cloud, "resource_types=X") == []
    assert await names(cloud, "limit=0") == []
    page = (await ask(cloud, "GET", f"{SPACES}?limit=2")).json
    assert (page["first"], page["next"]) == (f"{SPACES}?limit=2", f"{SPACES}?limit=2&marker=c")
    assert page["schema"] == "/v2/schemas/metadefs/namespaces"
    last = (await ask(cloud, "GET", page["next"])).json
    assert ([one["namespace"] for one in last["namespaces"]], "next" in last) == (["b"], False)
    assert [one["name"] for one in last["namespaces"][0]["resource_type_associations"]] == ["R", "S"]
    for query in ("limit=x", "limit=-1", "sort_dir=up", "sort_key=colour", "visibility=shared"):
        assert (await ask(cloud, "GET", f"{SPACES}?{query}")).status == 400, query
    assert (await ask(cloud, "GET", f"{SPACES}?marker=missing")).status == 404


async def test_a_namespace_is_changed_as_a_whole(cloud: Cloud) -> None:
    await ask(cloud, "POST", SPACES, {**WHOLE, "protected": True})
    await make(cloud, "other")
    answer = await ask(cloud, "PUT", PATH, {"namespace": "other"})
    assert answer.status == 409
    answer = await ask(cloud, "PUT", PATH, {"namespace": "renamed", "description": "soft", "owner": "blue"})
    assert answer.status == 200
    assert "display_name" not in answer.json
    assert (answer.json["visibility"], answer.json["protected"]) == ("private", False)
    shown = (await ask(cloud, "GET", f"{SPACES}/renamed", token="member@blue")).json
    assert (shown["description"], shown["owner"], shown["tags"]) == ("soft", "blue", WHOLE["tags"])
    assert shown["updated_at"] > shown["created_at"]
    assert (await ask(cloud, "GET", PATH)).status == 404
    assert (await ask(cloud, "PUT", f"{SPACES}/renamed", {"description": "nameless"})).status == 400


async def test_nothing_of_what_is_protected_can_be_deleted(cloud: Cloud) -> None:
    await ask(cloud, "POST", SPACES, {**WHOLE, "protected": True})
    types = "/resource_types/OS::Nova::Flavor"
    paths = ("", "/objects", "/objects/cache", "/properties", "/properties/cores", "/tags", "/tags/fast", types)
    before = (await ask(cloud, "GET", PATH)).json
    for path in paths:
        assert (await ask(cloud, "DELETE", f"{PATH}{path}")).status == 403, path
    assert (await ask(cloud, "GET", PATH)).json == before
    await ask(cloud, "PUT", PATH, {"namespace": WHOLE["namespace"]})
    for path in ("/objects/cache", "/properties/cores", "/tags/fast", types):
        assert (await ask(cloud, "DELETE", f"{PATH}{path}")).status == 204, path
        assert (await ask(cloud, "DELETE", f"{PATH}{path}")).status == 404, path
    for path in ("/objects", "/properties", "/tags", ""):
        assert (await ask(cloud, "DELETE", f"{PATH}{path}")).status == 204, path
    assert (await ask(cloud, "DELETE", PATH)).status == 404


@pytest.mark.parametrize(
    ("plural", "made", "changed"),
    [
        ("objects", {"name": "o", "properties": {"p": CORES}}, {"name": "q", "description": "d", "required": ["p"]}),
        ("properties", {"name": "o", **CORES}, {"name": "q", "title": "t", "type": "string", "enum": ["a"]}),
    ],
)
async def test_objects_and_properties(cloud: Cloud, plural: str, made: Any, changed: Any) -> None:
    await make(cloud, "n")
    path = f"{SPACES}/n/{plural}"
    answer = await ask(cloud, "POST", path, made)
    assert answer.status == 201
    assert answer.json.items() >= made.items()
    assert (await ask(cloud, "POST", path, made)).status == 409
    assert (await ask(cloud, "GET", f"{path}/o")).json == answer.json
    await ask(cloud, "POST", path, {**made, "name": "other"})
    assert (await ask(cloud, "PUT", f"{path}/o", {**changed, "name": "other"})).status == 409
    cloud.clock.advance(1)
    after = (await ask(cloud, "PUT", f"{path}/o", changed)).json
    assert after.items() >= changed.items()
    assert "minimum" not in after
    assert (await ask(cloud, "GET", f"{path}/q")).json == after
    assert after.get("created_at") == answer.json.get("created_at")
    listed = (await ask(cloud, "GET", path)).json[plural]
    found = [one["name"] for one in listed] if isinstance(listed, list) else list(listed)
    assert found == ["q", "other"]
    for method in ("GET", "PUT", "DELETE"):
        assert (await ask(cloud, method, f"{path}/o", changed)).status == 404
    for body, status in (({}, 400), ({**made, "x": 1}, 400), ({**made, "created_at": "x"}, 403), (b"", 400)):
        assert (await ask(cloud, "POST", path, body)).status == status
    assert (await ask(cloud, "DELETE", path)).status == 204
    assert not (await ask(cloud, "GET", path)).json[plural]


async def test_tags(cloud: Cloud) -> None:
    await make(cloud, "n")
    path = f"{SPACES}/n/tags"

    async def listed(query: str = "sort_key=name&sort_dir=asc") -> list[str]:
        return [one["name"] for one in (await ask(cloud, "GET", f"{path}?{query}")).json["tags"]]

    answer = await ask(cloud, "POST", path, {"tags": [{"name": "a"}, {"name": "b"}]})
    assert (answer.status, answer.json) == (201, {"tags": [{"name": "a"}, {"name": "b"}]})
    assert (await ask(cloud, "POST", path, {"tags": [{"name": "c"}, {"name": "d"}]})).status == 201
    assert await listed() == ["c", "d"]
    append = {"X-OpenStack-Append": "True"}
    assert (await ask(cloud, "POST", path, {"tags": [{"name": "e"}]}, **append)).status == 201
    assert (await ask(cloud, "POST", path, {"tags": [{"name": "f"}, {"name": "e"}]}, **append)).status == 409
    assert (await ask(cloud, "POST", path, {"tags": []})).status == 201
    assert await listed() == ["c", "d", "e"]
    assert await listed("sort_key=name&limit=1&marker=d") == ["c"]
    answer = await ask(cloud, "POST", f"{path}/g")
    assert (answer.status, answer.json["name"]) == (201, "g")
    assert "created_at" in answer.json
    assert (await ask(cloud, "POST", f"{path}/g")).status == 409
    assert (await ask(cloud, "POST", f"{path}/{'t' * 81}")).status == 400
    assert (await ask(cloud, "PUT", f"{path}/g", {"name": "e"})).status == 409
    assert (await ask(cloud, "PUT", f"{path}/g", {"name": "h"})).json["name"] == "h"
    assert (await ask(cloud, "GET", f"{path}/g")).status == 404
    assert (await ask(cloud, "GET", f"{path}/h")).status == 200
    assert (await ask(cloud, "DELETE", f"{path}/h")).status == 204
    assert (await ask(cloud, "POST", path, {"tags": [{"name": "x", "colour": "red"}]})).status == 400
    assert (await ask(cloud, "POST", path, {})).status == 400
    assert (await ask(cloud, "DELETE", path)).status == 204
    assert await listed() == []


async def test_resource_types(cloud: Cloud) -> None:
    async def known(token: str = "reader@blue") -> set[str]:
        answer = await ask(cloud, "GET", "/v2/metadefs/resource_types", token=token)
        return {one["name"] for one in answer.json["resource_types"]}

    assert "OS::Glance::Image" in await known()
    await make(cloud, "n")
    path = f"{SPACES}/n/resource_types"
    said = {"name": "My::Own", "prefix": "own:"}
    answer = await ask(cloud, "POST", path, said)
    assert (answer.status, answer.json.items() >= said.items()) == (201, True)
    assert (await ask(cloud, "POST", path, said)).status == 409
    assert (await ask(cloud, "POST", path, {"prefix": "x"})).status == 400
    assert (await ask(cloud, "GET", path)).json == {"resource_type_associations": [answer.json]}
    assert "My::Own" in await known(ADMIN)
    assert "My::Own" not in await known()
    assert (await ask(cloud, "DELETE", f"{path}/My::Own")).status == 204
    assert (await ask(cloud, "DELETE", f"{path}/My::Own")).status == 404


async def test_a_namespace_has_an_end(cloud: Cloud) -> None:
    await make(cloud, "n")
    statuses = []
    for number in range(8):
        one = {"name": f"p{number}", "title": "t" * 100_000, "type": "string"}
        statuses.append((await ask(cloud, "POST", f"{SPACES}/n/properties", one)).status)
    assert statuses == [201] * 5 + [413] * 3


@pytest.mark.parametrize("name", sorted(SCHEMAS))
async def test_schemas_are_told_to_whoever_has_a_token(cloud: Cloud, name: str) -> None:
    answer = await ask(cloud, "GET", f"/v2/schemas/metadefs/{name}", token="reader@blue")
    assert answer.status == 200
    named = {"resource_type": "resource_type_association", "resource_types": "resource_type_associations"}
    assert answer.json["name"] == named.get(name, name)
    assert (await ask(cloud, "GET", f"/v2/schemas/metadefs/{name}", token="nobody")).status == 401


async def test_two_changes_at_once_are_both_made(cloud: Cloud) -> None:
    """Neither writes over what the other has made."""
    await make(cloud, "n")
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(ask, cloud, "POST", f"{SPACES}/n/tags/t{number}")
    assert len((await ask(cloud, "GET", f"{SPACES}/n/tags")).json["tags"]) == 8
