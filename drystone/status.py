"""`drystone status`: what the running process says of itself and its cluster, as text on one screen."""

from __future__ import annotations

from typing import Any, Final

from drystone.advice import advise, all_loops, fill, hints
from drystone.words import duration, percent, size, table

SHOWN_RATE: Final = 0.05
"""What does less each second is at rest."""

Status = dict[str, Any]


def describe(status: Status) -> str:
    """A page for people."""
    parts = [
        f"Drystone {status['version']} serves {status['url']} from {status['folder']} "
        f"(process {status['pid']}, up {duration(status['uptime_s'])}, {size(status['memory_bytes'])} of memory)\n"
        f"Layout {status['layout']}: {status['row_replicas']} replicas for each row"
        + ("" if status["row_replicas"] == 3 else " (three as soon as there are three devices)")
        + ("" if len(status["live_layouts"]) == 1 else f"; the change from layout {status['live_layouts'][0]} goes on"),
        _nodes(status),
        f"Registry: {_registry(status['registry_trouble'])}; {_snapshot(status['snapshot_age_s'])}.",
        _volumes(status["volumes"]),
        _devices(status),
        _redundancy(status),
        _work(status),
        _warnings(status),
    ]
    return "\n\n".join(part for part in parts if part)


def _registry(trouble: str) -> str:
    return "does not answer" if trouble else "answers"


def _snapshot(age_s: float | None) -> str:
    if age_s is None:
        return "no snapshot of it is on the devices of this process yet"
    return f"the newest snapshot on devices of this process is {duration(age_s)} old"


def _volumes(row: dict[str, int]) -> str:
    lost = f"; {row['lost']} were taken over by others since the start" if row["lost"] else ""
    return f"Volumes: {row['open']} open here, {row['connections']} connections{lost}." if any(row.values()) else ""


def _nodes(status: Status) -> str:
    rows = []
    for node in status["nodes"]:
        this = node["node"] == status["node"]
        other = status if this else status["others"].get(node["node"])
        rows.append(
            [
                node["node"],
                node["state"],
                node["address"],
                str(node["zone"]),
                node["machine"],
                *(["?"] * 3 if other is None else _program(other)),
                "this node" if this else "" if other else "does not answer" if node["reached"] else "not reached",
            ]
        )
    return table(["node", "state", "address", "zone", "machine", "version", "up", "memory", ""], rows) if rows else ""


def _program(status: Status) -> list[str]:
    return [status["version"], duration(status["uptime_s"]), size(status["memory_bytes"])]


def _devices(status: Status) -> str:
    rows = [
        [
            str(row["device"]),
            row["state"],
            "?" if fill(row) < 0 else f"{100 * fill(row):.0f} %",
            *(size(row[figure]) if figure in row else "?" for figure in ("live_bytes", "free_bytes")),
            f"{row['damages']:.0f}" if "damages" in row else "",
            str(hints(status, row["device"]) or ""),
            f"{row['node']}: {row['label']}" if row.get("node") else row["label"],
            f"tried again in {duration(row['retry_s'])}" if "retry_s" in row else "",
        ]
        for row in status["devices"]
    ]
    return table(["device", "state", "fill", "live", "free", "damage", "missed", "where", ""], rows)


def _redundancy(status: Status) -> str:
    policies = {policy["name"]: policy for policy in status["policies"]}
    rows = []
    for each in status["redundancy"]:
        policy = policies.get(each["what"])
        kind = f"{each['copies']} copies" if policy is None else _kind(policy)
        shares = [percent(each[state]) if each[state] else "" for state in ("whole", "short", "last", "refused")]
        rows.append([each["what"], kind + (", default" if policy and policy["default"] else ""), *shares])
    return table(["kept", "as", "all there", "fewer", "one loss from gone", "refused now"], rows)


def _kind(policy: dict[str, Any]) -> str:
    return f"{policy['k']}+{policy['m']} {policy['codec']}" if policy["k"] else f"{policy['replicas']} copies"


def _work(status: Status) -> str:
    """Of the loops those that have something to do."""
    loops = all_loops(status)
    rows = [
        [
            f"{node}: {loop['loop']}" if node else loop["loop"],
            f"{loop['done']:.0f}",
            _left(loop),
            _rate(loop),
            "" if loop["ends_in_s"] is None else f"in {duration(loop['ends_in_s'])}",
            duration(loop["lag_s"]) if loop["lag_s"] else "",
        ]
        for node, loop in loops
        if loop["left"] or loop["share"] is not None or loop["minute_rate"] >= SHOWN_RATE or loop["lag_s"]
    ]
    if not rows:
        return f"All {len(loops)} loops have done what there is to do."
    return table(["at work", "done", "left", "last minute", "ends", "late"], rows)


def _left(loop: dict[str, Any]) -> str:
    if loop["share"] is not None:
        return percent(1 - loop["share"])
    return "?" if loop["left"] < 0 else f"{loop['left']:.0f}"


def _rate(loop: dict[str, Any]) -> str:
    rate = f"{loop['minute_rate']:.1f}/s" if loop["minute_rate"] else ""
    return f"{rate}, {size(loop['minute_bytes_rate'])}/s" if loop["minute_bytes_rate"] else rate


def _warnings(status: Status) -> str:
    return "\n".join(
        f"! {advice.cause}\n    at risk: {advice.risk}\n    next:    {advice.command}" for advice in advise(status)
    )
