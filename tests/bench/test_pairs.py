"""What is made of pairs of rounds, and what runs them."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from bench import pairs


def test_a_spread_is_the_median_and_the_middle_half() -> None:
    assert pairs.spread([9.0, 1.0, 1.1, 0.5, 0.9]) == "1.000  (0.900 to 1.100)"


@pytest.mark.skipif(not os.path.exists(os.path.join(pairs.ROOT, ".git")), reason="no repository to take commits from")
def test_the_tree_of_a_commit_is_gone_afterwards_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with pairs.tree_of("HEAD", str(tmp_path)) as tree:
        assert all(os.path.isdir(os.path.join(tree, room)) for room in pairs.ROOMS)
        pairs.check_source(tree)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(click.ClickException), pairs.tree_of("no-such-commit", str(tmp_path)):
        pass


def test_a_tree_without_the_packages_is_not_measured_as_if_it_had_them(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException):
        pairs.check_source(str(tmp_path))
