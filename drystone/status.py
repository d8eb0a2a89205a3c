"""`drystone status`: what the running process says of itself, as text."""

from __future__ import annotations

from typing import Any

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def describe(status: dict[str, Any]) -> str:
    """A page for people."""
    lines = [
        f"Drystone {status['version']} serves {status['url']} from {status['folder']} "
        f"(process {status['pid']}, up {_duration(status['uptime_s'])}, {_size(status['memory_bytes'])} of memory)",
        f"Layout {status['layout']}: {status['row_replicas']} replicas for each row"
        + ("" if status["row_replicas"] == 3 else " (three as soon as there are three devices)")
        + ("" if len(status["live_layouts"]) == 1 else f"; the change from layout {status['live_layouts'][0]} goes on"),
        "",
        table(
            ["policy", "kind", "default"],
            [[p["name"], _kind(p), "yes" if p["default"] else ""] for p in status["policies"]],
        ),
        *_nodes(status),
        "",
        "Registry: " + _registry(status["registry_trouble"]) + _snapshot(status["snapshot_age_s"]),
        "",
        table(
            ["device", "state", "live", "free", "damage", "where", ""],
            [
                [
                    str(d["device"]),
                    d["state"],
                    _size(d.get("live_bytes", 0)),
                    _size(d.get("free_bytes", 0)),
                    str(d.get("damages", "")),
                    f"{d['node']}: {d['label']}" if d.get("node") else d["label"],
                    _trouble(d),
                ]
                for d in status["devices"]
            ],
        ),
        "",
        table(
            ["loop", "done", "left", "failed", "lag", "trouble"],
            [
                [
                    loop["loop"],
                    str(loop["done"]),
                    "?" if loop["left"] < 0 else str(loop["left"]),
                    str(loop["failed"]),
                    _duration(loop["lag_s"]),
                    loop["trouble"],
                ]
                for loop in status["loops"]
            ],
        ),
    ]
    return "\n".join(lines)


def _registry(trouble: str) -> str:
    if not trouble:
        return "it answers; "
    return (
        f"IT DOES NOT ANSWER ({trouble}). Objects are served and users sign in as before; changes of users, projects, "
        "nodes and the ring wait until it does; "
    )


def _snapshot(age_s: float | None) -> str:
    if age_s is None:
        return "no snapshot of it is on the devices of this process yet"
    return f"the newest snapshot on devices of this process is {_duration(age_s)} old"


def _nodes(status: dict[str, Any]) -> list[str]:
    if not status["nodes"]:
        return []
    rows = [
        [
            node["node"],
            node["state"],
            node["address"],
            str(node["zone"]),
            node["machine"],
            _reached(node, status["node"]),
        ]
        for node in status["nodes"]
    ]
    return ["", table(["node", "state", "address", "zone", "machine", ""], rows)]


def _reached(node: dict[str, Any], this: str) -> str:
    return "this node" if node["node"] == this else "" if node["reached"] else "not reached"


def _trouble(device: dict[str, Any]) -> str:
    if "retry_s" not in device:
        return str(device["why"])
    return f"{device['why']} (tried again in {_duration(device['retry_s'])})"


def _kind(policy: dict[str, Any]) -> str:
    return f"{policy['k']}+{policy['m']} {policy['codec']}" if policy["k"] else f"{policy['replicas']} replicas"


def _size(count: float) -> str:
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} d"
    if hours >= 2:
        return f"{hours:.0f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as they must be."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    return "\n".join(lines)
