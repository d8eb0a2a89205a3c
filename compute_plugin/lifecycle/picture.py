"""The state machine as a picture (Mermaid), drawn from the table. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from compute_plugin.lifecycle.table import ANY, LINES
from compute_plugin.records.server import VmState


def picture() -> str:
    """A state diagram: what everything has in common (deletion) is drawn once."""
    return "\n".join(["stateDiagram-v2", *_arrows()])


def _arrows() -> Iterator[str]:
    yield f"    [*] --> {_name(VmState.BUILDING)}: create"
    joined: dict[tuple[VmState, VmState], list[str]] = {}
    for line in LINES.values():
        if line.begins == ANY:
            continue
        for state in sorted(line.begins):
            for end in (line.ends or state,):
                if end is not state and state is not VmState.ERROR:
                    joined.setdefault((state, end), []).append(line.what)
    for (begin, end), names in joined.items():
        yield f"    {_name(begin)} --> {_name(end)}: {', '.join(names)}"
    yield f"    {_name(VmState.RESIZED)} --> {_name(VmState.ACTIVE)}: confirm-resize, revert-resize"
    yield '    state "any" as any'
    yield "    any --> [*]: delete"
    yield f"    any --> {_name(VmState.ERROR)}: what fails"
    back = [line.what for line in LINES.values() if VmState.ERROR in line.begins and line.begins != ANY]
    yield f"    {_name(VmState.ERROR)} --> any: {', '.join(back)}"


def _name(state: VmState) -> str:
    return state.replace("-", "_")
