"""Agents, as clients know them: what one process does on each host is shown as three."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from compute_plugin.networks.records.agent import AgentSettings
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.standard import Standard
from compute_plugin.networks.records.states import AgentState
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.readers import NAME_MAX, flag, or_none, text
from compute_plugin.networks.v2.frame.view import Change, View

FAMILY: Final = UUID("6d5c5bb3-6b0f-4f5e-9d53-1f2f6f0c7a11")
"""Of the ids, which are made of the host's name and the type."""


class AgentType(NamedTuple):
    """What there is on each host."""

    name: str
    binary: str
    topic: str


WIRES: Final = AgentType("Linux bridge agent", "neutron-linuxbridge-agent", "N/A")
DHCP_AGENT: Final = AgentType("DHCP agent", "neutron-dhcp-agent", "dhcp_agent")
L3_AGENT: Final = AgentType("L3 agent", "neutron-l3-agent", "l3_agent")
TYPES: Final = (WIRES, DHCP_AGENT, L3_AGENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Standard):
    """One of the three on a host."""

    host: str
    type: AgentType
    admin_state_up: bool
    state: AgentState | None
    """None where the host's agent does not live."""


class Agents(Collection[Agent]):
    """`/agents`."""

    singular = "agent"
    plural = "agents"
    path = "/agents"
    attributes = (
        Attribute("admin_state_up", flag, create=False),
        Attribute("description", or_none(text(NAME_MAX)), create=False),
        *shown(
            "id", "agent_type", "binary", "topic", "host", "alive", "availability_zone", "configurations", "created_at",
            "started_at", "heartbeat_timestamp", "resources_synced",
        ),
    )  # fmt: skip

    def table(self, records: Records) -> Table[Any]:
        return records.agent_settings

    # -- seeing --------------------------------------------------------------------------------------------------

    def rows(self, view: View) -> Iterator[Agent]:
        hosts = {one.id for one in view.states.hosts} | {one.id for one in view.states.agents}
        return (_agent(view, host, type_) for host in sorted(hosts) for type_ in TYPES)

    def find(self, view: View, id_: str) -> Agent:
        found = next((one for one in self.rows(view) if one.id == id_), None)
        if found is None:
            raise self.table(view.records).missing(id_)
        return found

    def show(self, view: View, record: Agent) -> Row:
        state = record.state
        return {
            "id": record.id,
            "agent_type": record.type.name,
            "binary": record.type.binary,
            "topic": record.type.topic,
            "host": record.host,
            "admin_state_up": record.admin_state_up,
            "description": record.description or None,
            "alive": state is not None,
            "availability_zone": view.settings.zone,
            "configurations": _configurations(view, record),
            "created_at": _shown(state.started_us) if state is not None else None,
            "started_at": _shown(state.started_us) if state is not None else None,
            "heartbeat_timestamp": _shown(max(state.started_us, state.seen_us)) if state is not None else None,
            "resources_synced": None,
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def update(self, change: Change, record: Agent, asked: Row) -> Agent:
        settings = AgentSettings(
            id=record.id,
            project_id="",
            description=asked.get("description", record.description) or "",
            admin_state_up=asked.get("admin_state_up", record.admin_state_up),
        )
        change.put(change.records.agent_settings, settings)
        return self.find(change, record.id)


def id_of(host: str, type_: AgentType) -> str:
    return str(uuid5(FAMILY, f"{host}/{type_.name}"))


def _agent(view: View, host: str, type_: AgentType) -> Agent:
    id_ = id_of(host, type_)
    settings = view.records.agent_settings.get(id_) or AgentSettings(id=id_, project_id="")
    return Agent(
        id=id_,
        project_id="",
        description=settings.description,
        revision=settings.revision,
        host=host,
        type=type_,
        admin_state_up=settings.admin_state_up,
        state=view.states.agents.get(host),
    )


def _configurations(view: View, agent: Agent) -> Row:
    state = agent.state
    if state is None:
        return {}
    ports = view.records.ports.by("host", agent.host)
    found: Row = {"problems": list(state.problems)} if state.problems else {}
    if state.warnings:
        found["warnings"] = list(state.warnings)
    if agent.type == WIRES:
        wires = {one: one for one in state.physical_networks}
        return {
            **found,
            "devices": len(ports),
            "tunneling_ip": state.address,
            "tunnel_types": ["vxlan"] if state.address else [],
            "interface_mappings": wires,
            "extensions": [],
        }
    if agent.type == DHCP_AGENT:
        return {**found, "networks": len({one.network_id for one in ports}), "ports": len(ports)}
    return {**found, "agent_mode": "legacy", "routers": len(view.states.routers.by("host", agent.host))}


def _shown(us: int) -> str:
    """Times of agents have a form of their own."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
