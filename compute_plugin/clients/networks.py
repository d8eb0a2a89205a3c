"""Ports of servers: a thin client of the network API of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from compute_plugin.clients.callers import COMPUTE
from gateway.rest.inside import App, Asker
from gateway.rest.policy import Credentials
from store.core.errors import ConflictError, InvalidError, NotFoundError

PREFIX: Final = "/network/v2.0"
Row = dict[str, Any]


class Networks:
    """Start the service first."""

    def __init__(self, app: App) -> None:
        self._asker = Asker(app, PREFIX)

    # -- looking -------------------------------------------------------------------------------------------------

    async def network(self, caller: Credentials, id_: str) -> Row:
        """Raises NotFoundError, also where the caller may not see it."""
        try:
            found: Row = (await self._asker.ask(caller, "GET", f"/networks/{id_}"))["network"]
        except NotFoundError:
            raise InvalidError(f"Network {id_} could not be found.") from None
        return found

    async def subnets(self, network: str) -> list[Row]:
        """Of a network."""
        found: list[Row] = (await self._asker.ask(COMPUTE, "GET", "/subnets", query={"network_id": network}))["subnets"]
        return found

    async def usable(self, caller: Credentials, project: str) -> list[Row]:
        """The networks that a server of a project is on where none are named: its own, and those that are shared."""
        own = await self._asker.ask(caller, "GET", "/networks", query={"tenant_id": project})
        shared = await self._asker.ask(caller, "GET", "/networks", query={"shared": "True"})
        found = {one["id"]: one for one in [*own["networks"], *shared["networks"]]}
        return [one for one in found.values() if one["subnets"] and not one["router:external"]]

    async def port(self, caller: Credentials, id_: str) -> Row:
        """Raises NotFoundError."""
        found: Row = (await self._asker.ask(caller, "GET", f"/ports/{id_}"))["port"]
        return found

    async def ports_of(self, server: str) -> list[Row]:
        """All that say that they are a server's, whoever made them."""
        found: list[Row] = (await self._asker.ask(COMPUTE, "GET", "/ports", query={"device_id": server}))["ports"]
        return found

    async def security_group(self, caller: Credentials, named: str) -> str:
        """The id of one that is named, or whose id it is. Raises InvalidError, also where several have the name."""
        listed = await self._asker.ask(caller, "GET", "/security-groups", query={"tenant_id": _project(caller)})
        found = [one["id"] for one in listed["security_groups"] if named in (one["id"], one["name"])]
        if len(found) > 1:
            raise ConflictError(
                f"Multiple security groups were found matching '{named}'. Use an ID to be more specific."
            )
        if not found:
            raise InvalidError(f"Unable to find security_group with name or id '{named}'")
        return str(found[0])

    async def floating(self, caller: Credentials, address: str) -> Row | None:
        """A floating address of the caller's project; None where it has none so."""
        query = {"floating_ip_address": address, "tenant_id": _project(caller)}
        found: list[Row] = (await self._asker.ask(caller, "GET", "/floatingips", query=query))["floatingips"]
        return found[0] if found else None

    async def floating_of(self, port: str) -> list[str]:
        """The floating addresses that stand for a port's."""
        found = await self._asker.ask(COMPUTE, "GET", "/floatingips", query={"port_id": port})
        return [str(one["floating_ip_address"]) for one in found["floatingips"]]

    async def change_floating(self, caller: Credentials, id_: str, changes: Mapping[str, Any]) -> None:
        """What it stands for."""
        await self._asker.ask(caller, "PUT", f"/floatingips/{id_}", {"floatingip": dict(changes)})

    # -- ports ---------------------------------------------------------------------------------------------------

    async def create_port(
        self,
        caller: Credentials,
        *,
        server: str,
        network: str,
        project: str,
        zone: str,
        fixed_ip: str = "",
        groups: Sequence[str] = (),
        name: str = "",
    ) -> Row:
        """A port of a server. `groups`: ids; none: the project's default. Raises as the network service does."""
        asked: Row = {
            "network_id": network,
            "device_id": server,
            "device_owner": f"compute:{zone}",
            "project_id": project,
            "admin_state_up": True,
        }
        if name:
            asked["dns_name"] = name
        if fixed_ip:
            asked["fixed_ips"] = [{"ip_address": fixed_ip}]
        if groups:
            asked["security_groups"] = list(groups)
        found: Row = (await self._asker.ask(caller, "POST", "/ports", {"port": asked}))["port"]
        return found

    async def take_port(self, caller: Credentials, id_: str, server: str, zone: str, name: str) -> Row:
        """A port that is there already is the server's from now on. Raises ConflictError where it is another's."""
        port = await self.port(caller, id_)
        if port["device_id"] and port["device_id"] != server:
            raise ConflictError(f"Port {id_} is still in use.")
        asked = {"device_id": server, "device_owner": f"compute:{zone}"}
        if not port["dns_name"]:
            asked["dns_name"] = name
        found: Row = (await self._asker.ask(caller, "PUT", f"/ports/{id_}", {"port": asked}))["port"]
        return found

    async def bind_port(self, id_: str, host: str) -> Row:
        """Where it is plugged in; "" for nowhere. Raises NotFoundError."""
        found: Row = (await self._asker.ask(COMPUTE, "PUT", f"/ports/{id_}", {"port": {"binding:host_id": host}}))[
            "port"
        ]
        return found

    async def unbind_port(self, id_: str) -> None:
        """It is plugged in nowhere. Nothing where it is gone."""
        with suppress(NotFoundError):
            await self.bind_port(id_, "")

    async def change_port(self, caller: Credentials, id_: str, changes: Mapping[str, Any]) -> None:
        await self._asker.ask(caller, "PUT", f"/ports/{id_}", {"port": dict(changes)})

    async def release_port(self, id_: str) -> None:
        """It was there before the server, and is nobody's again. Nothing where it is gone."""
        with suppress(NotFoundError):
            changes = {"device_id": "", "device_owner": "", "binding:host_id": "", "dns_name": ""}
            await self._asker.ask(COMPUTE, "PUT", f"/ports/{id_}", {"port": changes})

    async def delete_port(self, id_: str) -> None:
        """Nothing where it is gone."""
        with suppress(NotFoundError):
            await self._asker.ask(COMPUTE, "DELETE", f"/ports/{id_}")


def _project(caller: Credentials) -> str:
    return str(caller.get("project_id") or "")
