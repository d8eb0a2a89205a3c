"""What is counted against a project's quota, and how much of it each thing is.

What is counted by type goes by the type's id inside, so that a type may have another name; clients see the name.
"""

from __future__ import annotations

from typing import Final

from gateway.rest.quota_records import Amounts

DEFAULTS: Final = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "backups": 10,
    "backup_gigabytes": 1000,
    "per_volume_gigabytes": -1,
    "groups": 10,
}
"""Stock cinder's. `per_volume_gigabytes` is a bound of each volume and never in use."""
BY_TYPE: Final = ("volumes", "snapshots", "gigabytes")


def is_by_type(name: str) -> bool:
    """Whether a resource is one of those that are counted for each type, such as `volumes_<type id>`."""
    kind, _, type_id = name.partition("_")
    return kind in BY_TYPE and bool(type_id)


def of_volume(size: int, type_id: str) -> Amounts:
    """A volume of so many GiB."""
    return _with_type({"volumes": 1, "gigabytes": size}, type_id)


def of_growth(size: int, type_id: str) -> Amounts:
    """A volume that has so many GiB more."""
    return _with_type({"gigabytes": size}, type_id)


def of_type(size: int, type_id: str) -> Amounts:
    """What a volume takes of its type's alone."""
    return {name: amount for name, amount in of_volume(size, type_id).items() if is_by_type(name)}


def of_snapshot(size: int, type_id: str) -> Amounts:
    """Snapshots count as large as their volumes, as in stock cinder."""
    return _with_type({"snapshots": 1, "gigabytes": size}, type_id)


def of_backup(size: int) -> Amounts:
    """A backup of a volume of so many GiB, whatever of it is stored."""
    return {"backups": 1, "backup_gigabytes": size}


def _with_type(amounts: Amounts, type_id: str) -> Amounts:
    return amounts | {f"{name}_{type_id}": amount for name, amount in amounts.items()}
