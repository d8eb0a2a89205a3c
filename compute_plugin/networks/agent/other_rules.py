"""Rules of others on this host that drop what ours let through.

Bridged packets pass the forward chains of all tables (`br_netfilter`), and a chain that drops what it does not know, as
Docker's, drops them, whatever another chain says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compute_plugin.networks.agent.running import run
from compute_plugin.networks.plan import fence
from compute_plugin.networks.plan.names import BRIDGES
from compute_plugin.networks.plan.ruleset import TABLE

_FAMILIES: Final = ("ip", "ip6", "inet", "bridge")
_OURS: Final = (TABLE, fence.TABLE)


async def warnings() -> tuple[str, ...]:
    """In words for people; () where nothing stands in the way, or nft does not tell."""
    try:
        ended = await run(["nft", "-j", "list", "chains"])
        if ended.status != 0 or not ended.output:
            return ()
        found = []
        for family, table, name in dropping(json.loads(ended.output)):
            rules = await run(["nft", "list", "chain", family, table, name])
            if BRIDGES not in rules.output:  # whoever names our bridges has thought of them
                found.append(words(family, table, name))
    except (OSError, ValueError):  # of JSON
        return ()
    return tuple(found)


def dropping(listed: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Families, tables and names of chains that drop what they do not know; of what nft tells."""
    for one in listed.get("nftables", ()):
        chain = one.get("chain")
        if chain is None or chain["table"] in _OURS or chain["family"] not in _FAMILIES:
            continue
        if chain.get("hook") == "forward" and chain.get("policy") == "drop":
            yield chain["family"], chain["table"], chain["name"]


def words(family: str, table: str, name: str) -> str:
    return (
        f"the chain {name} of table {family} {table} drops what it does not know, and so what servers send each other: "
        f"let it accept what comes in by {BRIDGES}* and goes out by {BRIDGES}*"
    )
