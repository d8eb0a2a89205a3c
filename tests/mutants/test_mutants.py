"""The mutation run itself: what is planted applies, what is drawn is another program, and a survivor is told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.accepted import ACCEPTED
from tests.mutants.draw import drawn, files, mutants_of
from tests.mutants.mutant import ROOT, DoesNotApplyError, Mutant, stages_for
from tests.mutants.planted import PLANTED
from tests.mutants.tree import Tree
from tests.mutants.trials import BaselineError, Trial, Verdict, judge, stale, try_all, unknown_reasons, with_reasons

SOURCE = '''
"""Text."""
LIMIT = 3


class Line:
    async def take(self, count: int = 2) -> bool:
        """Text."""
        log.info("taken", count=1)
        assert count < 9
        if count > self.most or not self.open:
            raise ValueError(f"{count + 1} is too many")
        é = "é"; await self.sync(é)
        if count:
            return False
        elif self.open and count == 0:
            return count - 1 < self.left
        return self.left is None
'''
DRAWN = """\
count > self.most or not self.open -> (not self.open)
count > self.most or not self.open -> (count > self.most)
count > self.most or not self.open -> False
count > self.most or not self.open -> True
count > self.most -> (count >= self.most)
not self.open -> (self.open)
await self.sync(é) -> pass
False -> True
self.open and count == 0 -> (count == 0)
self.open and count == 0 -> (self.open)
self.open and count == 0 -> False
self.open and count == 0 -> True
count == 0 -> (count != 0)
0 -> 1
count - 1 < self.left -> (count - 1 <= self.left)
count - 1 -> (count + 1)
1 -> 2
self.left is None -> (self.left is not None)
"""


def test_all_that_is_planted_applies() -> None:
    assert [trial.remark for trial in stale(PLANTED)] == []
    assert len({mutant.name for mutant in PLANTED}) == len(PLANTED)
    for mutant in PLANTED:
        compile(mutant.mutated(), mutant.file, "exec")
        for test in (test for stage in mutant.stages for test in stage):
            assert (ROOT / test.partition("::")[0]).exists(), test


def test_all_that_is_accepted_can_be_drawn() -> None:
    assert unknown_reasons(ACCEPTED) == []


def test_what_is_drawn_of_a_file() -> None:
    mutants = list(mutants_of("store/core/x.py", SOURCE))
    found = [mutant.name.removeprefix("store/core/x.py Line.take: ") for mutant in mutants]
    assert sorted(found) == sorted(DRAWN.splitlines())
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.apply(SOURCE))) != ast.dump(ast.parse(SOURCE)), mutant.name


def test_what_is_drawn_of_the_tree_is_python_and_has_tests() -> None:
    names = []
    for file in files():
        assert all((ROOT / test).exists() for stage in stages_for(file) for test in stage)
        names += [mutant.name for mutant in mutants_of(file, (ROOT / file).read_text())]
    assert len(set(names)) == len(names) > 1000
    for mutant in drawn(100, 1):
        ast.parse(mutant.after)
    assert [mutant.name for mutant in drawn(5, 1)] == [mutant.name for mutant in drawn(5, 1)]
    assert drawn(5, 1) != drawn(5, 2)


@pytest.mark.parametrize("before", ["no such text", "def "])
def test_a_mutant_under_which_the_tree_has_changed_is_told(before: str) -> None:
    mutant = Mutant("m", "store/ring/ring.py", before, "x", (("tests/ring",),))
    with pytest.raises(DoesNotApplyError, match="not once"):
        mutant.mutated()
    (trial,) = stale([mutant, quorum_mutant("copies // 2", QUICK)])
    assert trial.verdict is Verdict.STALE
    assert not trial.verdict.good
    assert unknown_reasons({"store/ring/ring.py x: a -> b": "because"}) == ["store/ring/ring.py x: a -> b"]


def test_what_is_good() -> None:
    plain = Mutant("m", "f", "a", "b", ())
    (reasoned,) = with_reasons([plain], {"m": "it is the same"})
    assert judge(plain, passed=True) is Verdict.SURVIVED
    assert judge(plain, passed=False) is Verdict.CAUGHT
    assert judge(reasoned, passed=True) is Verdict.ACCEPTED
    assert judge(reasoned, passed=False) is Verdict.NEEDLESS
    assert {verdict for verdict in Verdict if verdict.good} == {Verdict.CAUGHT, Verdict.ACCEPTED}


def quorum_mutant(after: str, test: str) -> Mutant:
    return Mutant(after, "store/ring/quorum.py", "copies // 2 + 1", after, ((test,),))


QUICK = "tests/objects/test_quorum_write.py::test_any_two_quorums_meet_and_no_smaller_count_would_do"


def test_mutants_are_tried_in_a_copy() -> None:
    """One is caught, one is the same program; and the tree is as it was."""
    before = (ROOT / "store/ring/quorum.py").read_bytes()
    seen: list[Trial] = []
    trials = try_all([quorum_mutant("copies // 2", QUICK), quorum_mutant("1 + copies // 2", QUICK)], 1, seen.append)
    assert [trial.verdict for trial in trials] == [Verdict.CAUGHT, Verdict.SURVIVED]
    assert trials == seen
    assert trials[0].remark == QUICK
    assert (ROOT / "store/ring/quorum.py").read_bytes() == before


def test_a_mutant_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mutants.tree.GRACE_SECONDS", 1.0)
    run = Tree(tmp_path).trial(quorum_mutant("any(iter(int, 1))", QUICK), {(QUICK,): 0.0})
    assert run.by == "they hang"


def test_tests_that_fail_anyway_judge_nothing() -> None:
    with pytest.raises(BaselineError):
        try_all(
            [quorum_mutant("copies // 2", "tests/objects/test_quorum_write.py::no_such_test")], 1, lambda _trial: None
        )


def test_a_copy_is_whole(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    mutant = quorum_mutant("copies", "")
    (tree.folder / mutant.file).write_text(mutant.mutated())
    tree.without(mutant)
    assert (tree.folder / mutant.file).read_bytes() == (ROOT / mutant.file).read_bytes()
