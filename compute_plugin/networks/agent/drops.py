"""How many packets were dropped on this host, and why: the named counters of our tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.networks.agent.running import run
from compute_plugin.networks.plan import fence
from compute_plugin.networks.plan.ruleset import TABLE
from store.core.errors import BusyError

_OURS: Final = (TABLE, fence.TABLE)


@dataclass(frozen=True, slots=True)
class Drop:
    """One reason."""

    reason: str
    """Such as `spoofed_mac`, `ingress`, `limited`."""
    packets: int
    octets: int


async def drops() -> list[Drop]:
    """By reasons, since the tables were made; those that never were are 0. Raises BusyError where nft does not tell."""
    try:
        ended = await run(["nft", "-j", "list", "counters"])
    except OSError as error:
        raise BusyError(str(error)) from error
    if ended.status != 0:
        raise BusyError(ended.errors or "nft does not tell")
    return told(json.loads(ended.output or "{}"))


def told(listed: Mapping[str, Any]) -> list[Drop]:
    """Of what nft tells. The same reason in several tables is one."""
    sums: dict[str, tuple[int, int]] = {}
    for one in listed.get("nftables", ()):
        counter = one.get("counter")
        if counter is not None and counter["table"] in _OURS:
            packets, octets = sums.get(counter["name"], (0, 0))
            sums[counter["name"]] = packets + counter["packets"], octets + counter["bytes"]
    return [Drop(reason, *both) for reason, both in sorted(sums.items())]
