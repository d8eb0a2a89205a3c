"""Agents die at every call that changes something, or the server is deleted there; others finish. Then all is as it is
to be, whoever looks.

    python -m tests.compute_servers.explore [NAME ...]      all cuts of all edges, or of those whose names begin so
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import structlog
import trio
import trio.testing

from tests.compute_servers.cloud import Cloud
from tests.compute_servers.edges import ASK, EDGES, Edge, Scene, delete, prepared
from tests.compute_servers.mortal import Doomed, Life, die
from tests.compute_servers.standing import check, check_nothing

CUTS_MAX: Final = 120
LOOKED_S: Final = 33.0
"""After which agents have looked at all that there is."""


class Cut(StrEnum):
    """What happens at a call."""

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    DELETED = "is deleted"
    DELETED_DEAD = "dies, and is deleted then"


async def lived(folder: Path, edge: Edge, at: int | None, cut: Cut) -> int:
    """One life, and what comes after it. How many calls there were in it, the one that is cut among them."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud(folder, settings=edge.settings)
        await nursery.start(cloud.run)
        scene = await prepared(cloud, edge)
        await cloud.end_hosts()

        async def deleted() -> None:
            scene.server = scene.server or next(iter(cloud.compute.store.records.servers)).id
            await delete(scene)

        life = Life(at, deleted if cut is Cut.DELETED else die, after=cut is Cut.DIES_AFTER)
        await _first(scene, life)
        reached = at is not None and life.calls > at
        if edge.what == "build" and not scene.server:
            scene.server = next(iter(cloud.compute.store.records.servers)).id
        if cut is Cut.DELETED_DEAD and reached:
            await deleted()
        await _second(scene, life, gone=edge.ends is None or (reached and cut in (Cut.DELETED, Cut.DELETED_DEAD)))
        nursery.cancel_scope.cancel()
    return life.calls


async def _first(scene: Scene, life: Life) -> None:
    """Until the process has died, or nothing is left to be done."""
    cloud = scene.cloud
    doomed = Doomed(cloud, life)
    async with trio.open_nursery() as nursery:

        async def process(*, task_status: trio.TaskStatus[None]) -> None:
            await doomed.run(task_status=task_status)
            nursery.cancel_scope.cancel()

        if scene.edge.what == "evacuate":
            doomed.without = frozenset({"one"})
        await nursery.start(process)
        await trio.testing.wait_all_tasks_blocked()
        life.watch()
        await ASK[scene.edge.what](scene)
        await cloud.quiet()
        nursery.cancel_scope.cancel()


async def _second(scene: Scene, life: Life, *, gone: bool) -> None:
    """Others finish."""
    cloud = scene.cloud
    names = list(cloud.hosts)
    for name in names:
        if scene.edge.what != "evacuate" or name != "one":
            await cloud.host(name)
    await cloud.quiet()
    if scene.edge.what == "evacuate":
        await cloud.host("one")  # it comes back, and knows nothing of it
    await trio.sleep(LOOKED_S)
    await cloud.quiet()
    await check(scene, gone=gone)
    for server in list(cloud.compute.store.records.servers):
        scene.server = server.id
        await delete(scene)
    await cloud.quiet()
    await trio.sleep(LOOKED_S)
    await check_nothing(scene)


def run(edge: Edge, at: int | None = None, cut: Cut = Cut.DIES_BEFORE) -> int:
    """How many calls there were. Raises where anything is not as it is to be. The same every time: the scheduler
    draws the same, and what is for threads is done at once, for which time does not wait."""
    threads, state = trio.to_thread.run_sync, _scheduler()
    state._ALLOW_DETERMINISTIC_SCHEDULING = True
    state._r.seed(0)
    _set_threads(_at_once)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return trio.run(lived, Path(folder), edge, at, cut, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        _set_threads(threads)


def _scheduler() -> Any:
    return trio._core._run


def _set_threads(run_sync: Any) -> None:
    setattr(trio.to_thread, "run_sync", run_sync)  # noqa: B010 - it is a module


async def _at_once(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
    await trio.lowlevel.checkpoint()
    return work(*args)


def cuts_of(edge: Edge, cuts: Iterable[Cut] = tuple(Cut), every: int = 1) -> Iterator[tuple[int, Cut]]:
    """All that were reached, once each was lived through. `every`: of so many calls one is cut, another one for each
    kind of cut."""
    for number, cut in enumerate(cuts):
        for at in range(number % every, CUTS_MAX, every):
            try:
                if run(edge, at, cut) <= at:
                    break
            except BaseException as error:
                error.add_note(f"{edge.name}: {cut} at call {at}")
                raise
            yield at, cut
        else:
            raise AssertionError(f"{edge.name} never came to its end")


def main(names: list[str]) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    count, failed, begun = 0, 0, time.monotonic()
    edges = [edge for edge in EDGES if not names or edge.name.startswith(tuple(names))]
    for edge in edges:
        here = 0
        for cut in Cut:
            for at in range(CUTS_MAX):
                try:
                    if run(edge, at, cut) <= at:
                        break
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    failed += 1
                    print(f"  {edge.name}: {cut} at call {at}: {_last(error)}", flush=True)
                here += 1
        count += here
        print(f"{edge.name}: {here} cuts", flush=True)
    print(f"{len(edges)} edges, {count} cuts, {failed} failed, {time.monotonic() - begun:.0f} s")
    return int(failed > 0)


def _last(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:600]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
