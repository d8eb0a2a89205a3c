"""The picture and the table in docs/servers.md are those of the state machine. GOLDEN=write draws them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from compute_plugin.lifecycle.picture import picture, table
from compute_plugin.lifecycle.table import LINES
from compute_plugin.scheduling.filters import FILTERS

DOCUMENT = Path(__file__).parents[2] / "docs" / "servers.md"
PLACES = {
    "picture": (r"<!-- picture: states -->\n```mermaid\n(.*?)```\n", picture()),
    "table": (r"<!-- table: transitions -->\n((?:\|[^\n]*\n)*)", table()),
}


@pytest.mark.parametrize("what", PLACES)
def test_the_state_machine_is_drawn(what: str) -> None:
    place, drawn = PLACES[what]
    text = DOCUMENT.read_text()
    found = re.search(place, text, re.DOTALL)
    assert found is not None, f"docs/servers.md has no {what}"
    if os.environ.get("GOLDEN") == "write":
        DOCUMENT.write_text(text[: found.start(1)] + drawn + text[found.end(1) :])
        return
    assert found[1] == drawn


def test_each_line_and_each_filter_is_told_of() -> None:
    text = DOCUMENT.read_text()
    assert all(f"| {what} |" in text for what in LINES)
    assert all(name in text for name in FILTERS)
