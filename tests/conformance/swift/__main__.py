"""`python -m tests.conformance.swift [FILE ...] [-k EXPRESSION]`: run the suite, say what did not pass, and count."""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.conformance.outcomes import Outcome, counts, passed, report
from tests.conformance.swift.accounts import cloud, settings
from tests.conformance.swift.library import Library
from tests.conformance.swift.suite import FILES, run

TOTAL, REFERENCE = 866, 847
"""Tests in the suite, and how many stock Swift passes with every middleware on."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help="tests.py, test_slo.py, ...")
    parser.add_argument("-k", dest="expression", help="only tests that match, as pytest takes it")
    parser.add_argument("--venv", type=Path, default=Path(".venv-conformance"), help="where Swift is installed")
    parser.add_argument("--lanes", type=int, default=2, help="Drystones side by side, each running whole files")
    parser.add_argument("--logs", type=Path, default=Path("build/conformance"), help="where logs and reports go")
    chosen = parser.parse_args()
    library = Library(chosen.venv.absolute())
    library.prepare()
    options = ("-k", chosen.expression) if chosen.expression else ()
    began = time.monotonic()
    outcomes = run_all(library, tuple(chosen.files), chosen.lanes, chosen.logs.absolute(), options)
    print(report(outcomes))
    print(f"swift {library.release}, {time.monotonic() - began:.0f} s")
    print(f"swift functional: {passed(outcomes)} passed of {TOTAL} (reference {REFERENCE})")


def run_all(
    library: Library, files: tuple[str, ...], lanes: int, logs: Path, options: tuple[str, ...]
) -> list[Outcome]:
    """Run files, each lane on a Drystone of its own: the suite wants the accounts for itself."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for file in files:
        waiting.put(file)

    def lane(number: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with tempfile.TemporaryDirectory(prefix="drystone-conformance-") as folder:
            with cloud(Path(folder) / "data") as program:
                while True:
                    try:
                        file = waiting.get_nowait()
                    except Empty:
                        break
                    found = run(library, file, settings(program), logs, options)
                    print(f"{file}: {counts(found)}", flush=True)
                    outcomes += found
            logs.mkdir(parents=True, exist_ok=True)
            (logs / f"drystone-{number}.log").write_text(program.log())
        return outcomes

    with ThreadPoolExecutor(lanes) as pool:
        return [outcome for found in pool.map(lane, range(min(lanes, len(files)))) for outcome in found]


if __name__ == "__main__":
    main()
