"""`python -m tests.mutants --count 40 --seed 1`: all planted mutants and so many drawn ones, and which of them survive.

The exit status is 1 where one survives without a reason, is caught though a reason says that it is not, or does not
apply any more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.mutants.accepted import ACCEPTED
from tests.mutants.draw import drawn
from tests.mutants.planted import PLANTED
from tests.mutants.trials import BaselineError, Trial, Verdict, try_all, unknown_reasons, with_reasons


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=1, help="which are drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many are tried at once")
    parser.add_argument("--only", default="", help="only those whose names have this in them, of planted and drawn")
    options = parser.parse_args()
    mutants = [*PLANTED, *with_reasons(drawn(options.count, options.seed), ACCEPTED)]
    mutants = [mutant for mutant in mutants if options.only in mutant.name]
    begun = time.monotonic()
    try:
        trials = try_all(mutants, options.jobs, _show)
    except BaselineError as error:
        print(error)
        return 1
    unknown = unknown_reasons(ACCEPTED)
    for name in unknown:
        print(f"{Verdict.STALE.value}: accepted, but not to be drawn: {name}")
    counts = {verdict: sum(trial.verdict is verdict for trial in trials) for verdict in Verdict}
    shown = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    survivors = counts[Verdict.SURVIVED] + counts[Verdict.ACCEPTED]
    print(f"{len(trials)} mutants in {time.monotonic() - begun:.0f} s, {survivors} survivors: {shown}")
    for trial in trials:
        if trial.verdict in (Verdict.SURVIVED, Verdict.ACCEPTED):
            print(f"  {trial.verdict.value}: {trial.mutant.name}{_reason(trial)}")
    return 0 if all(trial.verdict.good for trial in trials) and not unknown else 1


def _show(trial: Trial) -> None:
    print(f"{trial.verdict.value:10} {trial.seconds:6.1f} s  {trial.mutant.name}{_reason(trial)}", flush=True)


def _reason(trial: Trial) -> str:
    return f"  [{trial.remark}]" if trial.remark else ""


if __name__ == "__main__":
    sys.exit(main())
