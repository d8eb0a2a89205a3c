"""`/v3/users/{user_id}/access_rules`: the requests that application credentials may be held to."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from authn.records.credentials import AccessRule
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.delegation import refuse_trusts
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.listing import Row, page
from store.core.errors import InvalidError, NotFoundError

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
PATH_CHARACTERS_MAX: Final = 225
RULES_MAX: Final = 50
"""Of one application credential; all new ones are written at once."""

_SERVICE: Final = re.compile("[a-zA-Z0-9-]{1,64}")


async def list_rules(call: Call) -> Response:
    """A user's own."""
    await _allow(call, "list_access_rules")
    mine = (rule for rule in call.snapshot.access_rules if rule.user_id == call.path("user_id"))
    rows = (_linked(call, rule) for rule in mine)
    return listed(call, "access_rules", page(call, rows, ("service", "path", "method")))


async def show_rule(call: Call) -> Response:
    """One."""
    await _allow(call, "get_access_rule")
    return answer({"access_rule": _linked(call, _rule(call))})


async def delete_rule(call: Call) -> Response:
    """One that no application credential has."""
    await _allow(call, "delete_access_rule")
    await call.service.application_credentials.delete_rule(_rule(call).id)
    return nothing()


_PATH: Final = "/v3/users/{user_id}/access_rules"
ROUTES: Final[Routes[Call]] = {
    _PATH: {"GET": list_rules},
    f"{_PATH}/{{id}}": {"GET": show_rule, "DELETE": delete_rule},
}


def asked_rules(call: Call, asked: Fields, user_id: str) -> list[AccessRule]:
    """The rules for a new application credential: the user's that say the same or are named by their ids, and new
    ones. Raises InvalidError."""
    wanted = asked.objects("access_rules") if "access_rules" in asked else []
    if len(wanted) > RULES_MAX:
        raise InvalidError(f"application_credential.access_rules: at most {RULES_MAX}")
    own = [rule for rule in call.snapshot.access_rules if rule.user_id == user_id]
    by_id = {rule.id: rule for rule in own}
    by_content = {(rule.service, rule.method, rule.path): rule for rule in own}
    found: dict[str, AccessRule] = {}
    for one in wanted:
        one.refuse_others(("id", "service", "method", "path"))
        if "id" in one and one.text("id") in by_id:
            rule = by_id[one.text("id")]
        else:
            # An id that is not known is no more than a wish: clients that state all of a rule may state one.
            content = _content(one)
            rule = by_content.get(content) or AccessRule(call.service.administration.new_id(), user_id, *content)
            by_content[content] = rule
        found[rule.id] = rule
    return list(found.values())


def access_rule_row(rule: AccessRule) -> Row:
    """A rule as clients see it."""
    return {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}


def _content(asked: Fields) -> tuple[str, str, str]:
    service, method = asked.text("service"), asked.one_of("method", METHODS)
    path = asked.named("path", PATH_CHARACTERS_MAX)
    if not _SERVICE.fullmatch(service):
        raise InvalidError("access_rules.service: a service's type")
    if not path.startswith("/"):
        raise InvalidError("access_rules.path: begins with /")
    return service, method, path


async def _allow(call: Call, operation: str) -> None:
    user = call.snapshot.users.get(call.path("user_id"))
    await call.allow(f"identity:{operation}", {"target.user.id": user.id} if user else {})
    refuse_trusts(await call.caller())


def _rule(call: Call) -> AccessRule:
    rule = call.snapshot.access_rules.get(call.path("id"))
    if rule is None or rule.user_id != call.path("user_id"):
        raise NotFoundError(f"Could not find Access Rule: {call.path('id')}.")
    return rule


def _linked(call: Call, rule: AccessRule) -> Row:
    return {
        **access_rule_row(rule),
        "links": {"self": f"{call.base}/users/{rule.user_id}/access_rules/{rule.id}"},
    }
