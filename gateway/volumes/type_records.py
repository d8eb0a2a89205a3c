"""Volume types as the registry keeps them.

volumes/type/-/<id>                 a type
volumes/type-name/<SHA-256 of name> the id of a type
volumes/type-use/<id>               put whenever a volume of the type comes to be
volumes/default-type/<SHA-256 of project>   a project and the id of its own default type
volumes/seeded/<policy>             a type was made for this storage policy
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from store.core.codec import Codec
from store.core.errors import InvalidError

SHARED: Final = "-"
"""In the place of a project: what is everybody's."""

POLICY_SPEC: Final = "drystone:policy"
"""The storage policy of the type's volumes; the default one where it is not there."""
WINDOW_SPEC: Final = "drystone:window_s"
"""The seconds that the type's volumes can be taken back; 15 minutes where it is not there, 0 is none."""
MULTIATTACH_SPEC: Final = "multiattach"
WINDOW_S: Final = 15 * 60
WINDOW_MAX_S: Final = 30 * 24 * 3600
VISIBLE_SPECS: Final = ("RESKEY:availability_zones", MULTIATTACH_SPEC, "replication_enabled")
"""Those that are shown to all."""


@dataclass(frozen=True, slots=True)
class VolumeType:
    """What a volume can be made of."""

    id: str
    name: str
    description: str | None
    is_public: bool
    created_us: int
    updated_us: int
    extra_specs: dict[str, str] = field(default_factory=dict)
    projects: tuple[str, ...] = ()
    """Those that may use it, where it is not public."""
    qos_id: str | None = None
    encryption: dict[str, Any] = field(default_factory=dict)
    """As it was asked for; volumes of such a type are refused. Empty for none."""

    @property
    def project_id(self) -> str:
        return SHARED

    @property
    def multiattach(self) -> bool:
        return is_multiattach(self.extra_specs)

    @property
    def policy(self) -> str:
        """The storage policy, "" for the default one."""
        return self.extra_specs.get(POLICY_SPEC, "")

    @property
    def window_us(self) -> int:
        """Raises InvalidError where the extra spec is no number of seconds."""
        return window_of(self.extra_specs)

    def open_to(self, project: str) -> bool:
        """Whether a project may use it."""
        return self.is_public or project in self.projects


def window_of(specs: dict[str, str]) -> int:
    """How long volumes can be taken back, in microseconds. Raises InvalidError."""
    said = specs.get(WINDOW_SPEC, str(WINDOW_S))
    if not said.isascii() or not said.isdecimal() or len(said) > 9 or int(said) > WINDOW_MAX_S:
        raise InvalidError(f"{WINDOW_SPEC}: a whole number of seconds up to {WINDOW_MAX_S}")
    return int(said) * 1_000_000


def is_multiattach(specs: dict[str, str]) -> bool:
    return specs.get(MULTIATTACH_SPEC, "").replace(" ", "").lower() == "<is>true"


def type_name_key(name: str) -> bytes:
    return f"volumes/type-name/{sha256(name.encode()).hexdigest()}".encode()


def type_use_key(id_: str) -> bytes:
    return f"volumes/type-use/{id_}".encode()


def _fields(one: VolumeType) -> list[Any]:
    return [
        one.id, one.name, one.description, one.is_public, one.created_us, one.updated_us, json.dumps(one.extra_specs),
        list(one.projects), one.qos_id, json.dumps(one.encryption),
    ]  # fmt: skip


def _read(f: Sequence[Any]) -> VolumeType:
    fields = [*f[:6], json.loads(f[6]), tuple(f[7]), f[8], json.loads(f[9])]
    return VolumeType(*fields)


TYPE_CODEC: Final = Codec("volume type", 1, _fields, {1: _read})
DEFAULT_CODEC: Final = Codec(
    "default volume type",
    1,
    lambda pair: [*pair],
    {1: lambda f: (str(f[0]), str(f[1]))},
)
