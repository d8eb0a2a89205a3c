"""Requests that nobody means well, drawn by a seed: what the attacks on all services have in common."""

from __future__ import annotations

import argparse
import copy
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import trio
import trio.testing

NOISE: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**70, 1.5, "", " ", "x" * 300, "a/b", "\ud800", "é\u0000", "%(project_id)s", [], {}, [{}], [[]],
    {"id": "none"},
)  # fmt: skip
STRANGE_PARTS: Final = ("none", "é", "x" * 300, "a%00b", "default", "k", "blue", "..", "%2F")


def path_of(drawn: random.Random, pattern: str, known: Mapping[str, Sequence[str]]) -> str:
    """A path of a route: parts with a name are mostly of what is `known` by that name."""
    parts = []
    for part in pattern.split("/"):
        name = part.strip("{}")
        if not part.startswith("{"):
            parts.append(part)
        elif known.get(name) and drawn.random() < 0.9:
            parts.append(drawn.choice(known[name]))
        else:
            parts.append(drawn.choice(STRANGE_PARTS))
    return quote("/".join(parts), safe="/%:")


def spoilt(drawn: random.Random, body: Any) -> Any:
    """A copy of a body with something else in one place, or in none."""
    body = copy.deepcopy(body)
    place, holder = drawn.random(), body
    if place < 0.05:
        return drawn.choice(NOISE)
    if place < 0.5:
        return body
    while isinstance(holder, dict | list) and holder:
        key: Any = drawn.choice(list(holder)) if isinstance(holder, dict) else drawn.randrange(len(holder))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or drawn.random() < 0.4:
            holder[key] = drawn.choice(NOISE)
            break
        holder = inner
    return body


def command(description: str | None, attack: Callable[[int, int], Awaitable[Counter[int]]]) -> None:
    """A long run of an attack (a seed, how many requests), which says how often which status was answered."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(dict(trio.run(attack, chosen.seed, chosen.requests, clock=trio.testing.MockClock(autojump_threshold=0))))
