"""How a guest's virtual processors are arranged: what flavor and image prefer and allow, as far as it can be had.

https://docs.openstack.org/nova/latest/admin/cpu-topologies.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from store.core.errors import InvalidError

MOST: Final = 65536
"""Where nobody sets a limit."""
_PARTS: Final = ("sockets", "cores", "threads")


def topology(vcpus: int, properties: Mapping[str, str], extra_specs: Mapping[str, str]) -> tuple[int, int, int]:
    """Sockets, cores and threads, whose product is `vcpus`: within the limits, as many parts as preferred, and then as
    many sockets as can be. The flavor comes before the image. Raises InvalidError where the limits leave none."""
    wanted = [_number(f"cpu_{part}", properties, extra_specs, 0) for part in _PARTS]
    limits = [_number(f"cpu_max_{part}", properties, extra_specs, MOST) for part in _PARTS]
    possible = [
        (sockets, cores, threads)
        for sockets in _divisors(vcpus)
        for cores in _divisors(vcpus // sockets)
        for threads in (vcpus // sockets // cores,)
        if sockets <= limits[0] and cores <= limits[1] and threads <= limits[2]
    ]
    if not possible:
        raise InvalidError(f"{vcpus} processors cannot be arranged within the limits of hw:cpu_max_*")

    def good(parts: tuple[int, int, int]) -> tuple[int, int, int]:
        return sum(part == want for part, want in zip(parts, wanted, strict=True)), -parts[2], parts[0]

    return max(possible, key=good)


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def _number(name: str, properties: Mapping[str, str], extra_specs: Mapping[str, str], default: int) -> int:
    value = extra_specs.get(f"hw:{name}", properties.get(f"hw_{name}"))
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= MOST:
        raise InvalidError(f"hw:{name} is a number from 1, not {value!r}")
    return int(value)
