"""One directory for all tests that only read it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from authn.backends.ldap import LdapBackend
from authn.backends.ldap_options import LdapOptions
from tests.authn.backends.directory import READER, READER_PASSWORD, SUFFIX, OpenLdap, running
from tests.authn.backends.entries import ldif

Opened = Callable[..., LdapBackend]


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    folder: Path = tmp_path_factory.mktemp("openldap")
    with running(folder, ldif()) as started:
        yield started


@pytest.fixture
async def opened(directory: OpenLdap) -> AsyncIterator[Opened]:
    """Makes back ends of the domain `d1` over the directory, with whatever options."""
    made: list[LdapBackend] = []

    def make(**options: object) -> LdapBackend:
        usual = {
            "url": directory.url,
            "user": READER,
            "password": READER_PASSWORD,
            "suffix": SUFFIX,
            "user_enabled_attribute": "employeeType",
            "tls_cacertfile": str(directory.authority),
        }
        made.append(LdapBackend("d1", LdapOptions.parse(usual | options)))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
