"""What a process says of itself, as plain values: for `drystone status`, metrics, and the other nodes."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

import trio

from drystone.cluster_status import ask_all, with_answers
from drystone.node import Node
from drystone.redundancy import redundancy
from store.core.errors import DrystoneError
from store.device.port import DevicePort

HINTS_SECONDS: Final = 1.0
"""For counting hints: longer means that a disk hangs, and there is no waiting for that."""
SERVING: Final = ("ok", "full")
"""States of devices that answer reads."""


async def own_status(node: Node) -> dict[str, Any]:
    """What others are told when they ask (drystone.cluster_status)."""
    return {
        "version": version("drystone"),
        "uptime_s": _uptime_s(node),
        "memory_bytes": _memory_pages(1),
        "devices": [row for row in device_rows(node) if node.membership.is_own(int(str(row["device"])))],
        "loops": node.progress.rows(),
        "hints": await _hints(node),
    }


async def cluster_status(node: Node, url: str) -> dict[str, Any]:
    """Everything that is known here, and on the other nodes."""
    together = node.together
    answers = {} if together is None else await ask_all(together.peers.processes)
    devices = with_answers([dict(row) for row in device_rows(node)], answers)
    serving = {row["device"] for row in devices if row["state"] in SERVING}
    return {
        "version": version("drystone"),
        "url": url,
        "folder": node.folder.path,
        "pid": os.getpid(),
        "uptime_s": _uptime_s(node),
        "memory_bytes": _memory_pages(1),
        # Pages of the indexes in the page cache are mapped too, but are no one's own.
        "memory_private_bytes": _memory_pages(1) - _memory_pages(2),
        "cpu_s": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
        "layout": node.ring.newest.version,
        "live_layouts": [layout.version for layout in node.ring.live],
        "row_replicas": node.ring.row_width,
        "policies": [
            {name: getattr(policy, name) for name in ("name", "replicas", "k", "m", "codec", "default")}
            for policy in node.cluster.policies
        ],
        "node": None if together is None else together.identity.name,
        "nodes": []
        if together is None
        else [
            {**row, "answers": row["node"] in answers or row["node"] == together.identity.name}
            for row in together.rows()
        ],
        "devices": devices,
        "registry_trouble": node.health.trouble,
        "snapshot_age_s": node.snapshots.age_s(),
        "loops": node.progress.rows(),
        "redundancy": [asdict(each) for each in redundancy(node.ring, node.cluster.policies, serving)],
        "hints": await _hints(node),
        "others": answers,
    }


async def _hints(node: Node) -> dict[str, int]:
    """By device, what is noted here that it lacks."""
    found: dict[int, int] = {}
    with trio.move_on_after(HINTS_SECONDS):
        with suppress(DrystoneError):  # the device that cannot say it is out by now, and shown as that
            found = await node.replicator.hints.waiting()
    return {str(number): count for number, count in found.items()}


def _uptime_s(node: Node) -> float:
    return round(time.monotonic() - node.began, 1)


def _memory_pages(column: int) -> int:
    """Bytes of a column of statm: 1 is all that is resident, 2 what of it is of files."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[column]) * resource.getpagesize()


def device_rows(node: Node) -> Sequence[dict[str, object]]:
    """What status and metrics show of each device. Asks no disk: what hangs or is gone must not keep this."""
    rows: list[dict[str, object]] = []
    watch = node.watch
    for number, known in sorted(node.ring.devices.items()):
        label = node.folder.label(node.membership.path(number))
        row: dict[str, object] = {"device": number, "label": label, "weight": known.weight}
        if node.together is not None:
            row["node"] = node.membership.node_of(number)
        if not node.membership.is_own(number):
            rows.append({**row, **_far_row(node.store.devices.get(number))})
            continue
        device = node.devices.get(number)
        failed = device.failed if device is not None else None
        if device is None or failed is not None:
            why = watch.missing.get(number, "") or str(failed or "")
            row |= {"why": why, "retry_s": round(watch.retry_s(number), 1)}
        if device is None:
            rows.append({**row, "state": "missing"})
            continue
        status = watch.status(number)
        state = "out" if failed else "full" if device.full else "ok" if device.in_sync else "rejoining"
        rows.append(
            {
                "why": "",
                **row,
                "state": state,
                "free_bytes": watch.free_bytes(number),
                "live_bytes": status.live_bytes,
                "damages": status.damages,
                "syncs": status.syncs,
                "commits": status.commits,
                "records": status.records,
            }
        )
    return rows


def _far_row(device: DevicePort | None) -> dict[str, object]:
    """What is known here of a device of another node."""
    if device is None:
        return {"state": "missing", "why": "no node has it"}
    if device.failed is not None:
        return {"state": "out", "why": str(device.failed)}
    return {"state": "full" if device.full else "ok" if device.in_sync else "rejoining", "why": ""}
