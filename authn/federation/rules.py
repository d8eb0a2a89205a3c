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


def parse_rules(rules: Any, schema_version: Any = DEFAULT_VERSION) -> MappingRules:
    """The value of a mapping's field `rules`. Raises InvalidError that names the field that is wrong.

    Stricter than Keystone, which takes some mappings that then fail every login: a number that no condition has, a
    domain without id and name, listed values that are no texts, patterns that are none.
    """
    if schema_version not in (VERSION_1, VERSION_2):
        raise InvalidError(f"schema_version: not one of ['{VERSION_1}', '{VERSION_2}']")
    project_domains = schema_version == VERSION_2
    entries = an_array(rules, "rules", least=1, most=_RULES_MAX)
    parsed: list[Rule] = []
    patterns = 0
    for number, one in enumerate(entries):
        parsed.append(_parse_rule(one, f"rules[{number}]", project_domains))
        patterns += sum(len(condition.patterns) for condition in parsed[-1].remote)
        if patterns > PATTERNS_MAX:
            raise InvalidError(f"rules[{number}]: a mapping has at most {PATTERNS_MAX} regular expressions")
    return MappingRules(tuple(parsed), schema_version)


def _parse_rule(value: Any, where: str, project_domains: bool) -> Rule:
    held = an_object(value, where, required=("local", "remote"))
    remote = []
    for number, one in enumerate(an_array(held["remote"], f"{where}.remote", least=1, most=_ENTRIES_MAX)):
        remote.append(parse_condition(one, f"{where}.remote[{number}]"))
    parser = LocalParser(sum(condition.kind.carries for condition in remote), project_domains=project_domains)
    local = []
    for number, one in enumerate(an_array(held["local"], f"{where}.local", most=_ENTRIES_MAX)):
        local.append(parser.parse(one, f"{where}.local[{number}]"))
    return Rule(tuple(remote), tuple(local))
