"""Doing steps: many in one process where one tool does them in one namespace.

A step that fails does not keep the others from being done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compute_plugin.networks.agent import services
from compute_plugin.networks.agent.commands import Tool, line
from compute_plugin.networks.agent.netlink.namespaces import within
from compute_plugin.networks.agent.running import inside, run
from compute_plugin.networks.agent.steps import (
    ReloadService,
    SetSysctl,
    SetTables,
    StartService,
    Step,
    StopService,
)
from compute_plugin.networks.plan.nft_script import removal, replacement, tables_script
from compute_plugin.networks.plan.ruleset import TABLE, Table

FAMILIES: Final = ("arp", "bridge", "inet", "ip", "ip6", "netdev")
_FAILED: Final = re.compile(r"Command failed -:([0-9]+)")


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that could not be done."""

    step: Step
    why: str


class Applier:
    """Does steps on this host."""

    def __init__(self, began: Callable[[int], None], ended: Callable[[int], None]) -> None:
        """`began` and `ended` are told the numbers of processes that change rules, so that their events are known as
        ours."""
        self._began = began
        self._ended = ended

    async def apply(self, steps: Sequence[Step]) -> list[Failure]:
        """In order, as far as the order matters."""
        failures: list[Failure] = []
        waiting: dict[tuple[Tool, str], list[tuple[Step, str]]] = {}

        async def flush() -> None:
            for (tool, space), lines in waiting.items():
                failures.extend(await self._batch(tool, space, lines))
            waiting.clear()

        for step in steps:
            told = line(step)
            if told is not None:
                tool, space, text = told
                waiting.setdefault((tool, space), []).append((step, text))
                continue
            await flush()
            why = await self._alone(step)
            if why:
                failures.append(Failure(step, why))
        await flush()
        return failures

    async def _batch(self, tool: Tool, space: str, lines: list[tuple[Step, str]]) -> list[Failure]:
        command = [tool, *(["-n", space] if space else []), "-force", "-batch", "-"]
        try:
            ended = await run(command, "".join(f"{text}\n" for _, text in lines))
        except OSError as error:
            return [Failure(step, str(error)) for step, _ in lines]
        if ended.status == 0:
            return []
        failures = []
        said: list[str] = []
        for word in ended.errors.splitlines():
            failed = _FAILED.match(word)
            if failed is None:
                said.append(word)
                continue
            step, text = lines[int(failed[1]) - 1]
            failures.append(Failure(step, f"{tool} {text}: {'; '.join(said) or 'failed'}"))
            said = []
        if not failures:
            failures = [Failure(step, ended.errors or f"{tool} ended with {ended.status}") for step, _ in lines]
        return failures

    async def _alone(self, step: Step) -> str:
        """What went wrong, or ""."""
        try:
            match step:
                case SetTables(space, before, after):
                    return await self._tables(space, before, after)
                case SetSysctl(space, path, value):
                    within(space, lambda: Path("/proc/sys", path).write_text(value))
                case StartService(space, service):
                    return await services.start(space, service)
                case ReloadService(_, service):
                    return await services.reload(service)
                case StopService(folder):
                    await services.remove(folder)
        except OSError as error:
            return str(error)
        return ""

    async def _tables(self, space: str, before: tuple[Table, ...] | None, after: tuple[Table, ...]) -> str:
        if before is None:
            kept = {one.family for one in after}
            script = "".join(removal(family, TABLE) for family in FAMILIES if family not in kept)
            script += "".join(replacement(one) for one in after)
        else:
            script = tables_script(before, after)
        ended = await run(inside(space, ["nft", "-f", "-"]), script, began=self._began)
        self._ended(ended.pid)
        return "" if ended.status == 0 else ended.errors or f"nft ended with {ended.status}"
