"""How a directory is reached and read: the options of the section [ldap] of a domain's configuration, as stock Keystone
names them and with its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from authn.backends.option_values import (
    Reader,
    attribute,
    boolean,
    integer,
    one_of,
    optional_attribute,
    search_filter,
    text,
    word,
)
from store.core.errors import InvalidError

DEFAULT_TIMEOUT_S: Final = 10
"""Where the configuration says -1, which is "for ever" in stock Keystone. Nobody here waits for ever."""


def _option(read: Reader, default: object, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"read": read}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapOptions:
    """The options. Texts that are empty are not set; times are in seconds. Make one with `parse`."""

    url: str = _option(text, "ldap://localhost")
    user: str = _option(text, "")
    password: str = _option(text, "", secret=True)
    suffix: str = _option(text, "cn=example,cn=com")
    query_scope: str = _option(one_of(("one", "sub")), "one")
    page_size: int = _option(integer(0, 10_000), 0)
    alias_dereferencing: str = _option(one_of(("default", "never", "searching", "always", "finding")), "default")

    user_tree_dn: str = _option(text, "")
    user_filter: str = _option(search_filter, "")
    user_objectclass: str = _option(attribute, "inetOrgPerson")
    user_id_attribute: str = _option(attribute, "cn")
    user_name_attribute: str = _option(attribute, "sn")
    user_description_attribute: str = _option(optional_attribute, "description")
    user_mail_attribute: str = _option(optional_attribute, "mail")
    user_enabled_attribute: str = _option(optional_attribute, "enabled")
    user_enabled_invert: bool = _option(boolean, False)
    user_enabled_mask: int = _option(integer(0, 2**31 - 1), 0)
    user_enabled_default: str = _option(word, "True")

    group_tree_dn: str = _option(text, "")
    group_filter: str = _option(search_filter, "")
    group_objectclass: str = _option(attribute, "groupOfNames")
    group_id_attribute: str = _option(attribute, "cn")
    group_name_attribute: str = _option(attribute, "ou")
    group_desc_attribute: str = _option(optional_attribute, "description")
    group_member_attribute: str = _option(attribute, "member")
    group_members_are_ids: bool = _option(boolean, False)
    group_ad_nesting: bool = _option(boolean, False)

    use_tls: bool = _option(boolean, False)
    tls_cacertfile: str = _option(text, "")
    tls_cacertdir: str = _option(text, "")
    tls_req_cert: str = _option(one_of(("demand", "never", "allow")), "demand")

    connection_timeout: int = _option(integer(-1, 600), -1)
    use_pool: bool = _option(boolean, True)
    pool_size: int = _option(integer(1, 1_000), 10)
    pool_connection_lifetime: int = _option(integer(1, 86_400), 600)

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> LdapOptions:
        """Raises InvalidError, which names the option. None is as if the option were not given."""
        known = {each.name: each.metadata["read"] for each in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name in known:
                if value is not None:
                    values[name] = known[name](name, value)
            elif name not in _WITHOUT_MEANING and not _is_as_if_absent(name, value):
                why = "is not supported here" if name in _ABSENT else "is not known"
                raise InvalidError(f"the option {name} of [ldap] {why}")
        made = cls(**values)
        made._require_coherent()
        return made

    def _require_coherent(self) -> None:
        for url in self.urls:
            if not _is_address(url):
                raise InvalidError("url is to be one or more of ldap://host:port and ldaps://host:port, with commas")
        if not self.urls:
            raise InvalidError("url is missing")
        if self.use_tls and any(url.startswith("ldaps:") for url in self.urls):
            raise InvalidError("use_tls is for ldap:// and must not be set with ldaps://")
        if self.user and not self.password:
            # Such a bind succeeds, as nobody: what is then found, or not, would look like the truth.
            raise InvalidError("user is set without password")
        if self.user_enabled_mask and not re.fullmatch(r"[0-9]{1,10}", self.user_enabled_default):
            raise InvalidError("user_enabled_default is to be a whole number with user_enabled_mask (often 512)")

    @property
    def urls(self) -> tuple[str, ...]:
        """In the order in which they are tried."""
        return tuple(url for url in re.split(r"[\s,]+", self.url) if url)

    @property
    def users_dn(self) -> str:
        return self.user_tree_dn or f"ou=Users,{self.suffix}"

    @property
    def groups_dn(self) -> str:
        return self.group_tree_dn or f"ou=UserGroups,{self.suffix}"

    @property
    def timeout_s(self) -> int:
        """How long an answer is waited for."""
        return DEFAULT_TIMEOUT_S if self.connection_timeout < 1 else self.connection_timeout


def _is_address(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - raises for what is no port
    except ValueError:
        return False
    return re.fullmatch(r"ldaps?://[^\s/?#@]+/?", url) is not None


_WITHOUT_MEANING: Final = frozenset(
    {
        "auth_pool_connection_lifetime",
        "auth_pool_size",
        "debug_level",
        "group_attribute_ignore",
        "pool_connection_timeout",
        "pool_retry_delay",
        "pool_retry_max",
        "use_auth_pool",
        "user_pass_attribute",
    }
)
"""Stock options that say how stock Keystone writes, retries or logs: they change nothing in what is found."""

_ABSENT: Final[Mapping[str, tuple[object, ...]]] = {
    "chase_referrals": (False, "false", "False"),
    "group_additional_attribute_mapping": ([], ""),
    "randomize_urls": (False, "false", "False"),
    "user_additional_attribute_mapping": ([], ""),
    "user_attribute_ignore": ([], "", ["default_project_id"], "default_project_id"),
    "user_default_project_id_attribute": ("",),
    "user_enabled_emulation": (False, "false", "False"),
    "user_enabled_emulation_dn": ("",),
    "user_enabled_emulation_use_group_config": (False, "false", "False"),
}
"""Stock options that change what is found and are not there yet, each with the values that ask for nothing."""


def _is_as_if_absent(name: str, value: object) -> bool:
    return name in _ABSENT and (value is None or value in _ABSENT[name])
