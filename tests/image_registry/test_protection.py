"""Property protection: properties that only some may make, read, change or delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from image_registry.config import parse_image_config
from image_registry.protection import OPERATIONS, parse_protection
from store.core.errors import InvalidError
from tests.image_registry.cloud import Cloud

ADMIN = "admin@blue"


def all_of(*roles: str) -> dict[str, list[str]]:
    return {operation: list(roles) for operation in OPERATIONS}


RULES: dict[str, Any] = {
    "^billing_": {"create": ["Admin"], "read": ["admin", "member"], "update": ["admin"], "delete": ["admin"]},
    "^secret$": all_of("admin"),
    "^once": {"create": ["@"], "read": ["@"], "update": ["!"], "delete": ["!"]},
    "^none": all_of(),
    "^x_": {"create": ["member"], "read": ["@"], "update": ["member"], "delete": ["member"]},
    "billing": all_of("@"),
}


@pytest.fixture
async def guarded(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Cloud]:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=parse_image_config({"property_protection": RULES}))
        await nursery.start(cloud.service.run)
        yield cloud
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("name", "token", "status"),
    [
        ("billing_code", ADMIN, 201),
        ("billing_code", "member@blue", 403),
        ("my_billing", "member@blue", 201),
        ("secret", "member@blue", 403),
        ("secretive", ADMIN, 403),
        ("once", "member@blue", 201),
        ("none", ADMIN, 403),
        ("x_owner", "member@blue", 201),
        ("unknown", ADMIN, 403),
    ],
)
async def test_who_may_make_an_image_with_a_property(guarded: Cloud, name: str, token: str, status: int) -> None:
    """The first pattern that is found counts; what no pattern is found in is nobody's."""
    body = {"name": "n", "id": "3fa85f64-5717-4562-b3fc-2c963f66afa8", "min_disk": 1, "tags": ["t"], name: "v"}
    assert (await guarded.ask("POST", "/v2/images", body, token)).status == status
    assert len(await guarded.service.images.all()) == (1 if status == 201 else 0)


async def test_what_may_not_be_read_is_not_there(guarded: Cloud) -> None:
    made = await guarded.create(ADMIN, secret="s", billing_code="b", once="o")
    assert made["secret"] == "s"
    shown = await guarded.show(made["id"])
    assert ("secret" in shown, shown["billing_code"]) == (False, "b")
    assert "billing_code" not in await guarded.show(made["id"], "reader@blue")
    for token, there in ((ADMIN, True), ("member@blue", False)):
        rows = (await guarded.ask("GET", "/v2/images", token=token)).json["images"]
        assert [("secret" in row) for row in rows] == [there]
        assert bool(await guarded.listed("secret=s", token)) is there
    assert (await guarded.patch(made["id"], {"op": "replace", "path": "/name", "value": "n"})).status == 200
    assert (await guarded.show(made["id"], ADMIN))["secret"] == "s"


@pytest.mark.parametrize(
    ("operation", "name", "status"),
    [
        ("add", "billing_code", 403),
        ("replace", "billing_code", 403),
        ("remove", "billing_code", 403),
        ("add", "billing_other", 403),
        ("add", "secret", 403),
        ("replace", "secret", 409),
        ("remove", "secret", 409),
        ("replace", "once", 403),
        ("remove", "once", 403),
        ("add", "once_more", 200),
        ("add", "x_new", 200),
        ("replace", "x_old", 200),
        ("remove", "x_old", 200),
        ("replace", "name", 200),
        ("add", "unknown", 403),
    ],
)
async def test_who_may_change_a_property(guarded: Cloud, operation: str, name: str, status: int) -> None:
    made = await guarded.create(ADMIN, secret="s", billing_code="b", once="o")
    old = {"op": "add", "path": "/x_old", "value": "v"}
    assert (await guarded.patch(made["id"], old)).status == 200
    before = await guarded.show(made["id"], ADMIN)
    change = {"op": operation, "path": f"/{name}", "value": "new"}
    assert (await guarded.patch(made["id"], change)).status == status
    after = await guarded.show(made["id"], ADMIN)
    if status == 200:
        assert after.get(name) == (None if operation == "remove" else "new")
    else:
        assert after == before


async def test_without_rules_everybody_may_everything(cloud: Cloud) -> None:
    assert parse_image_config({}).protection.rules == ()
    assert (await cloud.create(secret="s"))["secret"] == "s"


@pytest.mark.parametrize(
    "rules",
    [
        [],
        {"(": all_of("@")},
        {"(?=a)": all_of("@")},
        {"a": ["admin"]},
        {"a": {"create": ["@"]}},
        {"a": {**all_of("@"), "list": ["@"]}},
        {"a": {**all_of("@"), "read": "@"}},
        {"a": {**all_of("@"), "read": [7]}},
        {"a": {**all_of("@"), "read": ["@", "!"]}},
    ],
)
def test_rules_that_are_refused(rules: Any) -> None:
    with pytest.raises(InvalidError, match=r"^image\.property_protection"):
        parse_protection(rules)
