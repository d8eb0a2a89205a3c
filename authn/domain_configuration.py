"""What a domain's configuration says of where its users are, secrets included, and whether that can be meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from authn.backends.ldap_options import LdapOptions
from authn.backends.opening import LDAP
from authn.records.settings import DomainConfig
from authn.vault import Vault
from store.core.errors import InvalidError

SQL: Final = "sql"
"""What the option `driver` of the section [identity] says where users are kept here, as stock keystone calls it."""

Options = dict[str, dict[str, Any]]
"""Options by group."""


def opened(vault: Vault, config: DomainConfig) -> Options:
    """All options of a configuration. Raises UnreadableError where its secrets cannot be opened."""
    options: Options = json.loads(config.options)
    if config.sealed_options:
        for group, secrets in json.loads(vault.open(config.sealed_options)).items():
            options.setdefault(group, {}).update(secrets)
    return options


def driver_of(options: Mapping[str, Mapping[str, Any]]) -> object:
    """Where the domain's users are."""
    return options.get("identity", {}).get("driver") or SQL


def require_sensible(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises InvalidError, which names the option, for a configuration that could never work.

    Two things pass that cannot work: a driver that is not known here, and a URL that is none of a directory. Stock
    keystone's own test suite stores both; such a directory is away until it has others.
    """
    driver = driver_of(options)
    if not isinstance(driver, str):
        raise InvalidError(f"config.identity.driver: a text, such as {LDAP} or {SQL}")
    if driver == LDAP:
        given = dict(options.get("ldap", {}))
        url = given.get("url")
        if isinstance(url, str) and not url.strip().startswith("ldap"):
            del given["url"]
        try:
            LdapOptions.parse(given)
        except InvalidError as error:
            raise InvalidError(f"config.ldap: {error}") from error
