"""What quotas keep in the registry, and the refusal where there is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from store.core.codec import Codec
from store.core.errors import CallerError

NO_LIMIT: Final = -1

Amounts = dict[str, int]
"""By the name of the resource."""


class OverQuotaError(CallerError):
    """There is not enough left of `resource`; each service has a status of its own for it (403, 413)."""

    def __init__(self, resource: str, limit: int, in_use: int, reserved: int, asked: int) -> None:
        super().__init__(
            f"Quota exceeded for {resource}: {asked} asked for, {in_use} of {limit} in use and {reserved} reserved."
        )
        self.resource = resource
        self.limit = limit
        self.in_use = in_use
        self.reserved = reserved
        self.asked = asked


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one resource in one project."""

    limit: int
    """NO_LIMIT for none."""
    in_use: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a project."""

    in_use: Amounts
    reserved: Amounts


@dataclass(frozen=True, slots=True)
class Reservation:
    """Amounts that nobody else gets until it is committed or taken back."""

    id: str
    project: str
    amounts: Amounts
    until_us: int
    """When it may be taken back by others, unless its task goes on then; µs since the epoch."""
    task: str
    """An id, "" for none."""


def moved(held: Amounts, amounts: Mapping[str, int], *, back: bool = False) -> Amounts:
    """More of each, or less (`back`); what comes to nothing is left out. Never below nothing: what was counted wrong
    once is not to stay so for ever."""
    after = dict(held)
    for name, amount in amounts.items():
        after[name] = max(0, after.get(name, 0) + (-amount if back else amount))
    return {name: amount for name, amount in after.items() if amount}


AMOUNTS_CODEC: Final[Codec[Amounts]] = Codec("quota limits", 1, lambda amounts: [amounts], {1: lambda f: dict(f[0])})
USAGE_CODEC: Final = Codec(
    "quota usage", 1, lambda usage: [usage.in_use, usage.reserved], {1: lambda f: Usage(dict(f[0]), dict(f[1]))}
)
RESERVATION_CODEC: Final = Codec(
    "quota reservation",
    1,
    lambda one: [one.id, one.project, one.amounts, one.until_us, one.task],
    {1: lambda f: Reservation(f[0], f[1], dict(f[2]), f[3], f[4])},
)
