"""The policy engine: one table of operations says who may do what; what no line allows is refused.

A check is written in the language of oslo.policy (its documentation: "Policy rule expressions"), so that operators can
carry over what they know: `role:admin`, `rule:name`, `user_id:%(target.user.id)s`, `'manager':%(target.role.name)s`,
`and`, `or`, `not`, brackets, `@` for everybody and `!` for nobody.

Answers have three values. Where a check asks about something of the target that is not known yet, the answer is None: a
list is then filtered row by row, and a thing that does not exist is answered with 404 only to those who may see any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.rest.errors import ForbiddenError
from store.core.errors import InvalidError

Credentials = Mapping[str, object]
"""What is known of the caller: `user_id`, `project_id`, `domain_id`, `system_scope`, `roles` (a set) and so on."""
Target = Mapping[str, object]
"""What is known of what is asked for, by names such as `target.user.domain_id`."""
Verdict = bool | None

SCOPES: Final = ("system", "domain", "project")

_Check = Callable[[Credentials, Target], Verdict]
_WORD: Final = re.compile(r"\(|\)|[^\s()]*%\([^)]*\)s|[^\s()]+")
_REFERENCE: Final = re.compile(r"%\(([^)]+)\)s")


@dataclass(frozen=True, slots=True)
class Operation:
    """A line of the table."""

    name: str
    """Such as `identity:list_users`."""
    check: str
    scopes: tuple[str, ...] = SCOPES
    """What a token is for that may do it: system, domain, project. An unscoped token counts as one for a project."""


class Policy:
    """The table, compiled. Raises InvalidError where a check is not understood or names a rule that is not there."""

    def __init__(
        self, operations: Iterable[Operation], rules: Mapping[str, str], overrides: Mapping[str, str] | None = None
    ) -> None:
        """`rules` are checks with a name, used by others. `overrides` replace checks of operations and rules."""
        overrides = dict(overrides or {})
        self.operations = {operation.name: operation for operation in operations}
        unknown = overrides.keys() - self.operations.keys() - rules.keys()
        if unknown:
            raise InvalidError(f"policy: no such operation or rule: {', '.join(sorted(unknown))}")
        self._rules = tuple(rules)
        self._texts = {**rules, **{one.name: one.check for one in self.operations.values()}, **overrides}
        self._checks: dict[str, _Check] = {}
        for name in self._texts:
            self._compiled(name, ())

    @property
    def rules(self) -> dict[str, str]:
        """The rules, by name, as they hold now."""
        return {name: self._texts[name] for name in self._rules}

    def text(self, name: str) -> str:
        """The check of an operation or rule, as it holds now."""
        return self._texts[name]

    def decide(self, name: str, credentials: Credentials, target: Target) -> Verdict:
        """Whether the caller may: True, False, or None where that depends on more of the target than is known."""
        operation = self.operations[name]
        if _scope(credentials) not in operation.scopes:
            return False
        return self._checks[name](credentials, target)

    def holds(self, rule: str, credentials: Credentials, target: Target) -> Verdict:
        """Whether a rule holds of the caller, whatever their token is for."""
        return self._checks[rule](credentials, target)

    def require(self, name: str, credentials: Credentials, target: Target) -> None:
        """Raises ForbiddenError unless the caller may."""
        if not self.decide(name, credentials, target):
            raise ForbiddenError(name)

    def chosen(self, name: str, credentials: Credentials, target: Target) -> Callable[[Target], bool]:
        """Which rows of a list the caller may see. Raises ForbiddenError for none, whatever they are."""
        verdict = self.decide(name, credentials, target)
        if verdict is False:
            raise ForbiddenError(name)
        if verdict:
            return lambda _: True
        return lambda row: bool(self.decide(name, credentials, {**target, **row}))

    def _compiled(self, name: str, inside: tuple[str, ...]) -> _Check:
        if name in inside:
            raise InvalidError(f"policy: {' -> '.join((*inside, name))}: goes round in a circle")
        if name not in self._texts:
            raise InvalidError(f"policy: {inside[-1] if inside else name}: no rule is called {name}")
        if name not in self._checks:
            self._checks[name] = _Parser(self, name, inside).parsed(self._texts[name])
        return self._checks[name]


def _scope(credentials: Credentials) -> str:
    if credentials.get("system_scope"):
        return "system"
    return "domain" if credentials.get("domain_id") else "project"


class _Parser:
    """Recursive descent: or, and, not, one check."""

    def __init__(self, policy: Policy, name: str, inside: tuple[str, ...]) -> None:
        self._policy, self._name, self._inside = policy, name, (*inside, name)
        self._words: list[str] = []

    def parsed(self, text: str) -> _Check:
        self._words = _WORD.findall(text)[::-1]
        if not self._words:
            return lambda _, __: True
        check = self._any()
        if self._words:
            raise self._wrong(f"'{self._words[-1]}' is one too many")
        return check

    def _any(self) -> _Check:
        checks = [self._all()]
        while self._words and self._words[-1].lower() == "or":
            self._words.pop()
            checks.append(self._all())
        return checks[0] if len(checks) == 1 else lambda held, target: _or(check(held, target) for check in checks)

    def _all(self) -> _Check:
        checks = [self._not()]
        while self._words and self._words[-1].lower() == "and":
            self._words.pop()
            checks.append(self._not())
        return checks[0] if len(checks) == 1 else lambda held, target: _and(check(held, target) for check in checks)

    def _not(self) -> _Check:
        if not self._words:
            raise self._wrong("it ends too early")
        word = self._words.pop()
        if word.lower() == "not":
            check = self._not()
            return lambda held, target: _not(check(held, target))
        if word == "(":
            check = self._any()
            if not self._words or self._words.pop() != ")":
                raise self._wrong("a bracket is not closed")
            return check
        return self._one(word)

    def _one(self, word: str) -> _Check:
        if word in ("@", "!"):
            return lambda _, __: word == "@"
        kind, colon, match = word.partition(":")
        if not colon or word == ")":
            raise self._wrong(f"'{word}' is no check")
        if kind == "rule":
            return self._policy._compiled(match, self._inside)
        if kind == "role":
            return _role(match)
        return _equal(kind, match)

    def _wrong(self, why: str) -> InvalidError:
        return InvalidError(f"policy: {self._name}: {why}")


def _role(name: str) -> _Check:
    wanted = name.casefold()

    def check(held: Credentials, _: Target) -> Verdict:
        roles = held.get("roles", ())
        assert isinstance(roles, frozenset | tuple)
        return name in roles or any(role.casefold() == wanted for role in roles)

    return check


def _equal(kind: str, match: str) -> _Check:
    reference = _REFERENCE.fullmatch(match)
    literal = kind[1:-1] if kind[:1] in "'\"" and kind[-1:] == kind[:1] else kind
    quoted = literal != kind or kind in ("None", "True", "False")

    def check(held: Credentials, target: Target) -> Verdict:
        if quoted:
            left = literal
        elif kind in held:
            if held[kind] is None and reference is not None:
                return False  # somebody without the attribute is equal to nobody, not even to those without it
            left = str(held[kind])
        else:
            return False
        if reference is None:
            return left == match
        if reference[1] not in target:
            return None
        return left == str(target[reference[1]])

    return check


def _or(verdicts: Iterable[Verdict]) -> Verdict:
    unknown = False
    for verdict in verdicts:
        if verdict:
            return True
        unknown = unknown or verdict is None
    return None if unknown else False


def _and(verdicts: Iterable[Verdict]) -> Verdict:
    unknown = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unknown = unknown or verdict is None
    return None if unknown else True


def _not(verdict: Verdict) -> Verdict:
    return None if verdict is None else not verdict
