"""Why a test failed, in one line: what was raised, and which request was refused."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

from tests.conformance.outcomes import Outcome

TRACEBACK = "Traceback (most recent call last):"

_REQUEST = re.compile(r"Request \(([^)]*)\): (\d{3}) ([A-Z]+) https?://[^/\s]+(\S*)")
"""A line of tempest's log: class and test, status, method, path."""

_SETUP = re.compile(r'failed on (setup|teardown) with "(.*)"\s*$', re.DOTALL)

_COMMAND = re.compile(r"Command '(?P<line>.*?)' returned non-zero exit status.*?stderr:\s*(?P<stderr>.*)", re.DOTALL)

_ALWAYS = re.compile(r" --os-(?:cloud|identity-api-version|auth-type) \S+")
"""Options that openstackclient's tests give with every command."""

_IDENTIFIER = re.compile(r"\b[0-9a-f]{32}\b")


def reason(case: ElementTree.Element, message: str) -> str:
    """What was raised, after the last request that was refused before, where the log has one."""
    raised, request = _raised(message), _refused(case)
    return f"[{request}] {raised}" if request else raised


def with_shared_reasons(outcomes: list[Outcome]) -> list[Outcome]:
    """The request that a class failed with in setup is logged with its first test: tell it of the others, too."""
    known: dict[tuple[str, str, str], str] = {}
    for outcome in outcomes:
        if outcome.reason.startswith("["):
            known.setdefault(_setup(outcome, outcome.reason.partition("] ")[2]), outcome.reason)
    return [replace(each, reason=known.get(_setup(each, each.reason), each.reason)) for each in outcomes]


def causes(outcomes: list[Outcome]) -> list[tuple[str, int]]:
    """The requests that were refused last before tests failed, each with the number of tests, the largest first."""
    refused = [each.reason[1:].partition("] ")[0] for each in outcomes if each.reason.startswith("[")]
    return Counter(refused).most_common()


def _setup(outcome: Outcome, raised: str) -> tuple[str, str, str]:
    """Module, class and what was raised where that was in setup; what is of one test alone is like no other's."""
    group = outcome.name.partition("::")[0] if raised.startswith("in setup: ") else outcome.name
    return outcome.file, group, raised


def _raised(message: str) -> str:
    place, text = "", message.strip()
    if found := _SETUP.search(text):
        place, text = f"in {found[1]}: ", found[2]
    if TRACEBACK in text:
        text = _exception(text.rpartition(TRACEBACK)[2])
    if command := _COMMAND.search(text):
        text = f"{_ALWAYS.sub('', command['line'])}: {_said(command['stderr'])}"
    text = text.replace("tempest.lib.exceptions.", "").replace("testtools.matchers._impl.", "")
    return place + " ".join(text.split())


def _exception(trace: str) -> str:
    """What stands below the frames of a traceback, which are indented."""
    lines = trace.strip("\n").splitlines()
    start = next((number for number, line in enumerate(lines) if line and not line[0].isspace()), 0)
    return "\n".join(lines[start:])


def _said(stderr: str) -> str:
    """What a command wrote, which its exception shows as Python writes bytes."""
    try:
        written = ast.literal_eval(stderr.strip())
    except (SyntaxError, ValueError):
        return stderr
    return written.decode(errors="replace") if isinstance(written, bytes) else str(written)


def _refused(case: ElementTree.Element) -> str:
    """Status, method and path of the last request that was refused, but for those that clean up."""
    log = "".join(text.text or "" for kind in ("system-out", "system-err") for text in case.findall(kind))
    found = ""
    for who, status, method, path in _REQUEST.findall(log):
        if int(status) >= 400 and not who.endswith((":_run_cleanups", ":tearDownClass")):
            found = f"{status} {method} {_IDENTIFIER.sub('*', path)}"
    return found
