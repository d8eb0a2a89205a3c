"""Security groups in the words of nft: a chain for each group and direction.

A group is there once on a host, however many of its ports are. What a rule does not let through goes on to the next,
and at the end back to where the chain was called.
"""

from __future__ import annotations

from collections.abc import Iterator

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import prefix, version
from compute_plugin.networks.plan.members import Members
from compute_plugin.networks.plan.protocols import IPV4, IPV6, match, number
from compute_plugin.networks.plan.ruleset import Chain
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import INGRESS, SecurityGroupRule

FAMILIES = {IPV4: 4, IPV6: 6}


def group_chain(group: str, direction: str) -> str:
    """Its name."""
    return f"{direction}-{names.checked(group)}"


def chain_of_group(records: Records, members: Members, group: str, direction: str, problems: dict[str, str]) -> Chain:
    """`problems`: gets the ids of rules that are left out, and why."""
    lines: dict[str, None] = {}  # in order, each once
    for rule in records.rules.by("group", group):
        if rule.direction != direction:
            continue
        try:
            lines |= dict.fromkeys(_lines(rule, members))
        except ValueError as error:
            problems[rule.id] = str(error)
    return Chain(group_chain(group, direction), tuple(lines))


def _lines(rule: SecurityGroupRule, members: Members) -> Iterator[str]:
    """A rule; several where it lets sets of several kinds through. Raises ValueError for what cannot be said."""
    family = FAMILIES.get(rule.ethertype)
    if family is None:
        raise ValueError(f"no ethertype {rule.ethertype[:32]!r} is known")
    packets = match(number(rule.protocol, rule.ethertype), rule.port_min, rule.port_max)
    verdict = f'accept comment "rule {names.checked(rule.id)}"'
    for remote in _remotes(rule, family, members):
        yield " ".join(part for part in (f"meta nfproto ipv{family}", packets, remote, verdict) if part)


def _remotes(rule: SecurityGroupRule, family: int, members: Members) -> Iterator[str]:
    where = f"ip{6 if family == 6 else ''} {'saddr' if rule.direction == INGRESS else 'daddr'}"
    if rule.remote_group_id is not None:
        yield from (f"{where} @{one.name}" for one in members.of_group(rule.remote_group_id, family))
    elif rule.remote_address_group_id is not None:
        yield from (f"{where} @{one.name}" for one in members.of_list(rule.remote_address_group_id, family))
    elif rule.remote_ip_prefix is not None:
        remote = prefix(rule.remote_ip_prefix)
        if version(remote) != family:
            raise ValueError(f"{remote} is no {rule.ethertype}")
        yield "" if remote.endswith("/0") else f"{where} {remote}"
    else:
        yield ""
