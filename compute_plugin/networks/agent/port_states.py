"""What an agent says of the ports on its host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from compute_plugin.networks.agent.applying import Failure
from compute_plugin.networks.agent.links import is_ready
from compute_plugin.networks.agent.seen import SeenSpace
from compute_plugin.networks.agent.steps import AddLink
from compute_plugin.networks.plan.wiring import HOST, Vlan, Wiring
from compute_plugin.networks.records.states import PORT_STATES, PREFIX, PortState, States
from store.registry import Delete, Put, Registry

_UNKNOWN: Final = "Unknown device type"
NO_TAGS: Final = "the kernel's module 8021q is missing, without which nothing is tagged"
AT_ONCE: Final = 100
"""Operations of one transaction."""


def port_states(wiring: Wiring, host: SeenSpace, failures: Iterable[Failure], name: str) -> dict[str, PortState]:
    """Of all ports here, by their ids: servers' and routers'. `failures`: of steps that could not be done."""
    failed = _of_links(failures)
    failed_spaces = {failure.step.space: failure.why for failure in failures if failure.step.space != HOST}
    states = {}
    for link in wiring.host.links:
        leg = wiring.legs.get(link.name)
        plug = wiring.plugs.get(link.name) or leg
        if plug is None:
            continue
        beyond = failed_spaces.get(leg.space, "") if leg is not None else ""
        up = link.up and is_ready(HOST, link, host) and not beyond
        problem = "" if up else failed.get(link.name, "") or beyond
        if not up and not problem and link.up and link.name not in host.links:
            problem = f"there is no link {link.name} yet"
        states[plug.port] = PortState(id=plug.port, host=name, up=up, problem=problem)
    return states


def _of_links(failures: Iterable[Failure]) -> dict[str, str]:
    """By names of links of the host: what went wrong first, which is why the rest did."""
    found: dict[str, str] = {}
    for failure in failures:
        step = failure.step
        if step.space == HOST:
            name = step.link.name if isinstance(step, AddLink) else getattr(step, "name", "")
            tags = isinstance(step, AddLink) and isinstance(step.link.form, Vlan)
            found.setdefault(name, NO_TAGS if tags and _UNKNOWN in failure.why else failure.why)
    return found


async def tell(registry: Registry, states: States, told: Mapping[str, PortState], host: str) -> None:
    """Write what has changed. Raises RetryableError."""
    operations: list[Put | Delete] = [
        Put(_key(id_), PORT_STATES.codec.encode(state)) for id_, state in told.items() if states.ports.get(id_) != state
    ]
    operations += [Delete(_key(state.id)) for state in states.ports.by("host", host) if state.id not in told]
    for start in range(0, len(operations), AT_ONCE):
        await registry.transact((), operations[start : start + AT_ONCE])


def _key(port: str) -> bytes:
    return PREFIX + f"port/{port}".encode()
