"""What to tell `nft -f -`: one script is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compute_plugin.networks.plan.ruleset import Chain, Limit, Map, Set, Table

Entries = dict[str, str | None]
"""Elements in the words of nft: what an element leads to, None in sets."""
Named = Set | Map
LINE = 400
"""Elements in one line."""


def replacement(table: Table) -> str:
    """Take the place of whatever is there, in one moment: nothing passes unseen, and connections go on."""
    return "".join(f"{line}\n" for line in (*_emptied(table), *_whole(table)))


def removal(family: str, name: str) -> str:
    """Take a table away. Nothing where it is not there."""
    return f"add table {family} {name}\ndelete table {family} {name}\n"


def changes(before: Table, after: Table) -> str:
    """From one state of a table to another; "" where they are the same. A chain whose rules changed is filled anew, of
    sets and maps only elements that changed are told."""
    if before == after:
        return ""
    at = f"{after.family} {after.name}"
    lines: list[str] = []
    late: list[str] = []
    lines += [f"add counter {at} {one}" for one in after.counters if one not in before.counters]
    old_limits = {one.name: one for one in before.limits}
    new_limits = {one.name: one for one in after.limits}
    lines += [_limit(at, one) for name, one in new_limits.items() if name not in old_limits]
    old_chains = {one.name: one for one in before.chains}
    new_chains = {one.name: one for one in after.chains}
    old_sets, new_sets = named(before), named(after)
    changed = [one for one in after.chains if one.name not in old_chains or old_chains[one.name].rules != one.rules]
    if any(old_chains[one.name].hook != one.hook for one in after.chains if one.name in old_chains) or any(
        _kind(old_sets[name]) != _kind(one) for name, one in new_sets.items() if name in old_sets
    ):
        return replacement(after)
    lines += [_declared(at, one) for one in changed if one.name not in old_chains]
    lines += [line for name, one in new_sets.items() if name not in old_sets for line in _new_set(at, one)]
    for name, one in new_sets.items():
        if name in old_sets and old_sets[name] is not one:
            lines += _elements_changed(at, old_sets[name], one)
    for chain in changed:
        if chain.name in old_chains:
            lines.append(f"flush chain {at} {chain.name}")
        lines += _rules(at, chain)
    gone = [name for name in old_chains if name not in new_chains]
    late += [f"flush chain {at} {name}" for name in gone]
    late += [f"delete chain {at} {name}" for name in gone]
    late += [f"delete {_word(one)} {at} {name}" for name, one in old_sets.items() if name not in new_sets]
    late += [f"delete limit {at} {name}" for name in old_limits if name not in new_limits]
    late += [f"delete counter {at} {one}" for one in before.counters if one not in after.counters]
    return "".join(f"{line}\n" for line in (*lines, *late))


def _emptied(table: Table) -> Iterator[str]:
    yield f"add table {table.family} {table.name}"
    yield f"delete table {table.family} {table.name}"


def _whole(table: Table) -> Iterator[str]:
    at = f"{table.family} {table.name}"
    yield f"add table {at}"
    yield from (f"add counter {at} {one}" for one in table.counters)
    yield from (_limit(at, one) for one in table.limits)
    yield from (_declared(at, chain) for chain in table.chains)
    for one in named(table).values():
        yield from _new_set(at, one)
    for chain in table.chains:
        yield from _rules(at, chain)


def _declared(at: str, chain: Chain) -> str:
    hook = chain.hook
    if hook is None:
        return f"add chain {at} {chain.name}"
    kind = f"type {hook.type} hook {hook.hook} priority {hook.priority}; policy {hook.policy};"
    return f"add chain {at} {chain.name} {{ {kind} }}"


def _limit(at: str, one: Limit) -> str:
    return f"add limit {at} {one.name} {{ {one.rate} ; }}"


def _rules(at: str, chain: Chain) -> Iterator[str]:
    yield from (f"add rule {at} {chain.name} {rule}" for rule in chain.rules)


def _new_set(at: str, one: Named) -> Iterator[str]:
    flags = " flags interval;" if one.interval else ""
    yield f"add {_word(one)} {at} {one.name} {{ {one.type};{flags} }}"
    yield from _told("add", at, one.name, entries(one))


def _elements_changed(at: str, before: Named, after: Named) -> Iterator[str]:
    old, new = entries(before), entries(after)
    if old == new:
        return
    if after.interval:  # where prefixes take the place of others that overlap, only all at once is safe
        yield f"flush {_word(after)} {at} {after.name}"
        yield from _told("add", at, after.name, new)
        return
    yield from _told("delete", at, after.name, {one: to for one, to in old.items() if one not in new or new[one] != to})
    yield from _told("add", at, after.name, {one: to for one, to in new.items() if one not in old or old[one] != to})


def _told(verb: str, at: str, name: str, told: Entries) -> Iterator[str]:
    texts = [one if to is None else f"{one} : {to}" for one, to in sorted(told.items())]
    for start in range(0, len(texts), LINE):
        yield f"{verb} element {at} {name} {{ {', '.join(texts[start : start + LINE])} }}"


def named(table: Table) -> dict[str, Named]:
    """Sets and maps by their names."""
    found: dict[str, Named] = {one.name: one for one in table.sets}
    found |= {one.name: one for one in table.maps}
    return found


def entries(one: Named) -> Entries:
    if isinstance(one, Map):
        return dict(one.elements)
    return dict.fromkeys(one.elements)


def _kind(one: Named) -> tuple[str, str, bool]:
    return _word(one), one.type, one.interval


def _word(one: Named) -> str:
    return "map" if isinstance(one, Map) else "set"


def tables_script(before: Iterable[Table], after: Iterable[Table]) -> str:
    """From some tables to others, in one transaction."""
    old = {(one.family, one.name): one for one in before}
    new = {(one.family, one.name): one for one in after}
    parts = [changes(old[key], one) if key in old else replacement(one) for key, one in new.items()]
    parts += [removal(*key) for key in old if key not in new]
    return "".join(parts)
