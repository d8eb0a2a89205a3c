"""What has no meaning without a user, a group, a project or a role, and so goes with it: as keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from authn import keys
from authn.keys import GROUP_ACTOR, MEMBER, PROJECT_TARGET, USER_ACTOR, Link
from authn.records import Kind, R
from authn.records.credentials import ACCESS_RULE, ACCESS_TOKEN, APPLICATION_CREDENTIAL, CREDENTIAL, TRUST
from authn.records.federation import FEDERATION_PROTOCOL
from authn.records.settings import LIMIT
from authn.snapshot import IdentitySnapshot


def with_user(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """Roles held, places in groups, and what lets anybody act as the user."""
    yield from map(keys.assignment, snapshot.held.of_actor(USER_ACTOR, id_))
    yield from (keys.link(Link(MEMBER, group, id_)) for group in snapshot.links.ones(MEMBER, id_))
    yield from _records(CREDENTIAL, (one for one in snapshot.credentials if one.user_id == id_))
    yield from _records(APPLICATION_CREDENTIAL, (one for one in snapshot.application_credentials if one.user_id == id_))
    yield from _records(ACCESS_RULE, (one for one in snapshot.access_rules if one.user_id == id_))
    yield from _records(TRUST, (one for one in snapshot.trusts if id_ in (one.trustor_user_id, one.trustee_user_id)))
    yield from _records(ACCESS_TOKEN, (one for one in snapshot.access_tokens if one.authorizing_user_id == id_))


def with_group(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """Roles held, and who is in it."""
    yield from map(keys.assignment, snapshot.held.of_actor(GROUP_ACTOR, id_))
    yield from (keys.link(Link(MEMBER, id_, user)) for user in snapshot.links.others(MEMBER, id_))


def with_project(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """Roles held in it, its limits, what lets anybody act in it, which endpoints it is told of."""
    yield from map(keys.assignment, snapshot.held.in_target(PROJECT_TARGET, id_))
    yield from _records(CREDENTIAL, (one for one in snapshot.credentials if one.project_id == id_))
    yield from _records(
        APPLICATION_CREDENTIAL, (one for one in snapshot.application_credentials if one.project_id == id_)
    )
    yield from _records(TRUST, (one for one in snapshot.trusts if one.project_id == id_))
    yield from _records(ACCESS_TOKEN, (one for one in snapshot.access_tokens if one.project_id == id_))
    yield from _records(LIMIT, (one for one in snapshot.limits if one.project_id == id_))
    for kind in (keys.ENDPOINT_OF_PROJECT, keys.ENDPOINT_GROUP_OF_PROJECT):
        yield from (keys.link(Link(kind, id_, other)) for other in snapshot.links.others(kind, id_))


def limits_of_domain(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """The limits of the domain itself."""
    yield from _records(LIMIT, (one for one in snapshot.limits if one.domain_id == id_))


def with_identity_provider(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """Its protocols. The users it vouched for, and their domain, stay."""
    yield from _records(FEDERATION_PROTOCOL, (one for one in snapshot.protocols if one.provider_id == id_))


def with_role(snapshot: IdentitySnapshot, id_: str) -> Iterator[bytes]:
    """Wherever it is held."""
    yield from (keys.assignment(held) for held in snapshot.held if held.role_id == id_)


def _records(kind: Kind[R], records: Iterable[R]) -> Iterator[bytes]:
    """Records with their names."""
    for record in records:
        yield keys.record(kind, record.id)
        if record.unique_name is not None:
            yield keys.name(kind, record.unique_name)
