"""Requests that nobody means well, at every route of the image registry:
`python -m tests.image_registry.hostile_routes`.

Bodies begin as something plausible for the route and are spoilt in places; names and ids are of what is there, or of
nothing; tasks that requests begin go on meanwhile.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Final
from urllib.parse import quote

import trio

from image_registry.v2.patch import OLDER
from image_registry.v2.routes import ROUTES
from tests.gateway_rest import hostile
from tests.image_registry.cloud import OCTETS, PATCH, Cloud
from tests.image_registry.test_web_source import Names

ADMIN: Final = "admin@ops"
NOBODY: Final = "nobody"
TOKENS: Final = ("admin@blue", "admin@ops", "member@blue", "member@red", "reader@blue", "stranger@blue", NOBODY)
UUID: Final = "0f0f0f0f-1111-4222-8333-44445555666"

_CORES: Final = {"title": "Cores", "type": "integer", "minimum": 1, "enum": [1, 2], "default": 2}
_OBJECT: Final = {"name": "o", "description": "d", "required": ["p"], "properties": {"p": _CORES}}
_TYPE: Final = {"name": "OS::Nova::Flavor", "prefix": "hw:", "properties_target": "image"}
_NAMESPACE: Final = {
    "namespace": "n", "display_name": "N", "description": "d", "visibility": "public", "protected": False,
    "owner": "blue", "properties": {"p": _CORES}, "objects": [_OBJECT], "tags": [{"name": "t"}],
    "resource_type_associations": [_TYPE],
}  # fmt: skip
_IMAGE: Final = {
    "name": "granite", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "protected": False,
    "min_disk": 1, "min_ram": 1, "tags": ["t"], "os_hidden": False, "owner": "blue", "os_distro": "debian",
}  # fmt: skip
_WEB: Final = {"name": "web-download", "uri": "http://missing.example/x"}
PLAUSIBLE: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("POST", "/v2/images"): (_IMAGE, {"id": f"{UUID}7", **_IMAGE}, {}),
    ("PATCH", "/v2/images/{image_id}"): (
        [{"op": "replace", "path": "/name", "value": "basalt"}, {"op": "add", "path": "/grain", "value": "fine"}],
        [{"op": "remove", "path": "/os_distro"}],
        [{"op": "replace", "path": "/visibility", "value": "public"}],
        [{"op": "add", "path": "/locations/-", "value": {"url": "http://a", "metadata": {}}}],
        [{"replace": "/tags", "value": ["a", "b"]}],
    ),
    ("PUT", "/v2/images/{image_id}/file"): (b"bits", b"", b"QFI\xfb" + bytes(600)),
    ("PUT", "/v2/images/{image_id}/stage"): (b"bits", b"KDMV" + bytes(600)),
    ("POST", "/v2/images/{image_id}/import"): (
        {"method": {"name": "glance-direct"}},
        {"method": _WEB, "stores": ["standard"], "all_stores_must_succeed": True},
        {"method": {"name": "copy-image"}, "stores": ["coded"], "all_stores": False},
    ),
    ("POST", "/v2/images/{image_id}/locations"): (
        {"url": "http://missing.example/x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "a" * 32}},
    ),
    ("POST", "/v2/images/{image_id}/members"): ({"member": "red"},),
    ("PUT", "/v2/images/{image_id}/members/{member_id}"): ({"status": "accepted"},),
    ("POST", "/v2/tasks"): (
        {"type": "import", "input": {"import_from": _WEB["uri"], "image_properties": _IMAGE}},
    ),
    ("POST", "/v2/metadefs/namespaces"): (_NAMESPACE, {"namespace": "m"}),
    ("PUT", "/v2/metadefs/namespaces/{namespace}"): ({"namespace": "n", "protected": True}, {"namespace": "m"}),
    ("POST", "/v2/metadefs/namespaces/{namespace}/objects"): (_OBJECT, {**_OBJECT, "name": "q"}),
    ("PUT", "/v2/metadefs/namespaces/{namespace}/objects/{object_name}"): (_OBJECT, {**_OBJECT, "name": "q"}),
    ("POST", "/v2/metadefs/namespaces/{namespace}/properties"): ({"name": "p", **_CORES}, {"name": "q", **_CORES}),
    ("PUT", "/v2/metadefs/namespaces/{namespace}/properties/{property_name}"): ({"name": "q", **_CORES},),
    ("POST", "/v2/metadefs/namespaces/{namespace}/tags"): ({"tags": [{"name": "t"}, {"name": "u"}]},),
    ("PUT", "/v2/metadefs/namespaces/{namespace}/tags/{tag_name}"): ({"name": "u"},),
    ("POST", "/v2/metadefs/namespaces/{namespace}/resource_types"): (_TYPE,),
}  # fmt: skip
"""Of the routes that read a body."""
HEADERS: Final = (
    ("Range", ("bytes=0-1", "bytes=-9", "bytes=9-", "bytes=" + "9" * 30 + "-", "x", "bytes=--")),
    ("Content-Range", ("bytes 0-1/*", "bytes 5-2/4", "x")),
    ("X-Image-Meta-Store", ("coded", "none", "")),
    ("X-OpenStack-Image-Size", ("4", "-1", "9" * 30, "x", "\u00b2")),
    ("X-OpenStack-Append", ("true", "x")),
    ("Accept", ("application/json", "text/plain", "x")),
    ("Content-Type", ("application/json", OCTETS, PATCH, OLDER, "", "x; y")),
    ("X-Service-Token", ("admin@ops", "x")),
)
QUERIES: Final = (
    "", "", "limit=1", "limit=0", "limit=-1", "limit=x", "limit=\u00b2", "limit=--1", "marker=none", f"marker={UUID}7",
    "sort=name:asc,id", "sort=:", "sort_key=name&sort_dir=up", "sort_key=size", "sort_dir=asc", "visibility=all",
    "visibility=x", "member_status=all", "member_status=x", "os_hidden=true", "protected=x", "size_min=x",
    "size_max=--1",
    "size_min=\u00b2", "created_at=gt:2020-01-01T00:00:00Z", "updated_at=lt:x", "name=in:a,\"b",
    "id=neq:x", "tag=t",
    "changes-since=x", "status=in:active,queued", "os_distro=debian", "%ff=%fe", "resource_types=OS::Nova::Flavor",
    "resource_type=OS::Nova::Flavor", "prefer=coded,none", "type=import", "owner=blue", "image_id=x", "limit=1&limit=2",
)  # fmt: skip


class Attack:
    """Draws requests for one cloud."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self._cloud = cloud
        self._random = random.Random(seed)  # a test's seed
        self._routes = [(method, path) for path, handlers in ROUTES.items() for method in handlers]
        self._known: dict[str, list[str]] = {
            "store_id": ["standard", "coded"],
            "member_id": ["red", "blue"],
            "tag": ["t", "u"],
            "namespace": ["n", "m"],
            "object_name": ["o", "q"],
            "property_name": ["p", "q", "hw:p"],
            "tag_name": ["t", "u"],
            "resource_type": ["OS::Nova::Flavor"],
        }
        self.statuses: Counter[int] = Counter()

    async def see(self) -> None:
        """What is there now."""
        self._known["image_id"] = [image.id for image in await self._cloud.service.images.all()]
        self._known["task_id"] = [task.id for task in await self._cloud.service.tasks.every()]

    async def ask(self) -> None:
        """Raises AssertionError where the answer is none that such a request should get."""
        drawn = self._random
        method, pattern = drawn.choice(self._routes)
        path, query = hostile.path_of(drawn, pattern, self._known), drawn.choice(QUERIES)
        path += f"?{quote(query, safe='=&%:,')}" if query else ""
        token, headers = drawn.choice(TOKENS), self._headers(method, pattern)
        body = self._body(method, pattern)
        answer = await self._cloud.ask(method, path, body, token, headers)
        said = (method, path, body, token, headers, answer.status, answer.body)
        assert answer.status < 500, said
        if token == NOBODY:
            assert answer.status in (401, 404, 405), said  # a slash in a name leads to no route, or to another
        self.statuses[answer.status] += 1

    def _headers(self, method: str, pattern: str) -> dict[str, str]:
        headers = {name: self._random.choice(choices) for name, choices in HEADERS if self._random.random() < 0.05}
        headers.setdefault("Content-Type", OCTETS if method == "PUT" else PATCH)
        return {name: value.encode().decode("latin-1") for name, value in headers.items()}

    def _body(self, method: str, pattern: str) -> Any:
        choices = PLAUSIBLE.get((method, pattern), ({}, None))
        body = self._random.choice(choices)
        return body if isinstance(body, bytes) else hostile.spoilt(self._random, body)


async def attack(seed: int, requests: int) -> Counter[int]:
    """How often which status was answered. Raises AssertionError for an answer that should not be."""
    trio.socket.set_custom_hostname_resolver(Names())
    async with trio.open_nursery() as nursery:
        cloud = Cloud()
        await nursery.start(cloud.service.run)
        drawn = Attack(cloud, seed)
        await cloud.active()
        for number in range(requests):
            if number % 20 == 0:
                await drawn.see()
            if number % 500 == 499:
                await empty(cloud)
            await drawn.ask()
        nursery.cancel_scope.cancel()
    return drawn.statuses


async def empty(cloud: Cloud) -> None:
    """All but one image goes, so that lists stay short and names are free again."""
    for image in await cloud.service.images.all():
        await cloud.patch(image.id, {"op": "replace", "path": "/protected", "value": False}, token=ADMIN)
        await cloud.ask("DELETE", f"/v2/images/{image.id}", token=ADMIN)
    for namespace in await cloud.service.definitions.all():
        path = f"/v2/metadefs/namespaces/{namespace.name}"
        await cloud.ask("PUT", path, {"namespace": namespace.name}, ADMIN)
        await cloud.ask("DELETE", path, token=ADMIN)
    await cloud.active()


if __name__ == "__main__":
    hostile.command(__doc__, attack)
