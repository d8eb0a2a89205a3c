"""Tries mutants in copies of the tree, several at once, and says what became of each."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tests.mutants.draw import files, mutants_of
from tests.mutants.mutant import ROOT, DoesNotApplyError, Mutant
from tests.mutants.tree import Tree


class BaselineError(Exception):
    """The tests fail without any mutant: then their failing says nothing."""


class Verdict(Enum):
    """What became of a mutant; the values are what is shown."""

    CAUGHT = "caught"
    ACCEPTED = "accepted"
    SURVIVED = "SURVIVED"
    NEEDLESS = "CAUGHT, though accepted"
    STALE = "DOES NOT APPLY ANY MORE"

    @property
    def good(self) -> bool:
        return self in (Verdict.CAUGHT, Verdict.ACCEPTED)


class Trial(NamedTuple):
    """One mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    remark: str


def judge(mutant: Mutant, *, passed: bool) -> Verdict:
    """What it means that the tests passed with the mutant in place, or did not."""
    if passed:
        return Verdict.ACCEPTED if mutant.accepted else Verdict.SURVIVED
    return Verdict.NEEDLESS if mutant.accepted else Verdict.CAUGHT


def stale(mutants: Sequence[Mutant]) -> list[Trial]:
    """Those under which the tree has changed."""
    found = []
    for mutant in mutants:
        try:
            mutant.mutated()
        except DoesNotApplyError as error:
            found.append(Trial(mutant, Verdict.STALE, 0.0, str(error)))
    return found


def with_reasons(drawn: Sequence[Mutant], accepted: dict[str, str]) -> list[Mutant]:
    """Drawn mutants, with the reasons for which some may survive."""
    return [
        Mutant(each.name, each.file, each.before, each.after, each.stages, accepted.get(each.name, ""))
        for each in drawn
    ]


def unknown_reasons(accepted: dict[str, str], root: Path = ROOT) -> list[str]:
    """Reasons for mutants that cannot be drawn from the tree any more."""
    names = {mutant.name for file in files(root) for mutant in mutants_of(file, (root / file).read_text())}
    return sorted(accepted.keys() - names)


def try_all(mutants: Sequence[Mutant], jobs: int, report: Callable[[Trial], None]) -> list[Trial]:
    """Try each that applies; `report` is called as they end. Raises BaselineError."""
    trials = stale(mutants)
    for trial in trials:
        report(trial)
    left = [mutant for mutant in mutants if mutant not in [trial.mutant for trial in trials]]
    with ExitStack() as stack:
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for _ in range(jobs):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="drystone-mutants-"))
            trees.put(Tree(Path(folder)))

        def in_tree(use: Callable[[Tree], Trial]) -> Trial:
            tree = trees.get()
            try:
                return use(tree)
            finally:
                trees.put(tree)

        seconds = _baseline(left, trees)
        with ThreadPoolExecutor(jobs) as pool:

            def attempt(mutant: Mutant) -> Trial:
                trial = in_tree(lambda tree: _attempt(tree, mutant, seconds))
                report(trial)
                return trial

            trials += pool.map(attempt, left)
    return trials


def _attempt(tree: Tree, mutant: Mutant, seconds: dict[tuple[str, ...], float]) -> Trial:
    run = tree.trial(mutant, seconds)
    return Trial(mutant, judge(mutant, passed=run.passed), run.seconds, mutant.accepted if run.passed else run.by)


def _baseline(mutants: Sequence[Mutant], trees: queue.SimpleQueue[Tree]) -> dict[tuple[str, ...], float]:
    """How long each stage takes as things are, with as many at once as later."""
    stages = sorted({stage for mutant in mutants for stage in mutant.stages})

    def measure(stage: tuple[str, ...]) -> float:
        tree = trees.get()
        try:
            run = tree.test(stage)
        finally:
            trees.put(tree)
        if not run.passed:
            raise BaselineError(f"{' '.join(stage)} fails without any mutant: {run.by}")
        return run.seconds

    with ThreadPoolExecutor() as pool:
        return dict(zip(stages, pool.map(measure, stages), strict=True))
