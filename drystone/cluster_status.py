"""The status of the whole cluster, from any node: each says how its own devices and loops are, when it is asked.

Asked are all others at once, and waited for a moment only: who does not answer is away, and what this node knows of its
devices is shown instead. An answer is of another program, perhaps a newer one, so it is taken field by field.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
import trio

from store.core.errors import BusyError, DrystoneError
from store.remote.process import RemoteProcess
from store.wire.server import Call, Peer

log = structlog.get_logger()

ASK: Final = "status.ask"
"""[] -> what a node says of itself, as JSON: version, uptime_s, memory_bytes, devices (its own), loops, hints."""
ASK_SECONDS: Final = 2.0
"""Whoever does not answer for so long is away."""
ANSWER_BYTES_MAX: Final = 1024 * 1024

Row = dict[str, Any]


class StatusService:
    """Answers other nodes."""

    def __init__(self) -> None:
        self.of: Callable[[], Awaitable[Row]] | None = None
        """Says how this process is. Until that is known nobody is told."""

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers[ASK] = self._ask

    def _ask(self, call: Call) -> None:
        if call.arguments:
            raise TypeError("no arguments are taken")
        call.begin(self._tell)

    async def _tell(self) -> str:
        if self.of is None:
            raise BusyError("it starts")
        return json.dumps(await self.of())


async def ask_all(processes: Mapping[str, RemoteProcess]) -> dict[str, Row]:
    """By name, what the nodes say of themselves that answer in time."""
    found: dict[str, Row] = {}

    async def ask(name: str, process: RemoteProcess) -> None:
        try:
            said = read(await process.ask(ASK, ASK_SECONDS))
        except (DrystoneError, ValueError) as error:
            log.debug("a node does not say how it is", node=name, why=str(error))
        else:
            found[name] = said

    async with trio.open_nursery() as nursery:
        for name, process in processes.items():
            if process.up:
                nursery.start_soon(ask, name, process)
    return found


def read(answer: object) -> Row:
    """What another node says. Raises ValueError for what is none."""
    if not isinstance(answer, str) or len(answer) > ANSWER_BYTES_MAX:
        raise ValueError("no status")
    said = _mapping(json.loads(answer))
    return {
        "version": _text(said.get("version")),
        "uptime_s": _number(said.get("uptime_s")),
        "memory_bytes": _number(said.get("memory_bytes")),
        "devices": [row for row in map(_device, _rows(said.get("devices"))) if row is not None],
        "loops": [row for row in map(_loop, _rows(said.get("loops"))) if row is not None],
        "hints": {key: int(_number(count)) for key, count in _mapping(said.get("hints")).items() if key.isdigit()},
    }


def with_answers(devices: list[Row], answers: Mapping[str, Row]) -> list[Row]:
    """The devices of the whole cluster: of those on a node that answered what it says, which is more than is known
    here. A node speaks for its own devices only."""
    said = {(name, row["device"]): row for name, answer in answers.items() for row in answer["devices"]}
    return [_merged(row, said.get((str(row.get("node")), row["device"]), {})) for row in devices]


def _merged(known: Row, said: Row) -> Row:
    """One that is not reached from here is out for whoever asks here, whatever its node says."""
    if known["state"] in _AWAY and said.get("state") not in _AWAY:
        return {**said, **known}
    return {**known, **said}


_DEVICE_FIGURES: Final = ("free_bytes", "live_bytes", "damages", "syncs", "commits", "records", "retry_s")
_AWAY: Final = ("out", "missing")
_DEVICE_STATES: Final = ("ok", "full", "rejoining", "out", "missing")
_LOOP_FIGURES: Final = ("done", "left", "failed", "rounds", "lag_s", "rate", "bytes", "minute_rate",
                        "minute_bytes_rate")  # fmt: skip
_LOOP_UNKNOWNS: Final = ("share", "ends_in_s")


def _device(row: Row) -> Row | None:
    if not isinstance(row.get("device"), int) or row.get("state") not in _DEVICE_STATES:
        return None
    taken: Row = {"device": row["device"], "state": row["state"], "why": _text(row.get("why"))}
    return taken | {name: _number(row[name]) for name in _DEVICE_FIGURES if name in row}


def _loop(row: Row) -> Row | None:
    if not isinstance(row.get("loop"), str):
        return None
    taken: Row = {"loop": _text(row["loop"]), "trouble": _text(row.get("trouble"))}
    taken |= {name: _number(row.get(name)) for name in _LOOP_FIGURES}
    return taken | {name: None if row.get(name) is None else _number(row[name]) for name in _LOOP_UNKNOWNS}


def _rows(value: object) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _mapping(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "".join(filter(str.isprintable, value))[:1000] if isinstance(value, str) else ""


def _number(value: object) -> float:
    return value if isinstance(value, int | float) and abs(value) < 1e18 else 0
