"""Sets of those that rules of security groups let through."""

from __future__ import annotations

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, collapsed, is_single, prefix, version
from compute_plugin.networks.plan.ruleset import Set
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records

FAMILIES = (4, 6)


class Members:
    """The sets that were asked for, each once."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._held: dict[tuple[str, str, int], tuple[Set, ...]] = {}
        self.problems: dict[str, str] = {}
        """By ids of records: why they are left out."""

    def all(self) -> tuple[Set, ...]:
        return tuple(one for key in sorted(self._held) for one in self._held[key])

    def of_group(self, group: str, family: int) -> tuple[Set, ...]:
        """The addresses of all ports of a security group, and the prefixes that some may send from."""
        key = ("group", names.checked(group), family)
        if key not in self._held:
            for each, (single, wide) in self._addresses(group).items():
                exact = Set(f"members{each}-{group}", f"type ipv{each}_addr", frozenset(single))
                prefixes = Set(f"wide{each}-{group}", f"type ipv{each}_addr", collapsed(wide), interval=True)
                self._held["group", group, each] = (exact, prefixes) if wide else (exact,)
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

    def _addresses(self, group: str) -> dict[int, tuple[set[str], set[str]]]:
        found: dict[int, tuple[set[str], set[str]]] = {family: (set(), set()) for family in FAMILIES}
        for port in self._records.ports.by("group", group):
            try:
                for one in sends_from(port):
                    single, wide = found[version(one)]
                    if is_single(one):
                        single.add(one.partition("/")[0])
                    else:
                        wide.add(one)
            except ValueError as error:
                self.problems[port.id] = str(error)
        return found


def sends_from(port: Port) -> set[str]:
    """The prefixes that a port may send from. Raises ValueError."""
    return {prefix(address(one.address)) for one in port.fixed_ips} | {
        prefix(one.address) for one in port.address_pairs
    }
