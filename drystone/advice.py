"""What an operator is told to look at: each with its cause, what it puts at risk, and the next command. Pure: a status
in, words out. docs/operations.md has more on each.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from drystone.words import percent, size

LITTLE: Final = 0.1
"""A device is getting full when so little of the room that it has is free."""

Status = dict[str, Any]


class Advice(NamedTuple):
    """One warning. `command` is to be typed, or says what to do with hands."""

    cause: str
    risk: str
    command: str


def advise(status: Status) -> list[Advice]:
    """The gravest first; none where all is well."""
    return [*_nodes(status), *_registry(status), *_devices(status), *_loops(status)]


def at_risk(status: Status) -> str:
    """What the devices that are not there now mean for what is kept; empty where that is nothing."""
    refused = [(each["what"], each["refused"]) for each in status["redundancy"]]
    last = [(each["what"], each["last"]) for each in status["redundancy"] if each["copies"] > each["needed"]]
    short = [(each["what"], each["short"]) for each in status["redundancy"]]
    for shares, words in (
        (refused, "cannot be had until it is back"),
        (last, "one loss from gone"),
        (short, "lack a copy, and may lose another"),
    ):
        found = [f"{percent(share)} of {what}" for what, share in shares if share > 0]
        if found:
            return f"{', '.join(found)}: {words}"
    return ""


def _registry(status: Status) -> list[Advice]:
    if not status["registry_trouble"]:
        return []
    return [
        Advice(
            f"the registry does not answer: {status['registry_trouble']}",
            "none for objects, and users sign in; changes of users, projects, nodes and the ring wait",
            "start the nodes that keep it; where their disks are lost: drystone registry recover --help",
        )
    ]


def _nodes(status: Status) -> list[Advice]:
    found = []
    for node in status["nodes"]:
        name = node["node"]
        if node["state"] == "draining" and len(status["live_layouts"]) == 1:
            has = [str(row["device"]) for row in status["devices"] if row.get("node") == name and row.get("live_bytes")]
            if not has:
                found.append(Advice(f"node {name} is drained", "none: it has nothing", f"drystone node remove {name}"))
        elif node["state"] == "joining":
            found.append(
                Advice(f"node {name} has begun to join, and has not come", "none", "there: the same join again")
            )
        elif not node["reached"]:
            found.append(
                Advice(
                    f"node {name} ({node['address']}) is not reached",
                    at_risk(status) or "none: it has no devices",
                    f"there: drystone up; if it is lost for good: drystone node remove --dead {name}",
                )
            )
        elif not node["answers"]:
            found.append(
                Advice(
                    f"node {name} does not say how it is",
                    "what is shown of its devices is what this node knows",
                    f"there: drystone status, drystone --version (another version than {status['version']}?)",
                )
            )
    return found


def _devices(status: Status) -> list[Advice]:
    away = {node["node"] for node in status["nodes"] if not node["reached"]}
    found = []
    for row in status["devices"]:
        number, node = row["device"], row.get("node", "")
        if node in away:
            continue  # said of the node
        there = f"on {node}: " if node and node != status["node"] else ""
        if row["state"] in ("out", "missing"):
            waiting = _waiting(status, number)
            found.append(
                Advice(
                    f"device {number} is {row['state']}: {row['why']}",
                    (at_risk(status) or "none") + (f"; {waiting} wait for it" if waiting else ""),
                    f"{there}drystone device retry {number}; "
                    f"if it is lost: drystone device add PATH --in-place-of {number}",
                )
            )
        elif row["state"] == "rejoining":
            found.append(
                Advice(
                    f"device {number} is being compared with all others",
                    at_risk(status) or "none",
                    "wait, and bring back devices that are out: it needs them all",
                )
            )
        elif row["state"] == "full":
            found.append(
                Advice(
                    f"device {number} is full",
                    "what belongs there is written elsewhere, or refused with 507",
                    f"{there}drystone device add PATH, drystone ring apply; or delete",
                )
            )
        elif fill(row) > 1 - LITTLE:
            found.append(
                Advice(
                    f"device {number} has {size(row['free_bytes'])} left",
                    "full, it takes no new data",
                    f"{there}drystone device add PATH, drystone ring apply",
                )
            )
        if row.get("damages"):
            found.append(
                Advice(
                    f"device {number} had {row['damages']:.0f} pieces of damage since its start",
                    "each was mended from another copy; a disk that has many will fail",
                    f"drystone scrub; where it grows {there}drystone device add PATH --in-place-of {number}",
                )
            )
    return found


def _waiting(status: Status, number: int) -> str:
    count = hints(status, number)
    return f"{count} writes" if count else ""


def _loops(status: Status) -> list[Advice]:
    """Loops that have something to do, and could not."""
    found = []
    for node, loop in all_loops(status):
        if loop["left"] and loop["trouble"] and not loop["minute_rate"]:
            where = f" on {node}" if node else ""
            found.append(
                Advice(
                    f"{loop['loop']}{where}: {loop['trouble']}",
                    "what is left to do waits; tried again by itself",
                    "see to devices and nodes above; the log says more",
                )
            )
    return found


def fill(row: Status) -> float:
    """How much of the room that a device has is used: of what lives there and what is free. -1 where that is not
    known here."""
    room = row.get("live_bytes", 0) + row.get("free_bytes", 0)
    return row["live_bytes"] / room if room else -1.0


def hints(status: Status, number: int) -> int:
    """What is noted, anywhere, that a device lacks."""
    kept = [status["hints"], *(other["hints"] for other in status["others"].values())]
    return sum(each.get(str(number), 0) for each in kept)


def all_loops(status: Status) -> list[tuple[str, Status]]:
    """The loops of all nodes that answer, each with its node; empty on a machine alone."""
    mine = [(status["node"] or "", loop) for loop in status["loops"]]
    return mine + [(name, loop) for name, other in sorted(status["others"].items()) for loop in other["loops"]]
