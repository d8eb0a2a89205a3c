"""Whole plans, as they are kept in `golden`. GOLDEN=write writes them anew: then `git diff` is to be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compute_plugin.networks.plan.desired import desired
from compute_plugin.networks.plan.nft_script import replacement
from compute_plugin.networks.plan.text import show
from tests.networks_plan.made import Made
from tests.networks_plan.scenes import HOSTILE, SCENES

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", SCENES)
def test_the_plan_is_as_it_was(name: str) -> None:
    made = Made()
    host = SCENES[name](made)
    text = show(desired(made.records, made.states, host))
    path = FOLDER / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", SCENES)
def test_the_plan_is_the_same_each_time(name: str) -> None:
    made = Made()
    host = SCENES[name](made)
    assert desired(made.records, made.states, host) == desired(made.records, made.states, host)


def test_no_hostile_text_reaches_rules_or_files() -> None:
    made = Made()
    wiring = desired(made.records, made.states, SCENES["hostile_text"](made))
    scripts = [replacement(table) for space in wiring.spaces for table in space.tables]
    files = [file.text for space in wiring.spaces for one in space.services for file in (*one.files, *one.reloaded)]
    for text in (*scripts, *files):
        assert HOSTILE not in text
        assert "table inet y" not in text
        assert "dhcp-script" not in text
        assert "; drop" not in text
