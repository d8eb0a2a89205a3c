"""How many ways to authenticate a user's own rules ask for (`multi_factor_auth_rules`). Pure.

Each rule is a list of methods that suffice together. Methods that do not exist are passed over, and rules of nothing
else: a slip in a rule keeps nobody out for good.
"""

from __future__ import annotations

import json
from collections.abc import Set

from authn.records import User
from authn.token_format import METHODS


def unmet_rules(user: User, shown: Set[str]) -> list[list[str]] | None:
    """None where what was shown suffices; else the rules that it is a part of."""
    options = json.loads(user.options)
    asked = options.get("multi_factor_auth_rules") or []
    rules = [rule for rule in (METHODS.keys() & set(one) for one in asked) if rule]
    if not rules or not options.get("multi_factor_auth_enabled", True) or any(shown >= rule for rule in rules):
        return None
    return [sorted(rule) for rule in rules if rule & shown]
