"""Requests that nobody means well, at every route: none is answered with a 500, and nobody is told what is not theirs.

Bodies begin as something plausible and are spoilt in places; ids are of what is there, or of nothing.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import Any, Final
from urllib.parse import quote

import pytest

from gateway.volumes.routes import ACTIONS, routes
from tests.gateway_rest.hostile import NOISE, path_of
from tests.gateway_volumes.cloud import Cloud

VERSIONS: Final = ("3.0", "3.27", "3.50", "3.70")

PLAUSIBLE: Final[dict[str, dict[str, Any]]] = {
    "volume": {
        "name": "n", "description": "d", "size": 1, "metadata": {"k": "v"}, "volume_type": "standard",
        "snapshot_id": None, "source_volid": None, "availability_zone": "nova", "imageRef": None,
    },
    "snapshot": {"name": "n", "volume_id": "VOLUME", "force": True, "metadata": {"k": "v"}},
    "attachment": {"volume_uuid": "VOLUME", "instance_uuid": None, "connector": {"host": "h"}, "mode": "rw"},
    "volume_type": {"name": "n", "description": "d", "extra_specs": {"k": "v"}},
    "transfer": {"volume_id": "VOLUME", "name": "n"},
    "qos_specs": {"name": "n", "consumer": "both", "k": "v"},
    "quota_set": {"volumes": 20, "gigabytes": 100},
    "quota_class_set": {"volumes": 20},
    "encryption": {"provider": "p", "control_location": "front-end", "key_size": 1, "cipher": None},
    "extra_specs": {"k": "v"},
    "metadata": {"k": "v"},
    "meta": {"k": "v"},
    "default_type": {"volume_type": "standard"},
    "accept": {"auth_key": "0" * 16},
    "addProjectAccess": {"project": "blue"},
    "os-complete": {},
    "os-unmanage": {},
    "os-extend": {"new_size": 2},
    "os-attach": {"host_name": "h", "mountpoint": "/x", "mode": "rw"},
    "os-detach": {"attachment_id": None},
    "os-reset_status": {"status": "error", "attach_status": None},
    "os-retype": {"new_type": "fast", "migration_policy": "on-demand"},
    "os-initialize_connection": {"connector": {"host": "h"}},
    "os-volume_upload_image": {"image_name": "i", "force": True, "disk_format": "raw"},
    "os-set_image_metadata": {"metadata": {"k": "v"}},
    "os-unset_image_metadata": {"key": "k"},
    "os-update_readonly_flag": {"readonly": True},
    "os-set_bootable": {"bootable": True},
    "os-reimage": {"image_id": "VOLUME"},
    "os-update_snapshot_status": {"status": "creating", "progress": "1%"},
    "drystone-rewind": {"time": "2023-11-14T22:13:20"},
    "drystone-clone-at": {"time": "2023-11-14T22:13:20", "name": "n"},
    "revert": {"snapshot_id": "SNAPSHOT"},
    **{name: {} for name in ACTIONS if name.endswith(("reserve", "ing", "force_delete", "show_image_metadata"))},
}  # fmt: skip

QUERIES: Final = (
    "", "limit=1", "limit=x", "marker=none", "sort=name:asc", "sort=\u0000", "all_tenants=1", "all_tenants=maybe",
    "metadata={'a'", "metadata=[]", "created_at=gt:x", "offset=99999999999", "with_count=x", "usage=x", "detail=x",
    "cascade=x", "force=1", "is_public=None", "vol_type_id=none", "name~=a", "%FF=%FE", "bootable=1",
)  # fmt: skip


class Attacker:
    """A run of requests that a seed draws."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.cloud = cloud
        self.random = random.Random(seed)
        self.ids: dict[str, list[str]] = {}
        self.statuses: Counter[int] = Counter()

    async def see(self) -> None:
        """What is there now."""
        for plural, path, part in (
            ("volumes", "/volumes?all_tenants=1", "volume_id"),
            ("snapshots", "/snapshots?all_tenants=1", "snapshot_id"),
            ("volume_types", "/types?is_public=None", "type_id"),
            ("attachments", "/attachments?all_tenants=1", "attachment_id"),
            ("transfers", "/volume-transfers?all_tenants=1", "transfer_id"),
            ("qos_specs", "/qos-specs", "qos_id"),
            ("messages", "/messages?all_tenants=1", "message_id"),
        ):
            answer = await self.cloud.ask("GET", path, token="admin@ops")
            self.ids[part] = [one["id"] for one in answer.json[plural]]

    def body(self) -> Any:
        name = self.random.choice(list(PLAUSIBLE))
        body = {name: copy.deepcopy(PLAUSIBLE[name])}
        for key, value in body[name].items():
            if value in ("VOLUME", "SNAPSHOT"):
                known = self.ids.get("volume_id" if value == "VOLUME" else "snapshot_id") or ["none"]
                body[name][key] = self.random.choice(known)
        if self.random.random() < 0.5 and body[name]:
            body[name][self.random.choice(list(body[name]))] = self.random.choice(NOISE)
        if self.random.random() < 0.1:
            body[name] = self.random.choice(NOISE)
        return self.random.choice(NOISE) if self.random.random() < 0.05 else body

    async def ask(self) -> None:
        table = routes()
        pattern = self.random.choice(list(table))
        method = self.random.choice(list(table[pattern]))
        query = self.random.choice(QUERIES) if self.random.random() < 0.5 else ""
        body = self.body() if method in ("POST", "PUT") else None
        token = self.random.choice(["admin@blue", "member@blue", "member@red", "reader@blue", "stranger@blue", "no"])
        path = path_of(self.random, pattern.removeprefix("/v3"), {**self.ids, "project_id": ["blue"]})
        path += f"?{quote(query, safe='=&%')}" if query else ""
        answer = await self.cloud.ask(method, path, body, token, self.random.choice(VERSIONS))
        assert answer.status < 500, (method, path, body, token, answer.body)
        if token == "no":
            assert answer.status in (401, 404), (method, path)
        self.statuses[answer.status] += 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_request_is_answered_with_a_500(cloud: Cloud, seed: int) -> None:
    for token in ("member@blue", "member@red"):
        volume = await cloud.create(token)
        await cloud.snapshot(volume["id"], token)
    attacker = Attacker(cloud, seed)
    for number in range(2000):
        if number % 50 == 0:
            await attacker.see()
        await attacker.ask()
    assert {200, 202, 400, 401, 403, 404} <= attacker.statuses.keys()


async def test_every_action_is_asked() -> None:
    assert set(ACTIONS) - PLAUSIBLE.keys() <= {"os-force_detach", "os-terminate_connection"}
