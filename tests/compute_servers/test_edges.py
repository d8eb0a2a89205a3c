"""Each transition in each state that it may begin in, cut at its calls: every sixth here, another one for each kind of
cut; all of them by `python -m tests.compute_servers.explore`."""

from __future__ import annotations

from typing import Final

import pytest

from compute_plugin.agent.doings import DOINGS
from compute_plugin.lifecycle.table import LINES
from tests.compute_servers.edges import ASK, EDGES, NO_DOING, Edge
from tests.compute_servers.explore import Cut, cuts_of, run

EVERY: Final = 6


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_whatever_happens_in_it_an_edge_is_done_whole(edge: Edge) -> None:
    cuts = list(cuts_of(edge, every=EVERY))
    print(f"{edge.name}: {len(cuts)} cuts")
    assert len(cuts) >= 2, "it was cut too seldom to say anything"
    assert {cut for _, cut in cuts} <= set(Cut)


def test_there_is_an_edge_for_each_line_and_state() -> None:
    held = {(edge.what, edge.begins) for edge in EDGES}
    for line in LINES.values():
        if line.what not in NO_DOING:
            assert line.what in DOINGS
            assert line.what in ASK
            assert {state for what, state in held if what == line.what} >= {
                state for state in line.begins if state != "building" or line.what == "build"
            }


def test_so_many_edges_and_cuts_there_are() -> None:
    """Of every line once, from the first state: what its other states do is counted alike."""
    calls: dict[str, int] = {}
    for edge in EDGES:
        if edge.what not in calls:
            calls[edge.what] = run(edge)
    cuts = sum(len(Cut) * calls[edge.what] for edge in EDGES)
    print(f"{len(EDGES)} edges, about {cuts} cuts")
    assert len(EDGES) >= 95
    assert cuts >= 3000
