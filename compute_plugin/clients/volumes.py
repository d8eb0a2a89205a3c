"""Volumes of servers: a thin client of the volume API of this process."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from compute_plugin.clients.callers import COMPUTE
from gateway.rest.inside import App, Asker
from gateway.rest.policy import Credentials
from store.core.errors import InvalidError, NotFoundError

PREFIX: Final = "/volume/v3"
VERSION: Final = "volume 3.70"
Row = dict[str, Any]


class Volumes:
    """Start the service first."""

    def __init__(self, app: App) -> None:
        self._asker = Asker(app, PREFIX, {"OpenStack-API-Version": VERSION})

    async def volume(self, caller: Credentials, id_: str) -> Row:
        """Raises NotFoundError, also where the caller may not see it."""
        found: Row = (await self._asker.ask(caller, "GET", f"/volumes/{id_}"))["volume"]
        return found

    async def snapshot(self, caller: Credentials, id_: str) -> Row:
        found: Row = (await self._asker.ask(caller, "GET", f"/snapshots/{id_}"))["snapshot"]
        return found

    async def create(self, caller: Credentials, asked: Row) -> Row:
        """Raises as the volume service does; the volume is made by a task of its own."""
        found: Row = (await self._asker.ask(caller, "POST", "/volumes", {"volume": asked}))["volume"]
        return found

    async def delete(self, id_: str) -> None:
        """Nothing where it is gone."""
        with suppress(NotFoundError):
            await self._asker.ask(COMPUTE, "DELETE", f"/volumes/{id_}")

    async def reserve(self, caller: Credentials, volume: str, server: str) -> str:
        """The id of an attachment that keeps the volume for a server. Raises InvalidError where it is in no state for
        that."""
        asked = {"attachment": {"volume_uuid": volume, "instance_uuid": server}}
        return str((await self._asker.ask(caller, "POST", "/attachments", asked))["attachment"]["id"])

    async def connect(self, attachment: str, host: str, mountpoint: str) -> Row:
        """Where the volume is reached from a host. Raises NotFoundError."""
        asked = {"attachment": {"connector": {"host": host, "mountpoint": mountpoint, "mode": "rw"}}}
        found: Row = (await self._asker.ask(COMPUTE, "PUT", f"/attachments/{attachment}", asked))["attachment"]
        return found

    async def complete(self, attachment: str) -> None:
        """The server has it."""
        await self._asker.ask(COMPUTE, "POST", f"/attachments/{attachment}/action", {"os-complete": {}})

    async def release(self, attachment: str) -> None:
        """The server has it no more. Nothing where that is known."""
        with suppress(NotFoundError):
            await self._asker.ask(COMPUTE, "DELETE", f"/attachments/{attachment}")

    async def show_detaching(self, caller: Credentials, volume: str) -> None:
        """Clients see that it goes. Nothing where it has gone already."""
        with suppress(NotFoundError, InvalidError):
            await self._asker.ask(caller, "POST", f"/volumes/{volume}/action", {"os-begin_detaching": {}})

    async def take_snapshot(self, caller: Credentials, volume: str, name: str) -> Row:
        asked = {"snapshot": {"volume_id": volume, "name": name, "force": True}}
        found: Row = (await self._asker.ask(caller, "POST", "/snapshots", asked))["snapshot"]
        return found

    async def reimage(self, volume: str, image: str) -> None:
        """Have it be what an image is. The volume service does it by a task of its own."""
        asked = {"os-reimage": {"image_id": image, "reimage_reserved": True}}
        await self._asker.ask(COMPUTE, "POST", f"/volumes/{volume}/action", asked)

    async def attachment_of(self, volume: str, server: str) -> str:
        """The id of the attachment by which a server has a volume; "" for none."""
        query = {"volume_id": volume, "instance_id": server, "all_tenants": "1"}
        found = (await self._asker.ask(COMPUTE, "GET", "/attachments", query=query))["attachments"]
        return str(found[0]["id"]) if found else ""

    async def attachments_of(self, server: str, volume: str = "") -> list[str]:
        """The ids of all attachments to a server, or those of one volume."""
        query = {"instance_id": server, "all_tenants": "1", **({"volume_id": volume} if volume else {})}
        found = (await self._asker.ask(COMPUTE, "GET", "/attachments", query=query))["attachments"]
        return [str(one["id"]) for one in found]

    async def delete_snapshot(self, id_: str) -> None:
        """Nothing where it is gone."""
        with suppress(NotFoundError):
            await self._asker.ask(COMPUTE, "DELETE", f"/snapshots/{id_}")

    async def marked(self, caller: Credentials, name: str, value: str) -> str:
        """The id of a volume that has something in its metadata; "" for none."""
        query = {"metadata": repr({name: value}), "all_tenants": "1"}
        found = (await self._asker.ask(caller, "GET", "/volumes", query=query))["volumes"]
        return str(found[0]["id"]) if found else ""

    async def rollback_detaching(self, caller: Credentials, volume: str) -> None:
        """It stays as it was."""
        await self._asker.ask(caller, "POST", f"/volumes/{volume}/action", {"os-roll_detaching": {}})
