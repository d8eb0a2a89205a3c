"""Security groups and their rules as old clients see them: rules for what comes in alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Row = dict[str, Any]

EVERYWHERE: Final = "0.0.0.0/0"
PORT_MOST: Final = 65_535


def shown_group(group: Row, names: Mapping[str, Row]) -> Row:
    """`names`: of groups that rules may refer to, by their ids."""
    rules = [shown_rule(one, names) for one in group["security_group_rules"] if one["direction"] == "ingress"]
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group["description"],
        "tenant_id": group["project_id"],
        "rules": [one for one in rules if one is not None],
    }


def shown_rule(rule: Row, names: Mapping[str, Row]) -> Row | None:
    """None for one that refers to a group which the caller does not see."""
    from_port, to_port = _ports(rule)
    shown: Row = {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": from_port,
        "to_port": to_port,
        "group": {},
        "ip_range": {},
    }
    remote = rule["remote_group_id"]
    if remote is None:
        return shown | {"ip_range": {"cidr": rule["remote_ip_prefix"] or EVERYWHERE}}
    return shown | {"group": names[remote]} if remote in names else None


def _ports(rule: Row) -> tuple[int | None, int | None]:
    least, most = rule["port_range_min"], rule["port_range_max"]
    if not rule["protocol"] or least is not None or most is not None:
        return least, most
    return (1, PORT_MOST) if rule["protocol"].upper() in ("TCP", "UDP") else (-1, -1)
