"""What is to be done to make a host equal to the plan, in order. Pure.

The firewall comes first: what is plugged in later finds it there. What is too much goes last, but for what stands in
the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from compute_plugin.networks.agent.links import link_steps, surplus_links
from compute_plugin.networks.agent.seen import Seen, SeenService, SeenSpace
from compute_plugin.networks.agent.steps import (
    AddSpace,
    DeleteSpace,
    ReloadService,
    SetRoute,
    SetSysctl,
    SetTables,
    StartService,
    Step,
    StopService,
)
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.wiring import HOST, Service, Space, Wiring


def difference(wiring: Wiring, seen: Seen) -> list[Step]:
    """The steps. When all of them are done, and nobody else does anything, the next difference has none."""
    planned = {space.name for space in wiring.spaces}
    steps: list[Step] = [DeleteSpace(name) for name in sorted(seen.broken)]
    steps += [AddSpace(space.name) for space in wiring.spaces if space.name not in seen.spaces]
    for space in wiring.spaces:
        steps += _tables(space, _there(space, seen))
    for space in wiring.spaces:
        steps += _sysctls(space, _there(space, seen), of_links=False)
    for space in wiring.spaces:
        steps += link_steps(space, seen, wiring)
    for space in wiring.spaces:
        steps += _sysctls(space, _there(space, seen), of_links=True)
        steps += _routes(space, _there(space, seen))
        steps += _services(space, seen)
    used = {service.folder for space in wiring.spaces for service in space.services}
    steps += [StopService(folder) for folder in sorted(seen.services) if folder not in used]
    steps += [DeleteSpace(name) for name in sorted(seen.spaces) if name not in planned and names.is_our_space(name)]
    steps += surplus_links(wiring.host, _there(wiring.host, seen))
    return steps


def digest(service: Service) -> str:
    """Of all that a service reads again."""
    together = hashlib.blake2b(digest_size=16)
    for file in service.reloaded:
        for part in (file.path, file.text):
            together.update(part.encode() + b"\0")
    return together.hexdigest()


def _there(space: Space, seen: Seen) -> SeenSpace:
    """A namespace that is not there is about to be made: nothing is in it."""
    return seen.spaces.get(space.name) or SeenSpace(name=space.name, tables=())


def _tables(space: Space, there: SeenSpace) -> Iterator[Step]:
    if there.tables is None or there.tables != space.tables:
        yield SetTables(space.name, there.tables, space.tables)


def _sysctls(space: Space, there: SeenSpace, *, of_links: bool) -> Iterator[Step]:
    """Those of links can be told when the links are there; the rest before, since links begin with it."""
    links = {link.name for link in space.links}
    for path, value in space.sysctls:
        if of_links == (path.split("/")[-2] in links) and there.sysctls.get(path) != value:
            yield SetSysctl(space.name, path, value)


def _routes(space: Space, there: SeenSpace) -> Iterator[Step]:
    if space.name == HOST:
        return
    wanted = set(space.routes)
    yield from (SetRoute(space.name, route, False) for route in sorted(there.routes - wanted))
    yield from (SetRoute(space.name, route, True) for route in space.routes if route not in there.routes)


def _services(space: Space, seen: Seen) -> Iterator[Step]:
    for service in space.services:
        found = seen.services.get(service.folder) or SeenService()
        runs = (found.space, found.command) == (space.name, service.command)
        if not runs or any(found.files.get(one.path) != one.text for one in service.files):
            yield StartService(space.name, service)
        elif found.told != digest(service) or any(found.files.get(one.path) != one.text for one in service.reloaded):
            yield ReloadService(space.name, service)
