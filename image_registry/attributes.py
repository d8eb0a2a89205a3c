"""Which attributes an image has, and who may set which: as stock Glance has it."""

from __future__ import annotations

from typing import Final

DISK_FORMATS: Final = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso")
"""ploop is refused: nothing here can look into it."""
CONTAINER_FORMATS: Final = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
AMAZON: Final = ("ami", "ari", "aki")
"""Disk formats whose container has the same name."""

READ_ONLY: Final = frozenset(
    {
        "created_at",
        "updated_at",
        "status",
        "checksum",
        "size",
        "virtual_size",
        "direct_url",
        "self",
        "file",
        "schema",
        "id",
        "os_hash_algo",
        "os_hash_value",
        "stores",
    }
)
RESERVED: Final = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX: Final = "os_glance"
DISALLOWED: Final = frozenset({"direct_url", "self", "file", "schema", "stores"})
"""Not to be said when an image is made."""
MADE_READ_ONLY: Final = READ_ONLY - {"id"}

SETTABLE: Final = frozenset(
    {
        "name",
        "visibility",
        "protected",
        "os_hidden",
        "owner",
        "container_format",
        "disk_format",
        "min_ram",
        "min_disk",
        "tags",
    }
)
PROPERTIES_MAX: Final = 128
TAGS_MAX: Final = 128
MEMBERS_MAX: Final = 128
NAME_CHARACTERS_MAX: Final = 255
PROPERTIES_BYTES_MAX: Final = 256 * 1024
"""Of names and values together: a record of the registry has 1 MiB, and lists read all of them."""
NUMBER_MAX: Final = 2**31 - 1


def is_property(name: str) -> bool:
    """Whether clients may give an image a property of this name: whether it means nothing else."""
    other = name in SETTABLE | READ_ONLY | RESERVED or name == "locations" or name.startswith(RESERVED_PREFIX)
    return not other
