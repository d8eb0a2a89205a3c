"""Histories made up: clients that do one operation after the other on registers, each taking effect at one moment
between its beginning and its end. Linearizable by construction; mistakes are planted afterwards."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from tests.cluster.history import Operation


def history(seed: int, operations: int, clients: int, keys: int, *, unknown: float = 0.0) -> list[Operation]:
    """`unknown`: the part of operations whose answer nobody had; of these half took effect, some of them much later."""
    draw = random.Random(seed)
    registers: dict[str, str | None] = {}
    late: list[tuple[int, int, Operation]] = []
    made: list[Operation] = []
    free = [(draw.randrange(1000), number) for number in range(clients)]
    heapq.heapify(free)

    def settle(until: int) -> None:
        """Everything that takes effect before."""
        while late and late[0][0] < until:
            take_effect(registers, heapq.heappop(late)[2])

    while len(made) < operations:
        now, client = heapq.heappop(free)
        key = f"c/k{draw.randrange(keys)}"
        number = len(made)
        op = draw.choices(["put", "get", "cas", "delete"], [3, 5, 2, 1])[0]
        asked: dict[str, str | None] = {}
        if op in ("put", "cas"):
            asked["value"] = f"v{number}"
        if op == "cas":
            settle(now)
            held = registers.get(key)
            asked["expect"] = held if draw.random() < 0.8 else None
        moment = now + 1 + draw.randrange(1000)
        end = moment + 1 + draw.randrange(1000)
        operation = Operation(f"p{client}", key, op, asked, now, {}, end, "ok")  # type: ignore[arg-type]
        made.append(operation)
        if draw.random() < unknown:
            operation.end_ns, operation.outcome = None, "unknown"
            if draw.random() < 0.5:
                heapq.heappush(late, (moment + draw.choice([0, 0, 100_000]), number, operation))
            heapq.heappush(free, (end + 1, clients + number))  # a client of a new name: the old one never returns
        else:
            heapq.heappush(late, (moment, number, operation))
            heapq.heappush(free, (end + 1, client))
    settle(1 << 62)
    return made


def take_effect(registers: dict[str, str | None], operation: Operation) -> None:
    """Change the register, and note the answer."""
    held = registers.get(operation.key)
    match operation.op:
        case "put":
            registers[operation.key] = operation.input["value"]
        case "get":
            operation.output = {"value": held}
        case "delete":
            operation.output = {"existed": held is not None}
            registers[operation.key] = None
        case "cas":
            swapped = held == operation.input["expect"]
            operation.output = {"swapped": swapped}
            if swapped:
                registers[operation.key] = operation.input["value"]
    if operation.outcome == "unknown":
        operation.output = {}


def script(*steps: tuple[str, ...]) -> list[Operation]:
    """One operation after the other on one key: ("put", "a"), ("get", "a" or ""), ("delete", "existed" or ""),
    ("cas", "a" or "", "b", "swapped" or ""); a last "unknown" leaves it open."""
    made = []
    for number, step in enumerate(steps):
        op, *words = step
        open_ = words[-1:] == ["unknown"]
        operation = Operation(f"p{number}", "c/k", op, {}, 10 * number, {}, 10 * number + 5, "ok")  # type: ignore[arg-type]
        if open_:
            operation.end_ns, operation.outcome = None, "unknown"
        _fill(operation, words)
        made.append(operation)
    return made


def _fill(operation: Operation, words: Sequence[str]) -> None:
    match operation.op:
        case "put":
            operation.input = {"value": words[0]}
        case "get":
            operation.output = {"value": words[0] or None}
        case "delete":
            operation.output = {"existed": words[0] == "existed"}
        case "cas":
            operation.input = {"expect": words[0] or None, "value": words[1]}
            operation.output = {"swapped": words[2] == "swapped"}
