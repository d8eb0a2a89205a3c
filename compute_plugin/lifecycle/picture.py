"""The state machine as a picture (Mermaid) and as a table (Markdown), drawn from the lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from compute_plugin.lifecycle.table import ANY, LINES, Line
from compute_plugin.records.server import VmState


def picture() -> str:
    """A state diagram: what everything has in common (deletion) is drawn once."""
    return "\n".join(["stateDiagram-v2", *_arrows()]) + "\n"


def table() -> str:
    """Each transition: where it begins and ends, and its steps."""
    head = ["| transition | from | to | where it fails | shown meanwhile | steps |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(line) for line in LINES.values())]) + "\n"


def _row(line: Line) -> str:
    begins = "any" if line.begins == ANY else ", ".join(sorted(line.begins))
    if line.begins == ANY - {VmState.SOFT_DELETED}:
        begins = "any other"
    ends = "gone" if line.what == "delete" else line.ends or "as before"
    fails = line.fails or "as before"
    steps = ", ".join(name for name, _ in line.steps)
    return f"| {line.what} | {begins} | {ends} | {fails} | {line.task_state or '-'} | {steps} |"


def _arrows() -> Iterator[str]:
    yield f"    [*] --> {_name(VmState.BUILDING)}: create"
    joined: dict[tuple[VmState, VmState], list[str]] = {}
    for line in LINES.values():
        if _is_of_any(line):
            continue
        for state in sorted(line.begins):
            end = line.ends or state
            if end is not state and state is not VmState.ERROR:
                joined.setdefault((state, end), []).append(line.what)
    for (begin, end), names in joined.items():
        yield f"    {_name(begin)} --> {_name(end)}: {', '.join(names)}"
    yield f"    {_name(VmState.RESIZED)} --> {_name(VmState.ACTIVE)}: confirm-resize, revert-resize"
    yield '    state "any" as any'
    yield "    any --> [*]: delete"
    yield f"    any --> {_name(VmState.SOFT_DELETED)}: soft-delete"
    yield f"    any --> {_name(VmState.ERROR)}: what fails"
    back = [line.what for line in LINES.values() if VmState.ERROR in line.begins and _leads_out(line)]
    yield f"    {_name(VmState.ERROR)} --> any: {', '.join(back)}"


def _is_of_any(line: Line) -> bool:
    return line.begins | {VmState.SOFT_DELETED} == ANY


def _leads_out(line: Line) -> bool:
    """Of an error."""
    return not _is_of_any(line) and (line.ends is not None or line.fails is VmState.ERROR)


def _name(state: VmState) -> str:
    return state.replace("-", "_")
