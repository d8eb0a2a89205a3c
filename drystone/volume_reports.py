"""`drystone volume check` and `stats`: whether volumes are whole, and what they do."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Final
from urllib.parse import urlencode

import click

from drystone.access import Access, data_option
from drystone.asking import answer, asked
from drystone.control_client import lines
from drystone.folder import DataFolder
from drystone.volume_asking import Row, volume_path, volume_rows
from drystone.volume_sizes import show_size
from drystone.volume_times import show_time
from drystone.words import duration, table
from store.core.errors import RetryableError

SHOWN: Final = ("read", "write", "flush", "discard")
"""Kinds of requests that have a column."""


@click.command()
@click.argument("of", metavar="NAME[@SNAPSHOT]")
@click.option("--read", is_flag=True, help="Read and verify all blocks, too.")
@data_option
@click.pass_obj
def check(access: Access, of: str, read: bool) -> None:
    """Check whether volume NAME, with its snapshots and its past, or one SNAPSHOT alone, is whole.

    It reads alone, so the volume may be in use, here or elsewhere. Exit status 1: something is wrong, and is said.

    With --read each block is read from one device that has a copy. That all copies are well is for the scrubber to see
    to, which goes through all devices by itself (drystone scrub).
    """
    name, _, snapshot = of.partition("@")
    query = urlencode({**({"snapshot": snapshot} if snapshot else {}), **({"data": "1"} if read else {})})
    path = f"{volume_path(name)}/check?{query}"

    def work(folder: DataFolder) -> Row | None:
        summary: Row | None = None
        with closing(lines(folder, path)) as said:
            for line in said:
                row: Row = json.loads(line)
                if "error" in row:
                    raise RetryableError(row["error"])
                summary = row.get("summary", summary)
                _say(row)
        return summary

    summary = asked(access, work)
    if summary is None:
        raise click.ClickException("the running process has ended before the check did")
    click.echo(_conclusion(of, summary, read=read))
    if summary["problems"]:
        sys.exit(1)


def _say(row: Row) -> None:
    """A line for what is wrong or worth to be known; how far it has come where somebody looks on."""
    looks_on = sys.stderr.isatty()
    if "problem" in row or "note" in row:
        click.echo("\r\x1b[K" * looks_on, nl=False, err=True)
        click.echo(f"! {row['problem']}" if "problem" in row else f"  ({row['note']})")
    elif "doing" in row and looks_on:
        share = f"{100 * row['done'] / row['of']:.0f} % of " if row["of"] else f"{row['done']} "
        click.echo(f"\r\x1b[K{share}{row['doing']}", nl=False, err=True)
    elif looks_on:
        click.echo("\r\x1b[K", nl=False, err=True)


def _conclusion(of: str, summary: Row, *, read: bool) -> str:
    found = f"{summary['problems']} problems" if summary["problems"] else "nothing is wrong"
    data = f"; {show_size(summary['read_bytes'])} were read and verified" if read else ""
    return (
        f"Volume {of}: {found}. Maps: {summary['maps']}, with {summary['blocks']} blocks in {summary['objects']} log "
        f"objects{data}."
    )


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs. Sizes are bytes, times seconds.")
@data_option
@click.pass_obj
def stats(access: Access, name: str | None, as_json: bool) -> None:
    """What volume NAME has done since it was opened here; without a NAME, all volumes.

    Of one that is not open here it is known who has it. What is written is that to each copy: of clients, with what
    the log adds; of the cleaner, which copies what is needed so that the rest can go; of checkpoints of the map.
    """

    def work(folder: DataFolder) -> list[Row]:
        rows = [answer(folder, volume_path(name))] if name is not None else volume_rows(folder)
        return [
            {
                **row,
                "stats": None if row["connections"] is None else answer(folder, f"{volume_path(row['name'])}/stats"),
            }
            for row in rows
        ]

    rows = asked(access, work)
    if as_json:
        click.echo(json.dumps(rows if name is None else rows[0], indent=2))
    elif name is not None:
        click.echo(_one(rows[0]))
    elif not rows:
        click.echo("There are no volumes.")
    else:
        head = ["volume", "open", *SHOWN, "errors", "read p99", "write p99", "amplification"]
        click.echo(table(head, [_cells(row) for row in rows]))


def _cells(row: Row) -> list[str]:
    stats = row["stats"]
    if stats is None:
        return [row["name"], row["holder"] or "no", *[""] * (len(SHOWN) + 4)]
    asked = stats["requests"]
    return [
        row["name"],
        f"here, {duration(stats['open_s'])}",
        *(str(asked[kind]["count"]) for kind in SHOWN),
        str(sum(each["errors"] for each in asked.values())),
        *(_time(asked[kind]["p99_s"]) for kind in ("read", "write")),
        _amplification(stats),
    ]


def _one(row: Row) -> str:
    stats = row["stats"]
    if stats is None:
        who = f"open at {row['holder']} since {show_time(row['since_us'])}" if row["holder"] else "open nowhere"
        return (
            f"Volume {row['name']} is not open here: {who}. It has {show_size(row['size'])}, of which "
            f"{show_size(row['stored_bytes'])} are stored in each copy, and was opened {row['epoch']} times."
        )
    kinds = [
        [kind, str(each["count"]), show_size(each["bytes"]), str(each["errors"]), *_times(each)]
        for kind, each in stats["requests"].items()
    ]
    by = stats["written_bytes"]
    lines = {
        "written": ", ".join(f"{show_size(count)} {who}" for who, count in by.items()) + " (in each copy)",
        "amplification": _amplification(stats) or "nothing was written",
        "log": f"{show_size(stats['log_bytes'])} in each copy, of which {show_size(stats['live_bytes'])} are live and "
        f"{show_size(stats['dead_bytes'])} dead, or kept for snapshots and the past",
        "map": f"{stats['mapped_blocks']} blocks; {show_size(stats['map_memory_bytes'])} of it in memory, and "
        f"{show_size(stats['held_bytes'])} that wait to come into it",
    }
    return (
        f"Volume {row['name']} is open here since {duration(stats['open_s'])}, {row['connections']} connections.\n\n"
        + table(["request", "done", "bytes", "errors", "mean", "p99"], kinds)
        + "\n\n"
        + "\n".join(f"{word:15}{said}" for word, said in lines.items())
    )


def _amplification(stats: Row) -> str:
    return "" if stats["write_amplification"] is None else f"{stats['write_amplification']:.2f}"


def _times(asked: Row) -> list[str]:
    return [_time(asked["mean_s"]), _time(asked["p99_s"])]


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms" if seconds else ""
