"""Clients on hot keys, each at one of three nodes, while nodes are killed and started again: the history is
linearizable, listings are right."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.cluster import history, listings, porcupine
from tests.cluster.history import Recorder
from tests.cluster.waiting import until
from tests.cluster.workload import CONTAINER, Service, Workload
from tests.process.program import Client
from tests.process.test_cluster import all_are_ok, cluster

OPERATIONS = 300
PATIENCE = 180.0


@pytest.mark.process
@pytest.mark.timeout(900)
def test_three_nodes_of_which_any_is_killed_are_judged_clean(tmp_path: Path, judge_program: Path) -> None:
    with cluster(tmp_path, 3) as nodes:
        with closing(Client(nodes[0])) as client:
            assert client.object("PUT", CONTAINER).status in (201, 202)
        turns = count()

        def service() -> Service:
            node = nodes[next(turns) % len(nodes)]
            return Service(node.url + node.account, node.token)

        with Recorder(tmp_path / "recorded") as recorder:
            workload = Workload(service, recorder)
            workload.start()
            try:
                until(lambda: workload.answered >= OPERATIONS, PATIENCE)
                for node in nodes:
                    before = workload.answered
                    node.kill()
                    until(lambda before=before: workload.answered >= before + OPERATIONS, PATIENCE)  # type: ignore[misc]
                    node.start()
                    all_are_ok(nodes)
                assert workload.alive
            finally:
                workload.stop()
    operations = history.recorded(tmp_path / "recorded")
    outcomes = Counter(one.outcome for one in operations)
    assert outcomes["unknown"] > 0, "nobody noticed that one was killed"
    assert listings.check(operations).mistakes == []
    history.write(tmp_path / "history.jsonl", operations)
    verdict = porcupine.judge(judge_program, tmp_path / "history.jsonl", tmp_path)
    assert verdict.status == "linearizable", verdict.said
