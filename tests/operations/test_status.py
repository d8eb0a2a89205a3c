"""The screen of `drystone status`, and what it advises. Each warning has its cause, its risk, and what to type."""

from __future__ import annotations

from typing import Any

import pytest

from drystone.advice import Advice, advise
from drystone.status import describe

LINES_MAX = 40


def loop(name: str, **figures: Any) -> dict[str, Any]:
    nothing = {"done": 0, "left": 0, "failed": 0, "rounds": 1, "lag_s": 0.0, "rate": 0.0, "trouble": "", "bytes": 0}
    return {**nothing, "loop": name, "share": None, "minute_rate": 0.0, "minute_bytes_rate": 0, "ends_in_s": None,
            **figures}  # fmt: skip


def device(number: int, node: str = "n1", **figures: Any) -> dict[str, Any]:
    return {"device": number, "node": node, "label": f"disk{number}", "state": "ok", "why": "", "weight": 1.0,
            "free_bytes": 60e9, "live_bytes": 40e9, "damages": 0, **figures}  # fmt: skip


def kept(what: str, copies: int, **shares: float) -> dict[str, Any]:
    return {"what": what, "copies": copies, "needed": 1, "whole": 0, "short": 0, "last": 0, "away": 0, "refused": 0,
            **shares}  # fmt: skip


def node(name: str, **figures: Any) -> dict[str, Any]:
    return {"node": name, "state": "member", "address": "10.0.0.1:7400", "zone": 1, "machine": name, "reached": True,
            "answers": True, **figures}  # fmt: skip


def other() -> dict[str, Any]:
    return {"version": "0.1.0", "uptime_s": 7200.0, "memory_bytes": 8e7, "devices": [], "loops": [loop("repair")],
            "hints": {}}  # fmt: skip


@pytest.fixture
def status() -> dict[str, Any]:
    """Three nodes with two devices each, and nothing to complain of."""
    return {
        "version": "0.1.0", "url": "http://10.0.0.1:8080", "folder": "/data", "pid": 7, "uptime_s": 100.0,
        "memory_bytes": 9e7, "layout": 3, "live_layouts": [3], "row_replicas": 3, "node": "n1",
        "policies": [{"name": "standard", "replicas": 2, "k": 0, "m": 0, "codec": "", "default": True}],
        "nodes": [node("n1"), node("n2"), node("n3")],
        "devices": [device(number, f"n{number // 2 + 1}") for number in range(6)],
        "redundancy": [kept("names", 3, whole=1), kept("standard", 2, whole=1)],
        "loops": [loop("repair"), loop("scrub")], "hints": {}, "others": {"n2": other(), "n3": other()},
        "registry_trouble": "", "snapshot_age_s": 3600.0, "volumes": {"open": 0, "connections": 0, "lost": 0},
    }  # fmt: skip


def test_a_registry_that_does_not_answer_and_a_snapshot_that_is_not_there(status: dict[str, Any]) -> None:
    assert "Registry: answers; the newest snapshot on devices of this process is 60 min old." in describe(status)
    status |= {"registry_trouble": "no majority", "snapshot_age_s": None}
    [advice] = advise(status)
    assert advice.cause == "the registry does not answer: no majority"
    assert "Registry: does not answer; no snapshot of it is on the devices of this process yet." in describe(status)


def test_volumes_are_a_line_where_there_are_any(status: dict[str, Any]) -> None:
    assert "Volumes" not in describe(status)
    status["volumes"] |= {"open": 2, "connections": 3}
    assert "\nVolumes: 2 open here, 3 connections.\n" in describe(status)
    status["volumes"] |= {"open": 0, "connections": 0, "lost": 1}
    assert "0 connections; 1 were taken over by others since the start." in describe(status)


def test_where_all_is_well_nothing_is_advised(status: dict[str, Any]) -> None:
    assert advise(status) == []
    shown = describe(status)
    assert "All 4 loops have done what there is to do." in shown
    assert "!" not in shown
    assert len(shown.splitlines()) <= LINES_MAX
    assert max(map(len, shown.splitlines())) <= 140


def test_a_machine_alone_has_no_nodes(status: dict[str, Any]) -> None:
    alone = [{key: value for key, value in row.items() if key != "node"} for row in status["devices"]]
    status |= {"node": None, "nodes": [], "others": {}, "devices": alone}
    assert advise(status) == []
    assert "node " not in describe(status)
    status["devices"][1] |= {"state": "out", "why": "it failed"}
    (said,) = advise(status)
    assert said.command.startswith("drystone device retry 1;")


def test_a_device_that_is_out_says_what_is_at_risk_and_what_to_type(status: dict[str, Any]) -> None:
    status["devices"][2] |= {"state": "out", "why": "fdatasync failed", "retry_s": 4.0}
    status["redundancy"] = [kept("names", 3, whole=0.5, short=0.5), kept("standard", 2, whole=0.66, last=0.34)]
    status["hints"], status["others"]["n3"]["hints"] = {"2": 10}, {"2": 20, "5": 1}
    assert advise(status) == [
        Advice(
            "device 2 is out: fdatasync failed",
            "34.0 % of standard: one loss from gone; 30 writes wait for it",
            "on n2: drystone device retry 2; if it is lost: drystone device add PATH --in-place-of 2",
        )
    ]
    shown = describe(status)
    assert "! device 2 is out: fdatasync failed\n    at risk: 34.0 % of standard" in shown
    assert "tried again in 4 s" in shown


def test_what_is_refused_comes_before_what_is_short(status: dict[str, Any]) -> None:
    status["devices"][2] |= {"state": "out", "why": "gone"}
    status["redundancy"] = [kept("names", 3, last=0.1, refused=0.1, short=0.9), kept("standard", 2, last=0.34)]
    assert advise(status)[0].risk == "10.0 % of names: cannot be had until it is back"


def test_a_node_that_is_away_is_one_warning_and_not_one_for_each_of_its_devices(status: dict[str, Any]) -> None:
    status["nodes"][1] |= {"reached": False, "answers": False}
    del status["others"]["n2"]
    for number in 2, 3:
        status["devices"][number] |= {"state": "out", "why": "not reached"}
    status["redundancy"][1] = kept("standard", 2, whole=0.4, last=0.6)
    (said,) = advise(status)
    assert said.cause == "node n2 (10.0.0.1:7400) is not reached"
    assert said.risk == "60.0 % of standard: one loss from gone"
    assert "drystone node remove --dead n2" in said.command
    assert "not reached" in describe(status)


def test_a_node_that_is_reached_and_silent_is_named(status: dict[str, Any]) -> None:
    status["nodes"][2]["answers"] = False
    del status["others"]["n3"]
    assert [said.cause for said in advise(status)] == ["node n3 does not say how it is"]
    assert "does not answer" in describe(status)


def test_a_node_that_is_drained_may_be_removed_once_it_is_empty(status: dict[str, Any]) -> None:
    status["nodes"][2]["state"] = "draining"
    assert advise(status) == []
    for number in 4, 5:
        status["devices"][number]["live_bytes"] = 0
    assert [said.command for said in advise(status)] == ["drystone node remove n3"]
    status["live_layouts"] = [3, 4]
    assert advise(status) == []


@pytest.mark.parametrize(
    ("figures", "cause"),
    [
        ({"free_bytes": 1e9}, "device 4 has 1.0 GB left"),
        ({"state": "full", "free_bytes": 1e8}, "device 4 is full"),
        ({"damages": 3}, "device 4 had 3 pieces of damage since its start"),
        ({"state": "rejoining"}, "device 4 is being compared with all others"),
        ({"state": "missing", "why": "no folder"}, "device 4 is missing: no folder"),
    ],
)
def test_what_a_device_can_have(status: dict[str, Any], figures: dict[str, Any], cause: str) -> None:
    status["devices"][4] |= figures
    (said,) = advise(status)
    assert said.cause == cause
    assert said.risk
    assert "drystone" in said.command or "wait" in said.command


def test_a_loop_that_cannot_do_what_is_left_is_named_and_one_that_does_is_not(status: dict[str, Any]) -> None:
    failing = loop("repair", left=7, failed=20, trouble="device 3 is out")
    status["others"]["n2"]["loops"] = [failing]
    assert [said.cause for said in advise(status)] == ["repair on n2: device 3 is out"]
    failing["minute_rate"] = 12.0
    assert advise(status) == []
    failing |= {"left": 0, "minute_rate": 0.0}  # what it once stumbled over is done
    assert advise(status) == []


def test_work_is_shown_with_its_rate_and_end(status: dict[str, Any]) -> None:
    status["others"]["n2"]["loops"] = [
        loop("rebalance data", done=120, left=-1, share=0.42, minute_rate=8.0, minute_bytes_rate=4.2e7, ends_in_s=600)
    ]
    line = next(line for line in describe(status).splitlines() if line.startswith("n2: rebalance data"))
    assert all(word in line for word in ("120", "58.0 %", "8.0/s, 42.0 MB/s", "in 10 min"))
