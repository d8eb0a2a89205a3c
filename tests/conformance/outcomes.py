"""What came of tests, as a JUnit report tells it, and how it is told on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

Explain = Callable[[ElementTree.Element, str], str]
"""Makes a reason of a test case and the message that its failure, error or skip has."""

REASON_CHARACTERS = 160


@dataclass(frozen=True)
class Outcome:
    """What came of one test: `passed`, `skipped` or `failed`, and why."""

    file: str
    name: str
    result: str
    reason: str = ""
    seconds: float = 0.0


def first_line(_case: ElementTree.Element, message: str) -> str:
    """The first line of the message is reason enough."""
    return message.strip().partition("\n")[0]


def read(file: str, report: str, explain: Explain = first_line) -> list[Outcome]:
    """The outcomes that a JUnit report tells of; a test that fails and cannot clean up behind it counts once.

    `file`: what they are of; "": each test's own module.
    """
    found: dict[tuple[str, str], Outcome] = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        module, _, group = (case.get("classname") or "").rpartition(".")
        name = f"{group}::{case.get('name')}"
        result, reason = "passed", ""
        for kind, meaning in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            for child in case.findall(kind):
                result, reason = meaning, explain(case, child.get("message") or "")
        key = file or module, name
        if key not in found or found[key].result == "passed":
            found[key] = Outcome(*key, result, reason, float(case.get("time") or 0))
    return list(found.values())


def counts(outcomes: list[Outcome]) -> str:
    """How many passed, failed and were skipped."""
    numbers = Counter(outcome.result for outcome in outcomes)
    return ", ".join(f"{numbers[result]} {result}" for result in ("passed", "failed", "skipped") if numbers[result])


def passed(outcomes: list[Outcome]) -> int:
    """How many passed."""
    return sum(outcome.result == "passed" for outcome in outcomes)


def report(outcomes: list[Outcome]) -> str:
    """Every test that did not pass, and why."""
    missed = [outcome for outcome in outcomes if outcome.result != "passed"]
    missed.sort(key=lambda outcome: (outcome.result, outcome.file, outcome.name))
    return "\n".join(f"{each.result:8} {each.file} {each.name}: {each.reason[:REASON_CHARACTERS]}" for each in missed)
