"""What lets somebody in besides a password: credentials, application credentials, trusts, OAuth 1.0a.

Times are whole seconds since the epoch, 0 for never.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authn.records.kind import Concerns, Kind, record_codec


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's secret, of type `ec2`, `totp`, `cert` or any other. `sealed` is its blob under the credential keys."""

    id: str
    user_id: str
    type: str
    sealed: bytes
    project_id: str = ""
    extra: str = "{}"
    used_step: int = 0
    """Of type `totp`: the 30 s since the epoch that the last passcode accepted was for; none up to it is any more."""

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """A part of its user's rights in one project, for a program. `secret_hash` is of the only secret, told once."""

    id: str
    name: str
    user_id: str
    project_id: str
    secret_hash: str
    role_ids: tuple[str, ...]
    expires_us: int = 0
    """In microseconds: clients are told what they asked for."""
    unrestricted: bool = False
    description: str = ""
    access_rule_ids: tuple[str, ...] = ()

    @property
    def unique_name(self) -> tuple[str, str]:
        return self.user_id, self.name

    @property
    def expires_s(self) -> int:
        return self.expires_us // 1_000_000


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One request that an application credential may make. `path` may hold `*`, `**` and `{name}`."""

    id: str
    user_id: str
    service: str
    method: str
    path: str

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Trust:
    """A trustor lets a trustee act with some of its roles in a project."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str
    role_ids: tuple[str, ...]
    impersonation: bool
    expires_s: int = 0
    remaining_uses: int = -1
    """-1 for as many as one likes."""
    allow_redelegation: bool = False
    redelegation_count: int = 0
    redelegated_trust_id: str = ""
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Consumer:
    """A program that users may let act for them (OAuth 1.0a). Its secret has to be known to check signatures."""

    id: str
    sealed_secret: bytes
    description: str = ""
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class RequestToken:
    """A consumer asks; with `verifier` a user has said yes."""

    id: str
    sealed_secret: bytes
    consumer_id: str
    requested_project_id: str
    expires_s: int
    verifier: str = ""
    authorizing_user_id: str = ""
    role_ids: tuple[str, ...] = ()

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A consumer may act for the user with these roles in the project."""

    id: str
    sealed_secret: bytes
    consumer_id: str
    authorizing_user_id: str
    project_id: str
    role_ids: tuple[str, ...]
    expires_s: int = 0

    @property
    def unique_name(self) -> None:
        return None


CREDENTIAL: Final[Kind[Credential]] = Kind("credential", "credential", record_codec("credential", Credential))
APPLICATION_CREDENTIAL: Final[Kind[ApplicationCredential]] = Kind(
    "application-credential",
    "application credential",
    record_codec("application credential", ApplicationCredential),
    Concerns.ITSELF,
)
ACCESS_RULE: Final[Kind[AccessRule]] = Kind("access-rule", "access rule", record_codec("access rule", AccessRule))
TRUST: Final[Kind[Trust]] = Kind("trust", "trust", record_codec("trust", Trust), Concerns.ITSELF)
CONSUMER: Final[Kind[Consumer]] = Kind("consumer", "consumer", record_codec("consumer", Consumer))
REQUEST_TOKEN: Final[Kind[RequestToken]] = Kind(
    "request-token", "request token", record_codec("request token", RequestToken)
)
ACCESS_TOKEN: Final[Kind[AccessToken]] = Kind(
    "access-token", "access token", record_codec("access token", AccessToken), Concerns.ITSELF
)
