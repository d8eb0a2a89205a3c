"""`/v3/users`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn.inactivity import is_inactive, with_activity
from authn.keys import GROUP_ACTOR, MEMBER, USER_ACTOR
from authn.password_rules import without_failures
from authn.records import User
from authn.shadows import Told
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.elsewhere import bring_in, listed_elsewhere, refuse_directory, refuse_in_directory
from authn.v3.options import USER_OPTIONS, changed_options
from authn.v3.passwords import change_password, expires, expiry_shown
from authn.v3.resource import PostedResource
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Filter, Row, page
from gateway.rest.policy import Target
from store.core.errors import InvalidError

_KNOWN: Final = frozenset(
    {
        "id",
        "name",
        "domain_id",
        "description",
        "enabled",
        "password",
        "original_password",
        "default_project_id",
        "password_expires_at",
        "links",
        "options",
        "federated",
    }
)


def _linked(named: Callable[[Row, Row], Any]) -> Filter:
    """Whether a link to a provider has what is asked for. `named` picks that of the link and one of its protocols."""
    return lambda row, asked: any(
        named(link, protocol) == asked for link in row.get("federated", ()) for protocol in link["protocols"]
    )


def user_row(call: Call, user: User) -> Row:
    """A user as clients see it: nothing of the password."""
    row = {
        **json.loads(user.extra),
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled and not is_inactive(user, call.service.password_rules, call.service.clock.wall_us()),
        "password_expires_at": expiry_shown(user),
        "options": json.loads(user.options),
        "links": {"self": f"{call.base}/users/{user.id}"},
    }
    if user.description:
        row["description"] = user.description
    if user.default_project_id:
        row["default_project_id"] = user.default_project_id
    if user.federated:
        row["federated"] = _federated_row(user)
    return row


class Users(PostedResource[User]):
    """Who asks."""

    noun: ClassVar[str] = "user"
    plural: ClassVar[str] = "users"
    path: ClassVar[str] = "users"
    filters: ClassVar[tuple[str, ...]] = (
        "name",
        "enabled",
        "domain_id",
        "default_project_id",
        "description",
        "email",
    )
    special: ClassVar[Mapping[str, Filter]] = {
        "password_expires_at": expires,
        "idp_id": _linked(lambda link, _: link["idp_id"]),
        "protocol_id": _linked(lambda _, protocol: protocol["protocol_id"]),
        "unique_id": _linked(lambda _, protocol: protocol["unique_id"]),
    }

    def table(self, snapshot: IdentitySnapshot) -> Table[User]:
        return snapshot.users

    def row(self, call: Call, record: User) -> Row:
        return user_row(call, record)

    def home(self, record: User) -> str | None:
        return record.domain_id

    def target(self, call: Call, record: User) -> Target:
        return user_target(record)

    def asked_target(self, call: Call, asked: Fields) -> Target:
        """Who looks after one domain only names it, as stock keystone wants it."""
        return {"target.user.domain_id": asked.text("domain_id")} if asked.value("domain_id") is not None else {}

    def routes(self) -> Routes[Call]:
        return {
            **super().routes(),
            "/v3/users/{id}/password": {"POST": change_password},
            "/v3/groups/{group_id}/users": {"GET": self.list_of_group},
        }

    def candidates(self, call: Call) -> Iterable[User]:
        called = self.called(call)
        return (user for user in (self.behind_marker(call) if called is None else called) if not user.directory_id)

    async def elsewhere(self, call: Call) -> tuple[Sequence[User], bool]:
        told = await listed_elsewhere(call, call.service.shadows.users)
        return told.records, told.cut

    async def bring_in(self, call: Call, operation: str) -> None:
        await bring_in(call, USER_ACTOR, call.path("id"), operation)

    async def now(self, call: Call, record: User) -> User:
        return await call.service.shadows.user(record) if record.directory_id else record

    async def list_of_group(self, call: Call) -> Response:
        """The users who are in a group."""
        await bring_in(call, GROUP_ACTOR, call.path("group_id"), "identity:list_users_in_group")
        group = call.snapshot.groups.get(call.path("group_id"))
        known = {"target.group.id": group.id, "target.group.domain_id": group.domain_id} if group else {}
        await call.allow("identity:list_users_in_group", known)
        group = call.snapshot.groups.require(call.path("group_id"))
        members = [call.snapshot.users.get(id_) for id_ in call.snapshot.links.others(MEMBER, group.id)]
        told: Told[User] = await call.service.shadows.members_of(group) if group.directory_id else Told()
        rows = (user_row(call, user) for user in (*members, *told.records) if user and self.visible(call, user))
        return listed(call, self.plural, page(call, rows, self.filters, self.special), truncated=told.cut)

    async def made(self, call: Call, asked: Fields) -> User:
        domain_id = asked.text_or("domain_id", "") or call.default_domain()
        refuse_in_directory(call, domain_id)
        default_project_id = _default_project(call, asked)
        await _require_own_providers(call, domain_id, _federated(asked))
        administration = call.service.administration
        return await administration.create_user(
            User(
                id=administration.new_id(),
                name=asked.text("name"),
                domain_id=domain_id,
                description=asked.text_or("description", ""),
                enabled=asked.flag_or("enabled", True),
                default_project_id=default_project_id,
                extra=merged("{}", asked.others(_KNOWN)),
                options=changed_options("{}", asked, USER_OPTIONS),
                federated=_federated(asked),
            ),
            None if asked.value("password") is None else asked.text("password"),
        )

    async def changed(self, call: Call, id_: str, asked: Fields) -> User:
        """A new password or `enabled: false` ends the user's tokens; a new password or `enabled: true` unlocks."""
        present = call.snapshot.users.require(id_)
        refuse_directory(present)
        if asked.text_or("domain_id", present.domain_id) != present.domain_id:
            raise InvalidError("user.domain_id: a user stays in its domain")

        rules, now_us = call.service.password_rules, call.service.clock.wall_us()

        def edit(before: User) -> User:
            enabled = asked.value("enabled") is True
            return replace(
                with_activity(without_failures(before), rules, now_us) if enabled else before,
                name=asked.text_or("name", before.name),
                description=asked.text_or("description", "") if "description" in asked else before.description,
                enabled=asked.flag_or("enabled", before.enabled),
                default_project_id=(
                    _default_project(call, asked) if "default_project_id" in asked else before.default_project_id
                ),
                extra=merged(before.extra, asked.others(_KNOWN)),
                options=changed_options(before.options, asked, USER_OPTIONS),
                federated=_federated(asked) if "federated" in asked else before.federated,
            )

        linked = edit(present).federated  # what is malformed is refused before a hash is worked out
        await _require_own_providers(call, present.domain_id, set(linked) - set(present.federated))
        password = None if asked.value("password") is None else asked.text("password")
        return await call.service.administration.update_user(id_, edit, password=password)

    async def gone(self, call: Call, id_: str) -> None:
        refuse_directory(call.snapshot.users.get(id_))
        await call.service.administration.delete_user(id_)


def user_target(user: User) -> Target:
    """What policy may ask about a user."""
    return {"target.user.id": user.id, "target.user.domain_id": user.domain_id, "user_id": user.id}


def _default_project(call: Call, asked: Fields) -> str:
    """Raises InvalidError for a domain, which is none."""
    id_ = asked.text_or("default_project_id", "")
    if call.snapshot.domains.get(id_) is not None:
        raise InvalidError("user.default_project_id: a domain is no project")
    return id_


def _federated(asked: Fields) -> tuple[tuple[str, str, str], ...]:
    if asked.value("federated") is None:
        return ()
    return tuple(
        (provider.text("idp_id"), protocol.text("protocol_id"), protocol.text("unique_id"))
        for provider in asked.objects("federated")
        for protocol in provider.objects("protocols")
    )


async def _require_own_providers(call: Call, domain_id: str, links: Iterable[tuple[str, str, str]]) -> None:
    """Raises ForbiddenError where whoever looks after one domain links a user to another one's provider: what it gives
    to somebody else would be that user's."""
    if call.policy.decide("identity:update_user", await call.credentials(), {}):
        return
    for provider_id, _, _ in links:
        provider = call.snapshot.identity_providers.get(provider_id)
        if provider is None or provider.domain_id != domain_id:
            raise ForbiddenError("a user is linked to providers of the same domain")


def _federated_row(user: User) -> list[dict[str, Any]]:
    providers: dict[str, list[dict[str, str]]] = {}
    for provider_id, protocol_id, unique_id in user.federated:
        providers.setdefault(provider_id, []).append({"protocol_id": protocol_id, "unique_id": unique_id})
    return [{"idp_id": id_, "protocols": protocols} for id_, protocols in providers.items()]
