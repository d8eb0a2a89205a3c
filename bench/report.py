"""The results: a table with ratios, a JSON line in the history, and a chart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench.load import Result

HERE = os.path.dirname(os.path.abspath(__file__))
HISTORY = os.path.join(HERE, "history.jsonl")
CHART = os.path.join(HERE, "chart.svg")


def table(results: Sequence[Result]) -> str:
    """One line a workload; ratios of Drystone to each peer."""
    ours = {result.workload: result for result in results if result.target == "drystone"}
    peers = list(dict.fromkeys(result.target for result in results if result.target != "drystone"))
    theirs = {(result.target, result.workload): result for result in results if result.target != "drystone"}
    head = ["workload", "drystone", "p50 ms", "p99 ms", "cpu us/op", "syncs/op"]
    head += [word for peer in peers for word in (peer, "ratio")]
    rows = [head]
    for name, result in ours.items():
        row = [
            name,
            f"{result.rate:,.0f} {result.unit}",
            f"{result.p50_ms:.2f}" if result.p50_ms else "",
            f"{result.p99_ms:.2f}" if result.p99_ms else "",
            f"{result.cpu_us:,.0f}",
            "" if result.syncs is None else f"{result.syncs:.2f}",
        ]
        for peer in peers:
            other = theirs.get((peer, name))
            row += [f"{other.rate:,.0f} {other.unit}", f"{result.rate / other.rate:.1f}"] if other else ["", ""]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def interpreter() -> str:
    """Version and build of the Python that Drystone runs on here: a build without a profile is slower."""
    choose = os.path.join(os.path.dirname(HERE), "choose-python")
    done = subprocess.run([choose, "describe", sys.executable], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def append(results: Sequence[Result], settings: dict[str, object]) -> None:
    """One line a run, for ever."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=HERE
    )
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.strip(),
        "processors": os.cpu_count(),
        "python": interpreter().removeprefix("Python "),
        **settings,
        "results": [result.fields() for result in results],
    }
    with open(HISTORY, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def draw() -> None:
    """Ratios to each peer, and how Drystone's own rates went from run to run."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    with open(HISTORY, encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5))
    bars = _ratios(runs)
    left.barh([name for name, _ in bars], [ratio for _, ratio in bars])
    left.set_xscale("log")
    left.axvline(1, color="black")
    left.invert_yaxis()
    left.tick_params(axis="y", labelsize="x-small")
    left.set_title("Drystone / peer, each in one run")
    for workload in dict.fromkeys(r["workload"] for run in runs for r in run["results"] if r["target"] == "drystone"):
        points = [
            (index, r["rate"])
            for index, run in enumerate(runs)
            for r in run["results"]
            if r["target"] == "drystone" and r["workload"] == workload
        ]
        right.plot([x for x, _ in points], [y for _, y in points], marker="o", label=workload)
    right.set_yscale("log")
    right.set_xlabel("run")
    right.set_title("Drystone, operations or MB a second")
    right.legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(CHART, metadata={"Date": None})


def _ratios(runs: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    """(workload / peer, ratio) of the last run that each peer took part in."""
    latest: dict[str, dict[str, Any]] = {}
    for run in runs:
        for result in run["results"]:
            if result["target"] != "drystone":
                latest[result["target"]] = run
    bars = []
    for peer, run in latest.items():
        ours = {result["workload"]: result["rate"] for result in run["results"] if result["target"] == "drystone"}
        bars += [
            (f"{result['workload']} / {peer}", ours[result["workload"]] / result["rate"])
            for result in run["results"]
            if result["target"] == peer and result["workload"] in ours
        ]
    return bars
