"""The commands, over a registry that outlives each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
from click.testing import CliRunner, Result

from authn.bootstrap import bootstrap
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP, PasswordHasher
from authn.service import IdentityService
from drystone.identity_commands import project_group, user_group
from store.core.clock import SystemClock
from store.registry import Registry, memory_registry


@dataclass
class Access:
    held: Registry

    @asynccontextmanager
    async def registry(self) -> AsyncIterator[Registry]:
        yield self.held


@pytest.fixture
def access(monkeypatch: pytest.MonkeyPatch) -> Access:
    monkeypatch.setattr("authn.operator.PasswordHasher", lambda _: PasswordHasher(CHEAP))
    return Access(memory_registry(SystemClock()))


@pytest.fixture
def furnished(access: Access) -> Access:
    async def main() -> None:
        await bootstrap(access.held, password="secret", hasher=PasswordHasher(CHEAP))

    trio.run(main)
    return access


def user(access: Access, *arguments: str) -> Result:
    return CliRunner().invoke(user_group(), arguments, obj=access)


def project(access: Access, *arguments: str) -> Result:
    return CliRunner().invoke(project_group(), arguments, obj=access)


def lets_in(access: Access, name: str, password: str) -> bool:
    async def main() -> bool:
        service = IdentityService(access.held)
        await service.directory.load()
        try:
            await service.login.by_name(name, password)
        except UnauthorizedError:
            return False
        return True

    return trio.run(main)


def test_a_user_from_the_first_day_to_the_last(furnished: Access) -> None:
    assert project(furnished, "add", "quarry").exit_code == 0
    added = user(furnished, "add", "ann", "-p", "quarry")
    assert added.exit_code == 0
    assert lets_in(furnished, "ann", added.output.split()[-1])
    assert user(furnished, "grant", "ann", "-p", "quarry", "-r", "RESELLERADMIN").exit_code == 0
    listed = user(furnished, "list").output
    assert "ann  ResellerAdmin in quarry, member in quarry" in listed
    assert "admin  admin in admin" in listed
    assert user(furnished, "revoke", "ann", "-p", "quarry", "-r", "member").exit_code == 0
    assert "member in quarry" not in user(furnished, "list").output
    changed = user(furnished, "passwd", "ann", "--password", "better")
    assert "better" not in changed.output
    assert lets_in(furnished, "ann", "better")
    assert "quarry  1 users" in project(furnished, "list").output
    assert user(furnished, "remove", "ann").exit_code == 0
    assert not lets_in(furnished, "ann", "better")
    assert project(furnished, "remove", "quarry").exit_code == 0
    assert "quarry" not in project(furnished, "list").output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "ann", "-p", "none"), "there is no project none"),
        (("add", "ann", "-p", "admin", "-r", "king"), "there is no role king"),
        (("add", "admin", "-p", "admin"), "Duplicate entry"),
        (("add", " ", "-p", "admin"), "not only blanks"),
        (("remove", "ann"), "there is no user ann"),
        (("passwd", "ann"), "there is no user ann"),
        (("revoke", "admin", "-p", "admin", "-r", "service"), "Could not find role assignment"),
    ],
)
def test_what_cannot_be_is_said(furnished: Access, arguments: tuple[str, ...], told: str) -> None:
    result = user(furnished, *arguments)
    assert result.exit_code == 1
    assert told in result.output


def test_nothing_before_the_bootstrap(access: Access) -> None:
    assert "no identity in this registry yet" in user(access, "list").output
