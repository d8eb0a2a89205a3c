"""Two releases side by side: a cluster of three machines is upgraded one by one under load, and rolled back once.

    python -m tests.cluster.releases --other 0123abc

The cluster is made by the other release, which is that of a git revision (default: the last tag), and ends as this one.
In between a node that runs this one goes back to the other. All the while clients work on hot names; then the history
is judged, and each row and block is on three devices by their logs. Both run with the libraries that are installed
here. Root only.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.cluster import clock, history, listings, porcupine
from tests.cluster.machines import Site, why_not
from tests.cluster.node import DRYSTONE, PATIENCE, Node
from tests.cluster.trial import HEALED_SECONDS, Trial, answered, folder, say
from tests.cluster.waiting import until

ROOMS = ("authn", "compute_plugin", "drystone", "gateway", "image_registry", "store")
ZONES = (1, 2, 3)
OPERATIONS = 300
"""That are answered between two steps."""


def last_tag() -> str | None:
    """None where there is none."""
    found = subprocess.run(["git", "describe", "--tags", "--abbrev=0"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def release(where: Path, revision: str | None, version: str) -> tuple[str, ...]:
    """How to run the program of a git revision (None: of what is here) under this version number."""
    where.mkdir()
    if revision is None:
        for room in ROOMS:
            shutil.copytree(room, where / room, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        listed = subprocess.run(["git", "ls-tree", "--name-only", revision], capture_output=True, check=True, text=True)
        rooms = sorted(set(ROOMS) & set(listed.stdout.split()))  # it may be of a time when there were fewer
        packed = subprocess.run(["git", "archive", revision, *rooms], capture_output=True, check=True).stdout
        subprocess.run(["tar", "--extract", "--directory", str(where)], input=packed, check=True)
    about = where / f"drystone-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: drystone\nVersion: {version}\n")
    return ("env", f"--chdir={where}", *DRYSTONE)


def options(program: tuple[str, ...]) -> tuple[str, ...]:
    """Of `up`: servers are not run, where the release could."""
    asked = subprocess.run([*program, "up", "--help"], capture_output=True, check=True, text=True)
    return ("--no-servers",) if "--no-servers" in asked.stdout else ()


def change(trial: Trial, node: Node, program: tuple[str, ...], recorded: Path) -> None:
    """Have another release on a node, in good order, and look that the clients are served before and after."""
    before = answered(recorded)
    node.process.signal(signal.SIGTERM)
    node.process.wait()
    node.install(program, options(program))
    node.start()
    until(trial.is_settled, HEALED_SECONDS)
    until(lambda: answered(recorded) > before + OPERATIONS, PATIENCE)
    assert trial.works, "the load has ended"
    say(f"{node.name} runs {node.status()['version']}")


def run(other: str | None, registry: str, seed: int, where: Path) -> bool:
    """Whether all was as it should be."""
    judge = porcupine.build(where)
    if isinstance(judge, str):
        raise SystemExit(f"no judge: {judge}")
    (where / "site").mkdir()
    program = release(where / "other", other, "0.0.1")
    with ExitStack() as stack:
        site = stack.enter_context(Site(where / "site", clock_library=clock.build(where)))
        trial = Trial(site, registry, seed, zones=ZONES, program=program, options=options(program))
        trial.make()
        first, second, third = trial.nodes
        recorded = where / "recorded"
        trial.begin(recorded)
        until(lambda: answered(recorded) > OPERATIONS, PATIENCE)
        for node, release_ in ((first, DRYSTONE), (second, DRYSTONE), (second, program), (second, DRYSTONE)):
            change(trial, node, release_, recorded)
            assert versions(trial) > {"0.0.1"}, "not two side by side"
        change(trial, third, DRYSTONE, recorded)
        assert "0.0.1" not in versions(trial)
        for _ in range(2):
            first.typed("ring", "apply")
            until(trial.is_settled, HEALED_SECONDS)
        trial.end()
        until(trial.has_brought_all, HEALED_SECONDS)
        lack = trial.copies_lacking()
    operations = history.recorded(recorded)
    history.write(where / "history.jsonl", operations)
    listed = listings.check(operations)
    verdict = porcupine.judge(judge, where / "history.jsonl", where)
    say(f"outcomes {dict(Counter(one.outcome for one in operations))}; {verdict.status}\n{verdict.said}")
    for line in [*listed.mistakes[:20], *lack[:20]]:
        say(line)
    return not listed.mistakes and not lack and verdict.status == "linearizable"


def versions(trial: Trial) -> set[str]:
    return {node.status()["version"] for node in trial.nodes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", default=last_tag(), metavar="REV", help="a git revision")
    parser.add_argument("--registry", choices=["etcd", "embedded"], default="etcd")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    reason = why_not() or clock.why_not()
    if reason is not None:
        raise SystemExit(reason)
    say(f"this one and {given.other or 'itself, under another number'}, with {sys.executable}")
    with folder(given.folder) as where:
        if not run(given.other, given.registry, given.seed, where):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
