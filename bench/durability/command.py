"""The tables and the picture of docs/durability.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import comb, log10

import click

from bench.durability.assumptions import POLICIES, SHAPES, Assumptions, Policy, Shape
from bench.durability.copysets import copies_of, fatal_sets, least_domains
from bench.durability.formula import (
    bytes_on_device,
    latent_density,
    loss_rate,
    object_loss_rate,
    out_hours,
    probability,
)
from bench.durability.simulation import KINDS, Losses, Simulation
from store.ring import Layout

CHART = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "durability.svg")
OBJECT_BYTES = 4 << 20
"""Of an object that does not lie in its row."""
SMALL_BYTES = 16 << 10
BILLION = 1e9


@dataclass(frozen=True)
class Line:
    """Losses per year of one policy on one cluster: `alone` by failures of single devices, `all` of every kind.

    `any_*` are rates of losing something; `objects_*` the part of all objects that is lost, its row left out.
    """

    shape: Shape
    policy: Policy
    partitions: int
    any_formula: float
    any_alone: Losses
    any_all: Losses
    objects_formula: float
    objects_alone: float
    objects_all: float


def judge(shape: Shape, layout: Layout, policy: Policy, assumed: Assumptions, cycles: int, seed: int) -> Line:
    copies = copies_of(layout, policy)
    piece = (SMALL_BYTES if policy.table == 0 else OBJECT_BYTES) / policy.needed
    hours = out_hours(policy, shape.devices, assumed)
    sets = fatal_sets(copies, policy.tolerated + 1)
    alone = sets * loss_rate(policy.tolerated + 1, policy.tolerated, assumed.device_rate, hours)
    brink = loss_rate(policy.width, policy.tolerated - 1, assumed.device_rate, hours) * len(copies)
    copy_bytes = bytes_on_device(policy, assumed) * shape.devices / copies.size
    unreadable = brink * policy.needed * latent_density(shape, assumed) * copy_bytes
    by_device = Simulation(shape, layout, policy, assumed, seed, kinds=KINDS[:1]).run(cycles)
    by_all = Simulation(shape, layout, policy, assumed, seed).run(cycles)
    return Line(
        shape,
        policy,
        len(copies),
        alone + unreadable,
        by_device,
        by_all,
        object_loss_rate(policy, shape, assumed, piece),
        by_device.objects_part(policy, shape, assumed, piece, len(copies)),
        by_all.objects_part(policy, shape, assumed, piece, len(copies)),
    )


def what_to_lose(shape: Shape, layout: Layout) -> list[str]:
    """For each policy: the fewest devices, machines and zones whose loss at once loses something, and how many of all
    sets of that many devices do."""
    rows = []
    for policy in shape.policies():
        size = policy.tolerated + 1
        copies = copies_of(layout, policy)
        least = [least_domains(layout, policy, tier) for tier in (3, 2, 1)]
        fatal = fatal_sets(copies, size)
        rows.append(
            f"| {shape.name} | {policy.name} | {least[0]} | {least[1]} | {least[2]} | "
            f"{fatal:,} | {percent(fatal / comb(shape.devices, size))} |"
        )
    return rows


def percent(part: float) -> str:
    return f"{100 * part:.3g} %"


def figure(value: float) -> str:
    return f"{value:.1e}" if value < 0.001 else f"{value:.3g}"


def nines(part: float) -> str:
    return f"{-log10(part):.1f}" if part > 0 else "more"


@click.command()
@click.option("--cycles", default=1000, show_default=True, help="For each kind of first failure.")
@click.option("--seed", default=1, show_default=True)
@click.option("--react", default=Assumptions.react_hours, show_default=True, help="Hours until somebody reacts.")
@click.option("--save/--no-save", default=True, show_default=True, help="Draw the chart.")
def main(cycles: int, seed: int, react: float, save: bool) -> None:
    """Expected annual loss of the shipped policies, by formula and by simulation over real layouts."""
    assumed = Assumptions(react_hours=react)
    lines = []
    click.echo("| cluster | policy | devices | machines | zones | fatal sets of devices | of all sets of that size |")
    click.echo("|---|---|---|---|---|---|---|")
    layouts = {shape: shape.layout() for shape in SHAPES}
    for shape, layout in layouts.items():
        click.echo("\n".join(what_to_lose(shape, layout)))
    click.echo(
        "\n| cluster | policy | any loss: formula | simulated | ± | with machines, zones, outages | ± "
        "| objects of 10^9: formula | simulated | with all | nines |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|---|---|")
    for shape, layout in layouts.items():
        for policy in shape.policies():
            line = judge(shape, layout, policy, assumed, cycles, seed)
            lines.append(line)
            click.echo(_row(line, _rows_of(lines, shape)))
    if save:
        draw(lines)
        click.echo(f"\ndrawn in {CHART}")


def _rows_of(lines: list[Line], shape: Shape) -> Line:
    """What rows lose on the same cluster: an object is lost with its row."""
    return next(line for line in lines if line.shape == shape and line.policy == POLICIES[0])


def _row(line: Line, rows: Line) -> str:
    add = 0.0 if line is rows else 1.0
    whole = line.objects_all + add * rows.objects_all
    cells = [
        line.shape.name,
        line.policy.name,
        figure(probability(line.any_formula)),
        figure(probability(line.any_alone.any)),
        percent(line.any_alone.error / line.any_alone.any) if line.any_alone.any else "",
        figure(probability(line.any_all.any)),
        percent(line.any_all.error / line.any_all.any) if line.any_all.any else "",
        figure(BILLION * (line.objects_formula + add * rows.objects_formula)),
        figure(BILLION * (line.objects_alone + add * rows.objects_alone)),
        figure(BILLION * whole),
        nines(whole),
    ]
    return "| " + " | ".join(cells) + " |"


def draw(lines: list[Line]) -> None:
    """Chances of losing anything in a year: formula, single devices, everything."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    shapes = list(dict.fromkeys(line.shape for line in lines))
    figure_, axes = pyplot.subplots(1, len(shapes), figsize=(4 * len(shapes), 4), sharey=True)
    for axis, shape in zip(axes, shapes, strict=True):
        some = [line for line in lines if line.shape == shape]
        names = [line.policy.name for line in some]
        axis.plot(names, [line.any_formula for line in some], "s", label="formula", fillstyle="none", markersize=11)
        axis.plot(names, [line.any_alone.any for line in some], "o", label="simulated, single devices")
        axis.plot(names, [line.any_all.any for line in some], "^", label="simulated, all kinds")
        axis.set_yscale("log")
        axis.set_title(shape.name, fontsize="small")
        axis.tick_params(axis="x", labelrotation=60, labelsize="small")
    axes[0].set_ylabel("losses of anything, per year")
    axes[0].legend(fontsize="x-small")
    figure_.tight_layout()
    figure_.savefig(CHART, metadata={"Date": None})
