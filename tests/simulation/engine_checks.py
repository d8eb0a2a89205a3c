"""What must be true of a device after any restart."""

from __future__ import annotations

from store.device.block import BlockKey, parse_key
from store.device.row import UPLOAD, Flag, IndexRow, Row, decode_value, index_key
from store.engine.check import check_device
from store.engine.device import Device
from tests.simulation.engine_model import FenceHistory, Model

EVERYTHING = 1 << 30


class WrongError(AssertionError):
    """A promise was broken."""


async def check_restarted(device: Device, model: Model) -> None:
    """Compare everything with the model, and what is derived with what it is derived from; then decide the model."""
    await check_whole(device)
    seen = await all_rows(device)
    for packed, row in seen.items():
        if packed not in model.rows:
            raise WrongError(f"row {packed.hex()} was never written")
        _right(packed, model, row)
    for packed, history in model.rows.items():
        _right(packed, model, seen.get(packed))
        if device.row_table.look(packed, believed=True).floor < history.promised:
            raise WrongError(f"row {packed.hex()} takes what is below the promise {history.promised.hex()}")
    blocks = await _all_blocks(device, model)
    check_derived(device, seen)
    for data_id, fences in model.fences.items():
        _check_fence(device, data_id, fences)
    for packed, history in model.rows.items():
        history.decide(seen.get(packed))
    for data_id, data in model.data.items():
        data.decide(blocks.get(data_id, set()))


def _check_fence(device: Device, data_id: bytes, history: FenceHistory) -> None:
    """What was answered holds; what a restart shows does so from now on."""
    fence = device.data_fences.durable.get(data_id)
    epoch, first = (0, 0) if fence is None else (fence.epoch, fence.first)
    if history.over:
        return
    if epoch < history.epoch or (history.first and first != history.first):
        raise WrongError(f"{data_id.hex()} has the fence {epoch}, {first}, not {history.epoch}, {history.first}")
    if not {epoch, first} <= {0, *history.tried}:
        raise WrongError(f"{data_id.hex()} has the fence {epoch}, {first}, for which nobody asked")
    history.epoch, history.first = epoch, first


def _right(packed: bytes, model: Model, row: Row | None) -> None:
    wrong = model.rows[packed].judge(row)
    if wrong:
        raise WrongError(f"row {packed.hex()} {wrong}")


async def check_whole(device: Device) -> None:
    """No damage, no lost trust, and counters that are what a count finds."""
    report = await check_device(device)
    if report.problems:
        raise WrongError("; ".join(report.problems))
    if device.health.damages or not device.in_sync:
        raise WrongError(f"damage where there is none: {device.health.damage}")


async def all_rows(device: Device) -> dict[bytes, Row]:
    """Every row with its payload, by index key."""
    rows = {}
    for packed, value in device.merged_index.range(b"r", b"s", EVERYTHING):
        rows[packed] = await device.load_row(packed, decode_value(packed, value), payload=True)
        if index_key(rows[packed].key) != packed:
            raise WrongError(f"the record of row {packed.hex()} is another's")
    return rows


async def _all_blocks(device: Device, model: Model) -> dict[bytes, set[BlockKey]]:
    seen: dict[bytes, set[BlockKey]] = {}
    for packed, _ in device.merged_index.range(b"d", b"e", EVERYTHING):
        key = parse_key(packed)
        data = model.data.get(key.data_id)
        if data is None or key not in data.written:
            raise WrongError(f"block {key} was never written, or was gone before")
        if data.dropped:
            raise WrongError(f"block {key} was dropped, and that was acknowledged")
        if bytes(await device.read_block(key)) != data.written[key]:
            raise WrongError(f"block {key} is not what was written")
        seen.setdefault(key.data_id, set()).add(key)
    for data_id, data in model.data.items():
        missing = set() if data.dropped else data.certain - seen.get(data_id, set())
        if missing:
            raise WrongError(f"blocks {missing} were acknowledged and are gone")
    return seen


def check_derived(device: Device, rows: dict[bytes, Row]) -> None:
    """Tombstones, expiries and marks are listed exactly as the rows have them."""
    row_table = device.row_table
    index_rows = {packed: row_table.row(packed) for packed in rows}
    tombstones = {p: r.stamp for p, r in index_rows.items() if r is not None and not r.live}
    _same("tombstones", dict(row_table.tombstones(b"", EVERYTHING)), tombstones)
    expiring = sorted((r.expires, p) for p, r in index_rows.items() if r is not None and r.flags & Flag.EXPIRES)
    _same("expiries", row_table.expired(1 << 60, EVERYTHING), expiring)
    marks = {r.name[len(UPLOAD) :]: p for p, r in index_rows.items() if r is not None and _is_intent(r)}
    _same("uploads", dict(row_table.uploads(b"", EVERYTHING)), marks)


def _is_intent(row: IndexRow) -> bool:
    return row.name.startswith(UPLOAD)


def _same(what: str, listed: object, derived: object) -> None:
    if listed != derived:
        raise WrongError(f"{what}: listed {listed}, but the rows say {derived}")
