"""Clients on hot keys while one node is killed and started again: the history is linearizable, listings are right."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster import history, listings, porcupine
from tests.cluster.history import Recorder
from tests.cluster.waiting import until
from tests.cluster.workload import CONTAINER, Service, Workload, body, etag, value_of
from tests.process.program import Client, Program

OPERATIONS = 1000
"""Before the node is killed, and as many afterwards."""
PATIENCE = 120.0


def test_a_value_is_known_by_its_whole_body() -> None:
    assert value_of(body("p1-7")) == "p1-7"
    assert etag("p1-7") != etag("p1-8")
    for value in ("p1-1", "p1-2", "p1-3", "p1-4"):
        content = body(value)
        assert value_of(content[:-1]).startswith("damaged")
        assert value_of(content + b"x").startswith("damaged")


@pytest.mark.process
def test_a_node_that_is_killed_under_load_is_judged_clean(tmp_path: Path, judge_program: Path) -> None:
    program = Program(tmp_path / "data", "--devices", "4", "--replicas", "3")
    program.start()
    with closing(Client(program)) as client:
        assert client.object("PUT", CONTAINER).status == 201
    with Recorder(tmp_path / "recorded") as recorder:
        workload = Workload(lambda: Service(program.url + program.account, program.token), recorder)
        workload.start()
        try:
            until(lambda: workload.answered >= OPERATIONS, PATIENCE)
            program.kill()
            program.start()
            until(lambda: workload.answered >= 2 * OPERATIONS, PATIENCE)
            assert workload.alive
        finally:
            workload.stop()
            program.stop()
    operations = history.recorded(tmp_path / "recorded")
    outcomes = Counter(one.outcome for one in operations)
    assert outcomes["unknown"] > 0, "nobody noticed that it was killed"
    kinds = {(one.op, *(str(value) for value in one.output.values() if value in (True, False))) for one in operations}
    assert {("cas", "True"), ("cas", "False"), ("delete", "True"), ("delete", "False")} <= kinds
    listed = listings.check(operations)
    assert listed.mistakes == []
    assert listed.decided > 100
    history.write(tmp_path / "history.jsonl", operations)
    verdict = porcupine.judge(judge_program, tmp_path / "history.jsonl", tmp_path)
    assert verdict.status == "linearizable", verdict.said
