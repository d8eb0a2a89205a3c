"""Limits of domains and of projects together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.limit_models import FLAT, STRICT_TWO_LEVEL, LimitModel, parse_limit_model
from authn.service import IdentityConfig, IdentityService
from drystone.identity_file import read_identity_file
from store.core.errors import InvalidError
from store.registry import memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud
from tests.authn.test_places import made
from tests.authn.test_v3 import Answer, ask
from tests.twins.clock import ManualClock


async def started(nursery: trio.Nursery, model: LimitModel) -> Cloud:
    clock = ManualClock()
    registry = memory_registry(clock)
    first = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP, limit_model=model)
    service = IdentityService(registry, config, clock=clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    return Cloud(registry, clock, service, first)


class Limited:
    """A cloud where everybody may have ten stones."""

    def __init__(self, cloud: Cloud, token: str, service_id: str) -> None:
        self.cloud = cloud
        self.token = token
        self.stones = {"service_id": service_id, "resource_name": "stones"}

    async def limit(self, *asked: tuple[dict[str, str], int]) -> Answer:
        body = {"limits": [{**self.stones, **owner, "resource_limit": most} for owner, most in asked]}
        return await ask(self.cloud, "POST", "/v3/limits", body, token=self.token)

    async def change(self, id_: str, most: int) -> int:
        body = {"limit": {"resource_limit": most}}
        return (await ask(self.cloud, "PATCH", f"/v3/limits/{id_}", body, token=self.token)).status


async def limited(nursery: trio.Nursery, model: LimitModel = STRICT_TWO_LEVEL) -> Limited:
    cloud = await started(nursery, model)
    it = Limited(cloud, await cloud.admin_token(), next(iter(cloud.service.snapshot.services)).id)
    body = {"registered_limits": [{**it.stones, "default_limit": 10}]}
    assert (await ask(cloud, "POST", "/v3/registered_limits", body, token=it.token)).status == 201
    return it


@pytest.mark.parametrize("model", [FLAT, STRICT_TWO_LEVEL])
async def test_the_model_is_told(nursery: trio.Nursery, model: LimitModel) -> None:
    cloud = await started(nursery, model)
    told = (await ask(cloud, "GET", "/v3/limits/model", token=await cloud.admin_token())).json["model"]
    assert told == {"name": model.name, "description": model.description}


@pytest.mark.parametrize(("model", "status"), [(FLAT, 201), (STRICT_TWO_LEVEL, 403)])
async def test_a_project_has_no_more_than_everybody(nursery: trio.Nursery, model: LimitModel, status: int) -> None:
    it = await limited(nursery, model)
    project = await made(it.cloud, "project", name="p")
    answer = await it.limit(({"project_id": project}, 11))
    assert answer.status == status
    if status == 403:
        assert "doesn't satisfy current hierarchy model" in answer.json["error"]["message"]
        assert (await it.limit(({"project_id": project}, -1))).status == 403  # no limit is more than any
        assert (await it.limit(({"project_id": project}, 10))).status == 201


async def test_a_project_has_no_more_than_its_domain(nursery: trio.Nursery) -> None:
    it = await limited(nursery)
    domain = await made(it.cloud, "domain", name="d")
    inside = await made(it.cloud, "project", name="p", domain_id=domain)
    outside = await made(it.cloud, "project", name="q")
    assert (await it.limit(({"domain_id": domain}, 20))).status == 201
    assert (await it.limit(({"project_id": outside}, 20))).status == 403
    assert (await it.limit(({"project_id": inside}, 21))).status == 403
    answer = await it.limit(({"project_id": inside}, 20))
    assert answer.status == 201
    limit = answer.json["limits"][0]["id"]
    assert [await it.change(limit, 21), await it.change(limit, 19)] == [403, 200]
    assert (await it.limit(({"project_id": inside}, 5))).status == 409


async def test_a_domain_has_no_less_than_its_projects(nursery: trio.Nursery) -> None:
    it = await limited(nursery)
    domain = await made(it.cloud, "domain", name="d")
    project = await made(it.cloud, "project", name="p", domain_id=domain)
    assert (await it.limit(({"project_id": project}, 7))).status == 201
    assert (await it.limit(({"domain_id": domain}, 6))).status == 403
    answer = await it.limit(({"domain_id": domain}, -1))  # no limit is more than any
    assert answer.status == 201
    limit = answer.json["limits"][0]["id"]
    assert [await it.change(limit, 6), await it.change(limit, 7)] == [403, 200]


async def test_what_is_made_together_counts_together(nursery: trio.Nursery) -> None:
    it = await limited(nursery)
    domain = await made(it.cloud, "domain", name="d")
    project = await made(it.cloud, "project", name="p", domain_id=domain)
    over = {"project_id": project}, 31
    assert (await it.limit(({"domain_id": domain}, 30), over)).status == 403
    assert (await ask(it.cloud, "GET", "/v3/limits", token=it.token)).json["limits"] == []
    assert (await it.limit(({"project_id": project}, 30), ({"project_id": domain}, 30))).status == 201
    rows = (await ask(it.cloud, "GET", f"/v3/limits?domain_id={domain}", token=it.token)).json["limits"]
    assert [row["project_id"] for row in rows] == [None]  # a domain that is called a project is one


@pytest.mark.parametrize(("model", "status"), [(FLAT, 201), (STRICT_TWO_LEVEL, 403)])
async def test_there_are_two_levels(nursery: trio.Nursery, model: LimitModel, status: int) -> None:
    cloud = await started(nursery, model)
    top = await made(cloud, "project", name="top")
    body = {"project": {"name": "below", "parent_id": top}}
    assert (await ask(cloud, "POST", "/v3/projects", body, token=await cloud.admin_token())).status == status


async def test_limits_are_shown_along_with_what_is_around_a_project(nursery: trio.Nursery) -> None:
    it = await limited(nursery, FLAT)
    top = await made(it.cloud, "project", name="top")
    below = await made(it.cloud, "project", name="below", parent_id=top)
    assert (await it.limit(({"project_id": below}, 3))).status == 201

    async def shown(query: str) -> Any:
        path = f"/v3/projects/{top}?subtree_as_list{query}"
        return (await ask(it.cloud, "GET", path, token=it.token)).json["project"]["subtree"][0]["project"]

    assert [row["resource_limit"] for row in (await shown("&include_limits"))["limits"]] == [3]
    assert "limits" not in await shown("")


def test_the_file_chooses(tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    path.write_text('[unified_limit]\nenforcement_model = "strict_two_level"\n')
    assert read_identity_file(str(path)).limit_model is STRICT_TWO_LEVEL
    assert read_identity_file(None).limit_model is FLAT is parse_limit_model({})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "unified_limit: a table"),
        ({"model": "flat"}, "unified_limit.model: not known"),
        ({"enforcement_model": "strict"}, "one of flat, strict_two_level"),
        ({"enforcement_model": ["flat"]}, "one of flat"),
    ],
)
def test_what_is_wrong_is_named(value: Any, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        parse_limit_model(value)


async def test_several_are_made_all_or_none(nursery: trio.Nursery) -> None:
    it = await limited(nursery, FLAT)
    project, other = await made(it.cloud, "project", name="p"), await made(it.cloud, "project", name="q")
    assert (await it.limit(({"project_id": project}, 1))).status == 201
    assert (await it.limit(({"project_id": other}, 1), ({"project_id": project}, 2))).status == 409
    assert (await it.limit(({"project_id": other}, 1), ({"project_id": other}, 2))).status == 409
    assert len(it.cloud.service.snapshot.limits) == 1
    assert (await it.limit(*(({"project_id": other}, 1) for _ in range(65)))).status == 400


async def test_as_many_as_are_allowed_are_made_at_once(nursery: trio.Nursery) -> None:
    it = await limited(nursery, FLAT)
    ids = [await made(it.cloud, "project", name=f"p{number}") for number in range(64)]
    assert (await it.limit(*(({"project_id": id_}, 1) for id_ in ids))).status == 201
    assert len(it.cloud.service.snapshot.limits) == 64
