"""What is told to nft is what the kernel then has: tables as a whole, and step by step."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from compute_plugin.networks.plan.desired import desired
from compute_plugin.networks.plan.nft_script import replacement, tables_script
from tests.cluster.machines import Namespaces, why_not
from tests.networks_agent.test_repair_model import World
from tests.networks_plan.made import Made, id_of
from tests.networks_plan.scenes import SCENES


@pytest.fixture(name="empty")
def _empty() -> Iterator[Namespaces]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    made = Namespaces()
    yield made
    made.close()


@pytest.mark.parametrize("name", SCENES)
def test_the_kernel_takes_each_plan(empty: Namespaces, name: str) -> None:
    made = Made()
    wiring = desired(made.records, made.states, SCENES[name](made))
    for space in wiring.spaces:
        for table in space.tables:
            tell(empty, replacement(table))


def test_step_by_step_it_comes_to_the_same(empty: Namespaces) -> None:
    """Each change is told as a difference; the kernel then lists the same as if all had been told anew."""
    world = World(7)
    before = world.wiring().host.tables
    tell(empty, tables_script((), before))
    told = 0
    for _ in range(60):
        for _ in range(random.Random(told).randrange(1, 4)):
            world.change_records()
        after = world.wiring().host.tables
        script = tables_script(before, after)
        if not script:
            continue
        told += 1
        tell(empty, script)
        found = empty.run("nft", "-s", "list", "ruleset")
        tell(empty, "flush ruleset\n" + "".join(replacement(table) for table in after))
        assert sorted(found.split()) == sorted(empty.run("nft", "-s", "list", "ruleset").split()), script
        before = after
    assert told > 20


def test_the_kernel_takes_another_limit(empty: Namespaces) -> None:
    made = Made()
    host = SCENES["qos"](made)
    before = desired(made.records, made.states, host).host.tables
    tell(empty, tables_script((), before))
    for most in (16000, 0, 5):
        rule = made.records.qos_rules.require(id_of("own bandwidth_limit_in"))
        made.records.qos_rules.put(replace(rule, max_kbps=most))
        after = desired(made.records, made.states, host).host.tables
        tell(empty, tables_script(before, after))
        before = after
    assert f"rate over {5 * 125} bytes/second" in empty.run("nft", "list", "limits")


def tell(space: Namespaces, script: str) -> None:
    done = subprocess.run(
        space.entering(["nft", "-f", "-"]), input=script, text=True, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 0, f"{done.stderr}\n{script}"
