"""Which of the processes of a data folder opens which of its devices.

The first process decides that when it starts, before any of them has opened one: the supervisor starts the others
afterwards. Devices stay where they are unless one process has two more than another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from drystone.device_records import load_records, save_records
from drystone.node_identity import NodeIdentity
from drystone.node_records import load_nodes, node_key, put_revoked
from drystone.worker_places import worker_name
from store.core.errors import InvalidError
from store.registry import Delete, Registry

log = structlog.get_logger()


def spread(devices: Mapping[int, str], names: Sequence[str]) -> dict[int, str]:
    """Who has each device from now on, of these processes: as many as any other, or one more. `devices` says who has it
    now, which may be another. Raises InvalidError where there are fewer devices than processes."""
    if len(names) > 1 and len(devices) < len(names):
        raise InvalidError(
            f"{len(names)} processes need {len(names)} devices at least, and there are {len(devices)}: each has its own"
        )
    least, more = divmod(len(devices), len(names))
    held: dict[str, list[int]] = {name: [] for name in names}
    for number, name in sorted(devices.items()):
        if name in held:
            held[name].append(number)
    room = dict.fromkeys(names, least)
    for name in sorted(names, key=lambda name: -len(held[name]))[:more]:  # a sort is stable
        room[name] += 1
    left = [number for number, name in sorted(devices.items()) if name not in held]
    for name in names:
        left += held[name][room[name] :]
        del held[name][room[name] :]
    for name in names:
        taken = room[name] - len(held[name])
        held[name] += left[:taken]
        del left[:taken]
    return {number: name for name in names for number in held[name]}


async def spread_devices(registry: Registry, identity: NodeIdentity, count: int) -> None:
    """Have the registry say which of `count` processes opens which device, and that those above are no nodes any more.
    None of them is to run. Raises InvalidError as `spread`."""
    names = [identity.name, *(worker_name(identity.name, number) for number in range(2, count + 1))]
    nodes = await load_nodes(registry)
    surplus = [name for name in nodes if _is_worker(name, identity.name) and name not in names]
    records = {
        number: record
        for number, record in (await load_records(registry)).items()
        if record.node in names or record.node in surplus
    }
    for number, name in spread({number: record.node for number, record in records.items()}, names).items():
        record = records[number]
        if record.node != name:
            await save_records(registry, {number: replace(record, node=name)})
            log.info("a device has another process now", device=number, node=name)
    for name in surplus:
        await registry.transact([], [Delete(node_key(name)), put_revoked(nodes[name].serial)])


def _is_worker(name: str, node: str) -> bool:
    front = worker_name(node, 0)[:-1]
    return name.startswith(front) and name[len(front) :].isdigit()
