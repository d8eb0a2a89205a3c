"""The judge accepts what is linearizable and rejects each kind of mistake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cluster import history, made, porcupine
from tests.cluster.history import Operation
from tests.cluster.porcupine import Verdict

GET_A, GET_B, GET_NOTHING = ("get", "a"), ("get", "b"), ("get", "")


def judged(program: Path, folder: Path, operations: Iterable[Operation]) -> Verdict:
    history.write(folder / "history.jsonl", operations)
    return porcupine.judge(program, folder / "history.jsonl", folder)


@pytest.mark.parametrize("unknown", [0.0, 0.02])
def test_correct_histories_are_accepted(judge_program: Path, tmp_path: Path, unknown: float) -> None:
    operations = made.history(seed=1, operations=4000, clients=8, keys=4, unknown=unknown)
    verdict = judged(judge_program, tmp_path, operations)
    assert verdict.status == "linearizable", verdict.said
    assert "judged 4000 operations on 4 keys" in verdict.said


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("put", "a"), ("put", "b", "unknown"), GET_A, GET_B], id="an unknown put takes effect late"),
        pytest.param([("put", "a"), ("put", "b", "unknown"), GET_A, GET_A], id="or never"),
        pytest.param([("put", "a"), ("delete", "unknown"), GET_A, GET_NOTHING], id="an unknown delete, late"),
        pytest.param([("put", "a"), ("delete", "unknown"), GET_A, ("put", "b"), GET_B], id="or never: delete"),
        pytest.param([("put", "a"), ("cas", "a", "b", "unknown"), GET_B, GET_B], id="an unknown swap"),
        pytest.param([("put", "a"), ("cas", "x", "b", "unknown"), GET_A], id="a swap that could not be"),
        pytest.param([("put", "a", "unknown"), ("delete", "existed"), GET_NOTHING], id="seen by the delete alone"),
        pytest.param([("put", "a", "unknown"), ("cas", "", "b", ""), GET_A], id="seen by a refused swap alone"),
        pytest.param([("put", "a", "unknown"), ("delete", ""), GET_A], id="after a delete"),
    ],
)
def test_what_is_unknown_may_happen_late_or_never(
    judge_program: Path, tmp_path: Path, steps: list[tuple[str, ...]]
) -> None:
    verdict = judged(judge_program, tmp_path, made.script(*steps))
    assert verdict.status == "linearizable", verdict.said


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("put", "a"), ("put", "b"), GET_A], id="stale read"),
        pytest.param([("put", "a"), GET_NOTHING], id="lost write"),
        pytest.param([("put", "a"), ("put", "b"), GET_B, GET_A], id="a read goes back"),
        pytest.param([("put", "a"), ("delete", "existed"), GET_A], id="resurrected delete"),
        pytest.param([("put", "a"), ("delete", "")], id="delete found nothing"),
        pytest.param([("delete", "existed")], id="delete found what never was"),
        pytest.param([GET_A, ("put", "a")], id="read before it was written"),
        pytest.param([("cas", "", "a", "swapped"), ("cas", "", "b", "swapped")], id="created twice"),
        pytest.param([("put", "a"), ("cas", "a", "b", "swapped"), ("cas", "a", "c", "swapped")], id="swapped twice"),
        pytest.param([("put", "a"), ("cas", "a", "b", "")], id="swap refused for nothing"),
        pytest.param([("put", "a"), ("cas", "a", "b", "swapped"), GET_A], id="swap lost"),
        pytest.param([("put", "a"), ("put", "b", "unknown"), GET_B, GET_A], id="unknown, seen, and gone"),
        pytest.param([("put", "a"), ("delete", "unknown"), GET_NOTHING, GET_A], id="unknown delete undone"),
        pytest.param([("get", "a"), ("put", "a", "unknown")], id="seen before it was sent"),
    ],
)
def test_each_kind_of_mistake_is_rejected(judge_program: Path, tmp_path: Path, steps: list[tuple[str, ...]]) -> None:
    verdict = judged(judge_program, tmp_path, made.script(*steps))
    assert verdict.status == "violation"
    assert "violation: key c/k:" in verdict.said
    assert (tmp_path / "violation-c_k.html").stat().st_size > 0
    assert str(tmp_path / "violation-c_k.html") in verdict.said


def alone(one: Operation, operations: list[Operation]) -> bool:
    """Nothing else was going on with its key, which might explain another answer."""
    assert one.end_ns is not None
    return all(
        other is one
        or (other.end_ns is not None and other.end_ns < one.start_ns)
        or other.start_ns > one.end_ns
        or other.outcome == "unknown"
        for other in operations
        if other.key == one.key
    )


@pytest.mark.parametrize("op", ["get", "delete", "cas"])
def test_one_wrong_answer_among_thousands_is_found(judge_program: Path, tmp_path: Path, op: str) -> None:
    operations = made.history(seed=2, operations=4000, clients=8, keys=16, unknown=0.01)
    wrong = next(one for one in operations[2000:] if one.op == op and one.outcome == "ok" and alone(one, operations))
    match op:
        case "get":
            earlier = [one for one in operations[:200] if one.op == "put" and one.key == wrong.key]
            wrong.output = {"value": earlier[0].input["value"]}
        case "delete":
            wrong.output = {"existed": not wrong.output["existed"]}
        case "cas":
            read = {one.output.get("value") for one in operations}
            wrong = next(one for one in operations[2000:] if one.op == op and one.input["value"] in read)
            wrong.output = {"swapped": False}
    verdict = judged(judge_program, tmp_path, operations)
    assert verdict.status == "violation"
    assert f"violation: key {wrong.key}:" in verdict.said
    assert verdict.said.count("violation:") == 1


def test_what_failed_and_listings_do_not_count(judge_program: Path, tmp_path: Path) -> None:
    operations = made.script(("put", "a"), ("put", "b"), ("get", "a"), ("list",))
    operations[1].outcome = "fail"
    assert judged(judge_program, tmp_path, operations).status == "linearizable"


def test_a_value_that_is_written_twice_is_refused(judge_program: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="written twice"):
        judged(judge_program, tmp_path, made.script(("put", "a"), ("put", "a")))


def test_a_history_that_makes_no_sense_is_refused(judge_program: Path, tmp_path: Path) -> None:
    (operation,) = made.script(("put", "a"))
    operation.end_ns = -1
    with pytest.raises(AssertionError, match="ends before it starts"):
        judged(judge_program, tmp_path, [operation])
