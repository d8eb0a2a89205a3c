"""Sets of those that rules of security groups let through."""

from __future__ import annotations

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, collapsed, is_single, prefix, version
from compute_plugin.networks.plan.kept import Kept
from compute_plugin.networks.plan.ruleset import Set
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records

FAMILIES = (4, 6)


class Members:
    """The sets that were asked for, each once."""

    def __init__(self, records: Records, kept: Kept) -> None:
        self._records = records
        self._kept = kept
        self._held: dict[tuple[str, str, int], tuple[Set, ...]] = {}
        self.problems: dict[str, str] = {}
        """By ids of records: why they are left out."""

    def all(self) -> tuple[Set, ...]:
        return tuple(one for key in sorted(self._held) for one in self._held[key])

    def of_group(self, group: str, family: int) -> tuple[Set, ...]:
        """The addresses of all ports of a security group, and the prefixes that some may send from."""
        key = ("group", names.checked(group), family)
        if key not in self._held:
            ports = self._records.ports.by("group", group)
            sets, problems = self._kept.get(("members", group), ports, lambda: _sets(group, ports))
            self.problems |= problems
            for each, found in zip(FAMILIES, sets, strict=True):
                self._held["group", group, each] = found
        return self._held[key]

    def of_list(self, group: str, family: int) -> tuple[Set, ...]:
        """The prefixes of an address group."""
        key = ("list", names.checked(group), family)
        if key not in self._held:
            record = self._records.address_groups.get(group)
            found: set[str] = set()
            for text in record.addresses if record is not None else ():
                try:
                    found.add(prefix(text))
                except ValueError as error:
                    self.problems[group] = str(error)
            ours = collapsed({one for one in found if version(one) == family})
            self._held[key] = (Set(f"listed{family}-{group}", f"type ipv{family}_addr", ours, interval=True),)
        return self._held[key]


def _sets(group: str, ports: list[Port]) -> tuple[list[tuple[Set, ...]], dict[str, str]]:
    """For each family the addresses of some ports, and the prefixes where there are any; and what is wrong with
    ports."""
    found: dict[int, tuple[set[str], set[str]]] = {family: (set(), set()) for family in FAMILIES}
    problems = {}
    for port in ports:
        try:
            for one in sends_from(port):
                single, wide = found[version(one)]
                if is_single(one):
                    single.add(one.partition("/")[0])
                else:
                    wide.add(one)
        except ValueError as error:
            problems[port.id] = str(error)
    sets: list[tuple[Set, ...]] = []
    for family, (single, wide) in found.items():
        exact = Set(f"members{family}-{group}", f"type ipv{family}_addr", frozenset(single))
        prefixes = Set(f"wide{family}-{group}", f"type ipv{family}_addr", collapsed(wide), interval=True)
        sets.append((exact, prefixes) if wide else (exact,))
    return sets, problems


def sends_from(port: Port) -> set[str]:
    """The prefixes that a port may send from. Raises ValueError."""
    return {prefix(address(one.address)) for one in port.fixed_ips} | {
        prefix(one.address) for one in port.address_pairs
    }
