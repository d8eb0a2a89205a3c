"""How often each recovery path is entered: an exploration that never comes by one says nothing about it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

from store.engine import recovery
from store.engine.bulk import BulkWriter
from store.engine.committer import Committer
from store.engine.device import Device
from store.engine.row_table import RowTable
from store.engine.standing import Standing
from store.engine.usage import Usage
from store.objects.reading import DataReader
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.objects.tables import Tables
from store.replicator.collect import Collector
from store.replicator.exchange import Exchange
from store.replicator.hints import Hints
from store.replicator.move import Mover
from store.replicator.orphans import Orphans
from store.replicator.rebalance import Rebalancer
from store.replicator.rejoin import Rejoiner
from store.replicator.restore import Restorer
from store.replicator.upload_janitor import UploadJanitor
from store.ring import Ring


class Path(NamedTuple):
    """A function, and when a call of it counts: by its result and its arguments."""

    owner: Any
    name: str
    when: Callable[..., bool]


def _always(_result: object, *_: object, **__: object) -> bool:
    return True


def _true(result: object, *_: object) -> bool:
    return result is True


def _some(result: Any, *_: object) -> bool:
    return bool(result)


PATHS: dict[str, Path] = {
    "log: torn tail cut": Path(recovery, "_beyond", lambda result, *_: result is None),
    "log: damage stepped over": Path(recovery, "_beyond", lambda result, *_: result is not None),
    "log: segment left after a failure": Path(Committer, "_poisoned", _always),
    "log: row moved by compaction": Path(RowTable, "move", _true),
    "data: segment left after a failure": Path(BulkWriter, "_poisoned", _always),
    "device: out": Path(Device, "_fail", _always),
    "device: not in sync any more": Path(Standing, "set_in_sync", lambda _r, _self, in_sync: not in_sync),
    "index: usage counted anew": Path(Usage, "_recount", _always),
    "read: newer version written back": Path(Rows, "write_back", _always),
    "read: damaged row replaced": Path(Rows, "_send", _always),
    "read: other copy of a block": Path(DataReader, "_report", lambda _r, _self, failures: bool(failures)),
    "read: stripe rebuilt": Path(DataReader, "_rebuild", _always),
    "write: in-doubt write resolved": Path(Rows, "resolve", _some),
    "write: container reopened": Path(Tables, "_reopened", _always),
    "hints: noted": Path(Hints, "note", _always),
    "hints: row brought": Path(Hints, "_bring_row", _always),
    "hints: data brought": Path(Hints, "_bring_data", _always),
    "hints: drop left for a device that is out": Path(Hints, "note", lambda _r, _self, key, *_: key[:1] == b"d"),
    "hints: of a device that left": Path(Hints, "_forget_all", _always),
    "repair: object made whole": Path(Restorer, "whole", _always),
    "exchange: unknown version lost": Path(Exchange, "lose", _some),
    "exchange: rows taken": Path(Exchange, "take", _some),
    "exchange: misplaced rows forgotten": Path(Exchange, "forget_misplaced", _always),
    "rejoin: device in sync again": Path(Rejoiner, "rejoin", _always),
    "rebalance: device synced": Path(Rebalancer, "_sync", _always),
    "rebalance: object moved": Path(Mover, "drop_old", _always),
    "upload janitor: committed after all": Path(UploadJanitor, "_committed", _true),
    "upload janitor: given up": Path(UploadJanitor, "_abort", _always),
    "scrub: orphan dropped": Path(Orphans, "_visit", _true),
    "expire: object deleted": Path(DeviceStore, "delete_expired", _true),
    "collect: data dropped": Path(Collector, "_drop", lambda result, *_: result.done > 0),
    "tombstones: step of the ring": Path(Ring, "collect", _always),
    "tombstones: retired": Path(RowTable, "retire", _true),
    "tombstones: released": Path(RowTable, "release", _always),
}


@contextmanager
def counted(counts: Counter[str], paths: Mapping[str, Path] = PATHS) -> Iterator[None]:
    """Inside, every entry of a path is counted."""
    by_function: dict[tuple[Any, str], dict[str, Path]] = {}
    for label, path in paths.items():
        by_function.setdefault((path.owner, path.name), {})[label] = path
    with ExitStack() as stack:
        for (owner, name), some in by_function.items():
            stack.enter_context(mock.patch.object(owner, name, _counting(getattr(owner, name), some, counts)))
        yield


def _counting(function: Callable[..., Any], paths: Mapping[str, Path], counts: Counter[str]) -> Callable[..., Any]:
    def count(result: object, arguments: tuple[object, ...], options: dict[str, object]) -> None:
        for label, path in paths.items():
            counts[label] += path.when(result, *arguments, **options)

    if inspect.iscoroutinefunction(function):

        async def awaited(*arguments: object, **options: object) -> object:
            result = await function(*arguments, **options)
            count(result, arguments, options)
            return result

        return awaited

    def called(*arguments: object, **options: object) -> object:
        result = function(*arguments, **options)
        count(result, arguments, options)
        return result

    return called
