"""Images that are made of servers: a thin client of the image API of this process."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from gateway.rest.images import MAPPING
from gateway.rest.inside import App, Asker
from gateway.rest.policy import Credentials
from store.core.errors import NotFoundError

PREFIX: Final = "/image/v2"
PATCH: Final = "application/openstack-images-v2.1-json-patch"
Row = dict[str, Any]


class ImageRecords:
    """Start the service first."""

    def __init__(self, app: App) -> None:
        self._asker = Asker(app, PREFIX)
        self._patch = Asker(app, PREFIX, {"Content-Type": PATCH})

    async def create(self, caller: Credentials, name: str, properties: dict[str, Any]) -> str:
        """The id of a new image, `queued`. `properties`: those of its own, and `disk_format` and so on. Raises as the
        image service does."""
        asked = {"container_format": "bare", "visibility": "private", **properties, "name": name}
        return str((await self._asker.ask(caller, "POST", "/images", asked))["id"])

    async def make_empty(self, caller: Credentials, id_: str, mapping: list[Row]) -> None:
        """It is active, of no bytes, and made of snapshots of volumes."""
        if (await self._asker.ask(caller, "GET", f"/images/{id_}"))["status"] == "active":
            return
        change = [{"op": "add", "path": f"/{MAPPING}", "value": json.dumps(mapping)}]
        await self._patch.ask(caller, "PATCH", f"/images/{id_}", json.dumps(change).encode())
        await self._asker.ask(caller, "PUT", f"/images/{id_}/file", b"")

    async def delete(self, caller: Credentials, id_: str) -> None:
        """Nothing where it is gone."""
        with suppress(NotFoundError):
            await self._asker.ask(caller, "DELETE", f"/images/{id_}")

    async def backups(self, caller: Credentials, server: str, type_: str) -> list[str]:
        """The ids of a server's backups of a type, the newest first."""
        query = {"instance_uuid": server, "backup_type": type_, "sort_key": "created_at", "sort_dir": "desc"}
        found = await self._asker.ask(caller, "GET", "/images", query=query)
        return [str(one["id"]) for one in found["images"]]
