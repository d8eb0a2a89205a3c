"""Asking this host what is on it, for `SeenHost`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any, Final

import trio

from compute_plugin.networks.plan.names import is_our_space
from compute_plugin.networks.trace.hosts import HOST

SPACES: Final = "/run/netns"

Row = dict[str, Any]


async def look() -> Row:
    """Of this host: `spaces`, by their names, each with `links`, `routes`, `fdb` and `tables`. Raises OSError where a
    tool is missing, subprocess.CalledProcessError where one fails."""
    found: Row = {}
    for name in (HOST, *_spaces()):
        try:
            found[name] = await _space(name)
        except subprocess.CalledProcessError:
            if name == HOST:
                raise
            continue  # it has gone meanwhile
    return {"spaces": found}


def _spaces() -> list[str]:
    if not os.path.isdir(SPACES):
        return []  # none was ever made
    return sorted(one for one in os.listdir(SPACES) if is_our_space(one))


async def _space(name: str) -> Row:
    within = ["-n", name] if name else []
    run = ["ip", "netns", "exec", name] if name else []
    routes = [
        {**route, "family": version}
        for version in (4, 6)
        for route in await _told(["ip", *within, f"-{version}", "-j", "route"])
    ]
    return {
        "links": await _told(["ip", *within, "-j", "-d", "addr"]),
        "routes": routes,
        "fdb": await _told(["bridge", *within, "-j", "fdb"]),
        "tables": (await _told([*run, "nft", "-j", "list", "ruleset"]))["nftables"],
    }


async def _told(command: Sequence[str]) -> Any:
    done = await trio.run_process(list(command), capture_stdout=True, capture_stderr=True)
    return json.loads(done.stdout or b"[]")
