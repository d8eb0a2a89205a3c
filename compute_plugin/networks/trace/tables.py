"""What nftables' rules do to a packet: an interpreter of what `nft -j list` tells (libnftables-json(5)). Pure.

It knows the expressions that our tables are made of. A rule with anything else does not say how it ends, so it is
passed over and told of (`Verdict.unknown`): other people's tables may have one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from compute_plugin.networks.trace.fields import UnknownError, flags, held, is_in, number_of
from compute_plugin.networks.trace.packet import Packet

ENDS: Final = ("accept", "drop", "reject", "return", "continue")
JUMPS_MOST: Final = 16


@dataclass(slots=True)
class Verdict:
    """How a hook ends for a packet."""

    packet: Packet
    passed: bool = True
    rule: str = ""
    """That it ended by, as `family table chain: comment or number`; "" where it was not one."""
    seen: list[str] = field(default_factory=list)
    """Rules that matched, in their order."""
    unknown: list[str] = field(default_factory=list)


class _EndError(Exception):
    """A chain has come to a verdict."""

    def __init__(self, kind: str, rule: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.rule = rule


class Tables:
    """Of one network namespace."""

    def __init__(self, listed: Sequence[Mapping[str, Any]]) -> None:
        """`listed`: the array `nftables` that nft tells."""
        self._chains: list[Mapping[str, Any]] = []
        self._rules: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        self._sets: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for one in listed:
            for kind, value in one.items():
                if kind == "chain":
                    self._chains.append(value)
                elif kind == "rule":
                    key = (value["family"], value["table"], value["chain"])
                    self._rules.setdefault(key, []).append(value)
                elif kind in ("set", "map"):
                    self._sets[value["family"], value["table"], value["name"]] = value

    def hook(self, families: Sequence[str], hook: str, packet: Packet) -> Verdict:
        """Pass the chains at a hook of these families, in the order of their priorities, until one drops it."""
        verdict = Verdict(packet)
        chains = [one for one in self._chains if one.get("hook") == hook and one["family"] in families]
        for chain in sorted(chains, key=lambda one: int(one["prio"])):
            walk = _Walk(self, verdict, chain["family"], chain["table"])
            # Addresses of a connection are looked up by its first packet alone.
            if chain.get("type") == "nat" and "new" not in verdict.packet.state:
                continue
            kind, rule = walk.base(chain)
            if kind in ("drop", "reject"):
                verdict.passed, verdict.rule = False, rule
                break
        return verdict

    def rules(self, family: str, table: str, chain: str) -> Sequence[Mapping[str, Any]]:
        return self._rules.get((family, table, chain), ())

    def set_named(self, family: str, table: str, name: str) -> Mapping[str, Any]:
        found = self._sets.get((family, table, name))
        if found is None:
            raise UnknownError(f"set @{name}")
        return found


class _Walk:
    """Through one table."""

    def __init__(self, tables: Tables, verdict: Verdict, family: str, table: str) -> None:
        self._tables, self._verdict = tables, verdict
        self._family, self._table = family, table

    def base(self, chain: Mapping[str, Any]) -> tuple[str, str]:
        """How a base chain ends, and by which rule."""
        name = f"{self._family} {self._table} {chain['name']}"
        try:
            self._chain(chain["name"], 0)
        except _EndError as end:
            return end.kind, end.rule
        return chain.get("policy", "accept"), f"{name}: policy {chain.get('policy', 'accept')}"

    def _chain(self, chain: str, depth: int) -> None:
        if depth > JUMPS_MOST:
            raise UnknownError("chains that jump in a circle")
        for number, rule in enumerate(self._tables.rules(self._family, self._table, chain)):
            said = rule.get("comment") or f"rule {number + 1}"
            place = f"{self._family} {self._table} {chain}: {said}"
            try:
                if self._rule(rule["expr"], place, depth) == "return":
                    return
            except _MissedError:
                continue
            except UnknownError as error:
                self._verdict.unknown.append(f"{place} ({error})")

    def _rule(self, expressions: Sequence[Mapping[str, Any]], place: str, depth: int) -> str:
        for expression in expressions:
            ((kind, value),) = expression.items()
            if kind == "match":
                if not self._matches(value):
                    return "continue"
            elif kind == "vmap":
                verdict = self._lookup(value["key"], value["data"])
                return "continue" if verdict is None else self._rule([verdict], place, depth)
            elif kind in ("jump", "goto"):
                self._verdict.seen.append(place)
                self._chain(value["target"], depth + 1)
                if kind == "goto":
                    return "return"
            elif kind in ENDS:
                return self._end(kind, place)
            else:
                self._do(kind, value, place)
        return "continue"

    def _end(self, kind: str, place: str) -> str:
        if kind in ("return", "continue"):
            return kind
        self._verdict.seen.append(place)
        raise _EndError(kind, place)

    def _do(self, kind: str, value: Any, place: str) -> None:
        packet = self._verdict.packet
        match kind:
            case "limit" if "map" in value or value.get("inv"):
                raise _MissedError  # what is more than a limit: a packet by itself never is
            case "counter" | "limit" | "log" | "notrack" | "comment":
                pass  # a packet by itself is within any limit
            case "mangle":
                self._verdict.packet = self._mangled(packet, value)
            case "snat" | "dnat" | "masquerade" | "redirect":
                self._verdict.packet = self._translated(packet, kind, value or {}, place)
                raise _EndError("accept", place)
            case "ct zone":
                pass
            case _:
                raise UnknownError(kind)

    # -- expressions ---------------------------------------------------------------------------------------------

    def _matches(self, match: Mapping[str, Any]) -> bool:
        left, right, sense = match["left"], match["right"], match["op"]
        found = self._value(left)
        if found is None:
            return False  # the packet has no such field
        if isinstance(found, frozenset):
            return bool(found & flags(right)) is (sense != "!=")
        found_there = any(is_in(found, one, left) for one in self._values(right))
        if sense in ("==", "in"):
            return found_there
        if sense == "!=":
            return not found_there
        bound, number = number_of(right, left), number_of(found, left)
        return {"<": number < bound, ">": number > bound, "<=": number <= bound, ">=": number >= bound}[sense]

    def _values(self, right: Any) -> Iterator[Any]:
        """All that a right side stands for."""
        if isinstance(right, str) and right.startswith("@"):
            yield from _elements(self._tables.set_named(self._family, self._table, right[1:]))
        elif isinstance(right, Mapping) and "set" in right:
            for one in right["set"] if isinstance(right["set"], list) else [right["set"]]:
                yield from self._values(one) if isinstance(one, str) and one.startswith("@") else [_plain(one)]
        else:
            yield right

    def _value(self, expression: Any) -> Any:
        """What an expression is for this packet; None where the packet has nothing of the kind."""
        packet = self._verdict.packet
        if isinstance(expression, Mapping):
            ((kind, value),) = expression.items()
            if kind == "concat":
                found = tuple(self._value(one) for one in value)
                return None if None in found else found
            if kind in ("&", "|", "^", "<<", ">>"):
                return self._computed(kind, value)
            if kind == "map":
                return self._lookup(value["key"], value["data"])
            if kind in ("prefix", "range"):
                return expression
            return held(packet, kind, value)
        return expression

    def _computed(self, sign: str, sides: Sequence[Any]) -> int:
        one, other = (number_of(self._value(side), {}) for side in sides)
        match sign:
            case "&":
                return one & other
            case "|":
                return one | other
            case "^":
                return one ^ other
            case "<<":
                return one << other
        return one >> other

    def _lookup(self, key: Any, data: Any) -> Any:
        found = self._value(key)
        if found is None:
            return None
        pairs = (
            self._tables.set_named(self._family, self._table, data[1:]).get("elem", [])
            if isinstance(data, str)
            else data["set"]
        )
        for one, result in pairs:
            if is_in(found, _plain(one), key):
                return result
        return None

    # -- what is done --------------------------------------------------------------------------------------------

    def _mangled(self, packet: Packet, value: Mapping[str, Any]) -> Packet:
        ((kind, what),) = value["key"].items()
        new = self._value(value["value"])
        if new is None:
            raise _MissedError
        if kind == "meta" and what["key"] == "mark":
            return replace(packet, mark=number_of(new, {}))
        if kind == "ct" and what["key"] == "zone":
            return replace(packet, zone=number_of(new, {}))
        if kind == "payload" and (what.get("protocol"), what.get("field")) == ("ether", "daddr"):
            return replace(packet, target_mac=str(new))
        if (kind == "meta" and what["key"] == "pkttype") or (kind == "payload" and what.get("field") == "dscp"):
            return packet
        raise UnknownError(f"set {kind} {what}")

    def _translated(self, packet: Packet, kind: str, value: Mapping[str, Any], place: str) -> Packet:
        said = value.get("addr")
        found = self._value(said) if said is not None else None
        if said is not None and found is None:
            raise _MissedError
        port = value.get("port")
        if isinstance(found, tuple):
            found, port = found
        elif isinstance(found, Mapping) and "concat" in found:
            found, port = found["concat"]
        if kind in ("masquerade", "redirect"):
            raise UnknownError(kind)
        address = str(ipaddress.ip_address(str(found)))
        if kind == "dnat":
            new = replace(packet, target=address, target_port=int(port) if port else packet.target_port)
        else:
            new = replace(packet, source=address, source_port=int(port) if port else packet.source_port)
        self._verdict.seen.append(place)
        return replace(new, status=packet.status | {kind})


class _MissedError(UnknownError):
    """A map has nothing for the packet: the rule does not match."""

    def __init__(self) -> None:
        super().__init__("")


def _elements(named: Mapping[str, Any]) -> Iterator[Any]:
    for one in named.get("elem", []):
        yield _plain(one)


def _plain(element: Any) -> Any:
    """An element without what is noted of it, such as its counter."""
    if isinstance(element, Mapping) and "elem" in element:
        return element["elem"]["val"]
    return element
