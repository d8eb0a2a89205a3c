"""Reading what is on the host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from compute_plugin.networks.agent.netlink.dump import Dump
from compute_plugin.networks.agent.netlink.namespaces import FOLDER, within
from compute_plugin.networks.agent.netlink.sockets import Sockets
from compute_plugin.networks.agent.seen import SeenSpace
from compute_plugin.networks.plan import names


def spaces_there() -> set[str]:
    """Names of namespaces that are called as ours are."""
    if not Path(FOLDER).is_dir():
        return set()
    return {name for name in os.listdir(FOLDER) if names.is_our_space(name)}


def seen_space(sockets: Sockets, sysctls: Iterable[str]) -> SeenSpace:
    """Raises OSError. `sysctls`: the paths that matter."""
    dump = Dump(sockets.asked)
    links = dump.links()
    if not sockets.space:
        return SeenSpace(name="", links=links)
    return SeenSpace(
        name=sockets.space,
        links=links,
        routes=dump.routes({link.index: link.name for link in links.values()}),
        sysctls=within(sockets.space, lambda: _values(sysctls)),
    )


def _values(sysctls: Iterable[str]) -> dict[str, str]:
    found = {}
    for path in sysctls:
        file = Path("/proc/sys", path)
        if file.exists():
            found[path] = file.read_text().strip()
    return found
