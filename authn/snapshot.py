"""Identity's part of the registry as dictionaries: what every question is answered from. Pure, but for the time, by
which some memberships end; `directory` feeds it.

What is stored in a form that is not known here, by a newer program, gives nobody any right: the record is not there for
whoever looks for it, and refused in plain words to whoever needs it. Everything else works on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from authn import token_keys
from authn.keys import MEMBER, USER_ACTOR, Assignment, Link
from authn.records import (
    DOMAIN,
    ENDPOINT,
    ENDPOINT_GROUP,
    GROUP,
    PROJECT,
    REGION,
    ROLE,
    SERVICE,
    USER,
    Concerns,
    R,
)
from authn.records.credentials import (
    ACCESS_RULE,
    ACCESS_TOKEN,
    APPLICATION_CREDENTIAL,
    CONSUMER,
    CREDENTIAL,
    REQUEST_TOKEN,
    TRUST,
)
from authn.records.federation import FEDERATION_PROTOCOL, IDENTITY_PROVIDER, MAPPING, SERVICE_PROVIDER
from authn.records.settings import DOMAIN_CONFIG, LIMIT, POLICY_BLOB, REGISTERED_LIMIT
from authn.relations import Assignments, Links
from authn.table import Table
from authn.token_keys import TokenKeys
from store.core.clock import Clock
from store.core.codec import Codec
from store.core.errors import DamageError

ASSIGNMENT_CODEC: Final = Codec[None]("role assignment", 1, lambda _: (), {1: lambda _: None})
LINK_CODEC: Final = Codec[None]("link", 1, lambda _: (), {1: lambda _: None})
REVOKED_CODEC: Final = Codec[int](
    "revoked token", 1, lambda expires_s: (expires_s,), {1: lambda fields: int(fields[0])}
)

FOREVER_S: Final = 1 << 62
"""The end of a token that was given back, where it cannot be read when that is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """Whom a change of the registry concerns: an id that tokens name, of a user, project or such, or a token's audit
    id; None: everybody."""

    concerns: str | None


class IdentitySnapshot:
    """Everything at one revision of the registry, and what was written here since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tables: dict[str, Table[Any]] = {}
        self.domains = self._table(Table(DOMAIN))
        self.projects = self._table(Table(PROJECT))
        self.users = self._table(Table(USER, lambda user: (user.domain_id, user.name)))
        self.groups = self._table(Table(GROUP))
        self.roles = self._table(Table(ROLE))
        self.regions = self._table(Table(REGION))
        self.services = self._table(Table(SERVICE))
        self.endpoints = self._table(Table(ENDPOINT))
        self.endpoint_groups = self._table(Table(ENDPOINT_GROUP))
        self.credentials = self._table(Table(CREDENTIAL))
        self.application_credentials = self._table(Table(APPLICATION_CREDENTIAL))
        self.access_rules = self._table(Table(ACCESS_RULE))
        self.trusts = self._table(Table(TRUST))
        self.consumers = self._table(Table(CONSUMER))
        self.request_tokens = self._table(Table(REQUEST_TOKEN))
        self.access_tokens = self._table(Table(ACCESS_TOKEN))
        self.identity_providers = self._table(Table(IDENTITY_PROVIDER))
        self.mappings = self._table(Table(MAPPING))
        self.protocols = self._table(Table(FEDERATION_PROTOCOL))
        self.service_providers = self._table(Table(SERVICE_PROVIDER))
        self.registered_limits = self._table(Table(REGISTERED_LIMIT))
        self.limits = self._table(Table(LIMIT))
        self.domain_configs = self._table(Table(DOMAIN_CONFIG))
        self.policy_blobs = self._table(Table(POLICY_BLOB))
        self.held = Assignments()
        self.links = Links()
        self.federated: dict[bytes, str] = {}
        """Users' ids, by what others know them by (`keys.federated`)."""
        self.token_keys: TokenKeys | None = None
        self.credential_keys: TokenKeys | None = None
        self.revoked: dict[str, int] = {}
        self.revisions: dict[bytes, int] = {}
        self.unreadable: dict[bytes, str] = {}
        """Why, by key, what is stored cannot be used here."""

    def _table(self, table: Table[R]) -> Table[R]:
        self._tables[table.kind.name] = table
        return table

    def revision(self, key: bytes) -> int:
        """Where the key was last put, 0 where it is not."""
        return self.revisions.get(key, 0)

    def apply(self, key: bytes, value: bytes | None, revision: int) -> Change | None:
        """Take in one change, None for a deletion. Whom it concerns; None where nobody's rights depend on it."""
        if value is None:
            self.revisions.pop(key, None)
        else:
            self.revisions[key] = revision
        if self.unreadable:
            self.unreadable.pop(key, None)
        match key.decode().split("/")[1:]:
            case [kind, id_] if kind in self._tables:
                return self._store(self._tables[kind], unquote(id_), key, value)
            case ["name", "federated", _]:
                if value is None:
                    self.federated.pop(key, None)
                else:
                    self.federated[key] = value.decode(errors="replace")
                return None
            case ["name", _, _]:
                return None  # only transactions look at these
            case ["assignment", target, target_id, actor, actor_id, role_id, *rest] if rest in ([], ["inherited"]):
                held = Assignment(actor_id, target_id, role_id, actor, target, bool(rest))
                self._read(ASSIGNMENT_CODEC, key, value)
                self.held.store(held, value is not None and key not in self.unreadable)
                return Change(actor_id if actor == USER_ACTOR else None)
            case ["link", kind, one, other]:
                link = Link(kind, unquote(one), unquote(other))
                self._read(LINK_CODEC, key, value)
                self.links.store(link, value is not None and key not in self.unreadable)
                return Change(link.other) if kind == MEMBER else None
            case ["revoked", audit_id]:
                self._revoke(audit_id, key, value)
                return Change(audit_id)
            case ["token-keys"]:
                self.token_keys = self._read(token_keys.CODEC, key, value)
                return Change(None)
            case ["credential-keys"]:
                self.credential_keys = self._read(token_keys.CODEC, key, value)
                return None
        if value is not None:
            self.unreadable[key] = "no key of identity is known to be so; a newer program wrote it"
        return None

    def _read(self, codec: Codec[T], key: bytes, value: bytes | None) -> T | None:
        """The value; None where there is none, or none that is known here."""
        if value is None:
            return None
        try:
            return codec.decode(value)
        except DamageError as error:
            self.unreadable[key] = str(error)
            return None

    def _store(self, table: Table[R], id_: str, key: bytes, value: bytes | None) -> Change | None:
        table.store(id_, self._read(table.kind.codec, key, value), self.unreadable.get(key, ""))
        match table.kind.concerns:
            case Concerns.NOBODY:
                return None
            case Concerns.ITSELF:
                return Change(id_)
            case Concerns.EVERYBODY:
                return Change(None)

    def _revoke(self, audit_id: str, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.revoked.pop(audit_id, None)
        else:
            expires_s = self._read(REVOKED_CODEC, key, value)
            self.revoked[audit_id] = FOREVER_S if expires_s is None else expires_s

    # -- questions -----------------------------------------------------------------------------------------------

    def domain_enabled(self, domain_id: str) -> bool:
        domain = self.domains.get(domain_id)
        return domain is not None and domain.enabled

    def groups_of(self, user_id: str) -> list[str]:
        """The ids of the groups that the user is in, also those that a provider's word still counts for."""
        ids = {*self.links.ones(MEMBER, user_id), *self.stated_groups(user_id)}
        return [id_ for id_ in ids if self.groups.get(id_) is not None]

    def stated_groups(self, user_id: str) -> dict[str, int]:
        """The groups that the user is in for a while, as a provider has said, and when that ends, in seconds."""
        user, found = self.users.get(user_id), dict[str, int]()
        for provider_id, epoch, group_id, said_s in user.stated_groups if user is not None else ():
            provider = self.identity_providers.get(provider_id)
            if provider is None or provider.epoch != epoch:
                continue  # disabled since, or another of the same name: its word ended then
            ends_s = said_s + (provider.authorization_ttl or 0) * 60
            if ends_s * 1_000_000 > self._clock.wall_us():
                found[group_id] = max(ends_s, found.get(group_id, 0))
        return found
