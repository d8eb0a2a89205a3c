"""Connections that a router has translated in a way that it would not any more: they are cut.

Addresses of a connection are looked up by its first packet alone; a floating address that now stands for another server
would go on to stand for the old one as long as somebody sends to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from compute_plugin.networks.agent.running import inside, run
from compute_plugin.networks.plan.nft_script import entries, named
from compute_plugin.networks.plan.ruleset import Table

_WORD: Final = re.compile(r"(src|dst|sport|dport|type|code|id)=(\S+)")
_OWN: Final = re.compile(r"snat to ([0-9.]+)$")
_PORTED: Final = ("tcp", "udp")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Translated:
    """A connection, as it was begun and as it is answered."""

    protocol: str
    source: str
    target: str
    source_port: str
    target_port: str
    """Of an echo its number, in both."""
    answers: str
    """Who answers: the target, or what it stands for."""
    answers_port: str
    answered: str
    """Who is answered: the source, or what it is seen as."""


async def cut(space: str, before: Sequence[Table] | None, after: Sequence[Table]) -> None:
    """In a router's namespace, where its tables changed."""
    old, new = _addresses(before or ()), _addresses(after)
    if before is not None and old == new:
        return
    listed = await run(inside(space, ["conntrack", "-L", "-f", "ipv4"]))
    found = [one for one in map(parse, listed.output.splitlines()) if one is not None]
    lines = [line(one) for one in found if not is_so(one, new)]
    if lines:
        ended = await run(inside(space, ["conntrack", "--load-file", "-"]), "".join(f"{one}\n" for one in lines))
        if ended.status != 0:
            _log.warning("not all translations could be taken back", space=space, errors=ended.errors[-500:])


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a router translates now."""

    inwards: dict[str, str | None]
    outwards: dict[str, str | None]
    forwardings: dict[str, str | None]
    own: frozenset[str]


def _addresses(tables: Sequence[Table]) -> Addresses:
    maps = {name: entries(one) for table in tables if table.family == "ip" for name, one in named(table).items()}
    rules = (rule for table in tables if table.family == "ip" for chain in table.chains for rule in chain.rules)
    own = frozenset(found[1] for found in map(_OWN.search, rules) if found is not None)
    return Addresses(maps.get("inwards", {}), maps.get("outwards", {}), maps.get("forwardings", {}), own)


def is_so(one: Translated, now: Addresses) -> bool:
    """Whether a connection that begins now would be translated like this."""
    forwarded = now.forwardings.get(f"{one.target} . {one.protocol} . {one.target_port}")
    stands_for = now.inwards.get(one.target)
    if stands_for is not None:
        led = one.answers == stands_for
    elif forwarded is not None:
        led = forwarded == f"{one.answers} . {one.answers_port}"
    else:
        led = one.answers == one.target
    return led and (one.answered == one.source or one.answered in (now.outwards.get(one.source), *now.own))


def parse(text: str) -> Translated | None:
    """A line of `conntrack -L`; None for what is none."""
    words = text.split()
    said = _WORD.findall(text)
    begun, answer = dict[str, str](), dict[str, str]()
    for name, value in said:
        (answer if name in begun else begun).setdefault(name, value)
    if not words or not {"src", "dst"} <= begun.keys() & answer.keys():
        return None
    return Translated(
        words[0],
        begun["src"],
        begun["dst"],
        begun.get("sport", begun.get("id", "")),
        begun.get("dport", begun.get("id", "")),
        answer["src"],
        answer.get("sport", answer.get("id", "")),
        answer["dst"],
    )


def line(one: Translated) -> str:
    """For `conntrack --load-file`: deletes it."""
    words = f"-D -f ipv4 -p {one.protocol} --orig-src {one.source} --orig-dst {one.target}"
    if one.protocol in _PORTED:
        words += f" --orig-port-src {one.source_port} --orig-port-dst {one.target_port}"
    return words
