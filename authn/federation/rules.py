"""Mappings as administrators store them: read strictly, once, into what assertions are then judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from authn.federation.condition import Condition, parse_condition
from authn.federation.fields import an_array, an_object
from authn.federation.local import Local, LocalParser
from store.core.errors import InvalidError

VERSION_1: Final = "1.0"
VERSION_2: Final = "2.0"
"""Where an entry's `domain` also is that of its user and projects, and projects may have their own."""
VERSION_3: Final = "3.0"
"""Where an attribute may also tell projects as JSON, and roles in projects that are not told any more are taken."""
DEFAULT_VERSION: Final = VERSION_1

_RULES_MAX: Final = 256
_ENTRIES_MAX: Final = 64
"""Of a rule's `local`, and of its `remote`."""
PATTERNS_MAX: Final = 256
"""Regular expressions of a mapping, each with memory of its own."""


@dataclass(frozen=True, slots=True)
class Rule:
    remote: tuple[Condition, ...]
    local: tuple[Local, ...]


@dataclass(frozen=True, slots=True)
class MappingRules:
    """The rules of one mapping, in their order."""

    rules: tuple[Rule, ...]
    schema_version: str

    @property
    def takes_roles(self) -> bool:
        """Whether an ephemeral user's roles in projects are to become just those of the mapped ones, at each login."""
        return self.schema_version == VERSION_3


def parse_rules(rules: Any, schema_version: Any = DEFAULT_VERSION) -> MappingRules:
    """The value of a mapping's field `rules`. Raises InvalidError that names the field that is wrong.

    Stricter than Keystone, which takes some mappings that then fail every login: a number that no condition has, a
    domain without id and name, listed values that are no texts, patterns that are none.
    """
    if schema_version not in (VERSION_1, VERSION_2, VERSION_3):
        raise InvalidError(f"schema_version: not one of ['{VERSION_1}', '{VERSION_2}', '{VERSION_3}']")
    entries = an_array(rules, "rules", least=1, most=_RULES_MAX)
    parsed: list[Rule] = []
    patterns = 0
    for number, one in enumerate(entries):
        parsed.append(_parse_rule(one, f"rules[{number}]", schema_version))
        patterns += sum(len(condition.patterns) for condition in parsed[-1].remote)
        if patterns > PATTERNS_MAX:
            raise InvalidError(f"rules[{number}]: a mapping has at most {PATTERNS_MAX} regular expressions")
    return MappingRules(tuple(parsed), schema_version)


def _parse_rule(value: Any, where: str, schema_version: str) -> Rule:
    held = an_object(value, where, required=("local", "remote"))
    remote = []
    for number, one in enumerate(an_array(held["remote"], f"{where}.remote", least=1, most=_ENTRIES_MAX)):
        remote.append(parse_condition(one, f"{where}.remote[{number}]"))
    parser = LocalParser(
        sum(condition.kind.carries for condition in remote),
        project_domains=schema_version != VERSION_1,
        told_projects=schema_version == VERSION_3,
    )
    local = []
    for number, one in enumerate(an_array(held["local"], f"{where}.local", most=_ENTRIES_MAX)):
        local.append(parser.parse(one, f"{where}.local[{number}]"))
    return Rule(tuple(remote), tuple(local))
