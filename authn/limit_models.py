"""How limits of domains and of projects work together: stock Keystone's enforcement models. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from authn.records.settings import Limit
from authn.snapshot import IdentitySnapshot
from store.core.errors import InvalidError

UNLIMITED: Final = -1
"""The number that stands for no limit."""


@dataclass(frozen=True, slots=True)
class LimitModel:
    """An enforcement model."""

    name: str
    description: str
    depth_max: int
    """How many projects there may be above each other, the domain not counted."""
    is_strict: bool = False
    """Whether a project's limit must not be above its domain's."""

    def broken_by(self, snapshot: IdentitySnapshot, asked: Iterable[Limit]) -> Limit | None:
        """The first of the limits which, stored together, would be above its domain's limit, or below one of the
        domain's projects; None where all fit."""
        if not self.is_strict:
            return None
        asked = list(asked)
        present = {limit.unique_name: limit for limit in (*snapshot.limits, *asked)}
        for limit in asked:
            if limit.domain_id:
                below = _of_projects(snapshot, present.values(), limit)
                if any(_amount(one.resource_limit) > _amount(limit.resource_limit) for one in below):
                    return limit
            elif _amount(limit.resource_limit) > _over(snapshot, present, limit):
                return limit
        return None


FLAT: Final = LimitModel(
    "flat", "Limit enforcement and validation does not take project hierarchy into consideration.", 5
)
STRICT_TWO_LEVEL: Final = LimitModel(
    "strict_two_level", "This model requires project hierarchy never exceeds a depth of two", 1, is_strict=True
)
_MODELS: Final = {model.name: model for model in (FLAT, STRICT_TWO_LEVEL)}


def parse_limit_model(value: Any) -> LimitModel:
    """Of the table `unified_limit` of a file. Raises InvalidError that names what is wrong."""
    if not isinstance(value, dict):
        raise InvalidError('unified_limit: a table, such as enforcement_model = "strict_two_level"')
    for name in value:
        if name != "enforcement_model":
            raise InvalidError(f"unified_limit.{name}: not known here; there is enforcement_model")
    chosen = value.get("enforcement_model", FLAT.name)
    if not isinstance(chosen, str) or chosen not in _MODELS:
        raise InvalidError(f"unified_limit.enforcement_model: one of {', '.join(_MODELS)}")
    return _MODELS[chosen]


def _amount(number: int) -> float:
    return math.inf if number == UNLIMITED else number


def _of_projects(snapshot: IdentitySnapshot, limits: Iterable[Limit], domain: Limit) -> Iterator[Limit]:
    """Those of the same resource, of projects of the domain."""
    for limit in limits:
        project = snapshot.projects.get(limit.project_id)
        if project is not None and project.domain_id == domain.domain_id and _resource(limit) == _resource(domain):
            yield limit


def _over(snapshot: IdentitySnapshot, present: dict[tuple[str, str], Limit], limit: Limit) -> float:
    """What the domain of the limit's project may have: by a limit of its own, or by what everybody has."""
    project = snapshot.projects.get(limit.project_id)
    if project is None:
        return math.inf
    own = present.get(Limit("", "", project.domain_id, *_resource(limit), 0).unique_name)
    if own is not None:
        return _amount(own.resource_limit)
    registered = snapshot.registered_limits.named((f"{limit.service_id}/{limit.region_id}", limit.resource_name))
    return math.inf if registered is None else _amount(registered.default_limit)


def _resource(limit: Limit) -> tuple[str, str, str]:
    return limit.service_id, limit.region_id, limit.resource_name
