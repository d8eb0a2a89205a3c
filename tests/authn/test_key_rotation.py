"""`drystone keys`: keys made anew, with what they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from click.testing import CliRunner, Result
from trio.testing import wait_all_tasks_blocked

from authn import keys, secret_rotation
from authn.bootstrap import bootstrap
from authn.directory import Directory
from authn.errors import UnreadableError
from authn.hashing import CHEAP, PasswordHasher
from authn.records.credentials import (
    ACCESS_TOKEN,
    CONSUMER,
    CREDENTIAL,
    REQUEST_TOKEN,
    AccessToken,
    Consumer,
    Credential,
    RequestToken,
)
from authn.records.settings import DOMAIN_CONFIG, DomainConfig
from authn.service import IdentityService
from authn.vault import Vault
from drystone.key_commands import key_group
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError
from store.registry import Put, Registry, memory_registry
from tests.authn.conftest import PASSWORD, Cloud
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry

CREDENTIALS = 12
"""More than one transaction seals anew."""


async def keep_secrets(cloud: Cloud) -> None:
    """One of each kind, and more credentials."""
    seal, administration = cloud.service.vault.seal, cloud.service.administration
    for number in range(CREDENTIALS):
        record = Credential(f"c{number}", "ann", "cert", seal(b"credential"))
        await administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, record)
    consumer = Consumer("o", seal(b"consumer"))
    await administration.create(CONSUMER, lambda snapshot: snapshot.consumers, consumer)
    asking = RequestToken("r", seal(b"request"), "o", "p", 0)
    await administration.create(REQUEST_TOKEN, lambda snapshot: snapshot.request_tokens, asking)
    access = AccessToken("a", seal(b"access"), "o", "ann", "p", ())
    await administration.create(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, access)
    for id_, sealed in (("default", seal(b"{}")), ("open", b"")):
        config = DomainConfig(id_, "{}", sealed)
        await administration.create(DOMAIN_CONFIG, lambda snapshot: snapshot.domain_configs, config)


def told(directory: Directory) -> set[bytes]:
    """All secrets, opened."""
    snapshot, vault = directory.snapshot, Vault(directory)
    return {
        *(vault.open(record.sealed) for record in snapshot.credentials),
        *(vault.open(record.sealed_secret) for record in snapshot.consumers),
        *(vault.open(record.sealed_secret) for record in snapshot.request_tokens),
        *(vault.open(record.sealed_secret) for record in snapshot.access_tokens),
        *(vault.open(record.sealed_options) for record in snapshot.domain_configs if record.sealed_options),
    }


SECRETS = {b"credential", b"consumer", b"request", b"access", b"{}"}


async def rotate(registry: Registry) -> secret_rotation.Rotated:
    directory = Directory(registry)
    await directory.load()
    return await secret_rotation.rotate(directory, SystemRandom())


async def test_everything_is_sealed_with_the_new_key(cloud: Cloud) -> None:
    await keep_secrets(cloud)
    before = cloud.service.snapshot.credential_keys
    assert before is not None
    assert await rotate(cloud.registry) == secret_rotation.Rotated(CREDENTIALS + 4, 0)
    await wait_all_tasks_blocked()
    assert told(cloud.service.directory) == SECRETS
    after = cloud.service.snapshot.credential_keys
    assert after is not None
    assert after.by_number[max(after.by_number)] == before.by_number[0]
    for _ in range(2):
        await rotate(cloud.registry)
    await wait_all_tasks_blocked()
    assert told(cloud.service.directory) == SECRETS
    kept = cloud.service.snapshot.credential_keys
    assert kept is not None
    assert not set(kept.by_number.values()) & set(before.by_number.values()), "keys of long ago are gone"
    assert len(kept.by_number) == 3


async def test_what_a_process_seals_that_has_not_heard_of_it_is_not_lost(cloud: Cloud, nursery: trio.Nursery) -> None:
    late = await cloud.another(nursery)
    late.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
    await rotate(cloud.registry)
    record = Credential("c", "ann", "cert", late.vault.seal(b"credential"))
    await late.administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, record)
    await wait_all_tasks_blocked()
    assert told(cloud.service.directory) == {b"credential"}
    await rotate(cloud.registry)
    await rotate(cloud.registry)
    await wait_all_tasks_blocked()
    assert told(cloud.service.directory) == {b"credential"}


async def test_a_late_process_opens_what_is_sealed_with_the_new_key(cloud: Cloud, nursery: trio.Nursery) -> None:
    late = await cloud.another(nursery)
    held = late.snapshot.credential_keys
    await rotate(cloud.registry)
    await wait_all_tasks_blocked()
    sealed = cloud.service.vault.seal(b"secret")
    late.directory.snapshot.credential_keys = held
    assert late.vault.open(sealed) == b"secret"


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("writes", range(7))  # as many as it makes
async def test_whenever_it_dies_nothing_is_lost(cloud: Cloud, writes: int, answered: bool) -> None:
    await keep_secrets(cloud)
    with pytest.raises(DeadError):
        await rotate(MortalRegistry(cloud.registry, writes, answered=answered))
    await wait_all_tasks_blocked()
    assert told(cloud.service.directory) == SECRETS
    for _ in range(2):
        await rotate(cloud.registry)
        await wait_all_tasks_blocked()
        assert told(cloud.service.directory) == SECRETS


async def test_a_secret_that_no_key_opens_is_told_and_left(cloud: Cloud) -> None:
    record = Credential("c", "ann", "cert", b"gAAAA")
    await cloud.service.administration.create(CREDENTIAL, lambda snapshot: snapshot.credentials, record)
    assert await rotate(cloud.registry) == secret_rotation.Rotated(0, 1)
    await wait_all_tasks_blocked()
    with pytest.raises(UnreadableError):
        told(cloud.service.directory)


async def test_what_a_newer_program_wrote_is_not_risked(cloud: Cloud) -> None:
    await cloud.registry.transact((), [Put(keys.record(CREDENTIAL, "c"), b"\x92\xcc\xff\x00")])
    with pytest.raises(ConflictError, match="cannot be read here"):
        await rotate(cloud.registry)


async def test_two_at_once_are_one(cloud: Cloud) -> None:
    first, second = Directory(cloud.registry), Directory(cloud.registry)
    await first.load()
    await second.load()
    await secret_rotation.rotate(first, SystemRandom())
    with pytest.raises(ConflictError, match="at the same time"):
        await secret_rotation.rotate(second, SystemRandom())


# -- the commands ----------------------------------------------------------------------------------------------------


class Access:
    def __init__(self) -> None:
        self.held: Registry = memory_registry(SystemClock())

    @asynccontextmanager
    async def registry(self) -> AsyncIterator[Registry]:
        yield self.held

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(key_group(), arguments, obj=self)


def test_the_commands() -> None:
    access = Access()
    for command in ("rotate-tokens", "rotate-credentials"):
        assert "no" in (refused := access.run(command)).output
        assert refused.exit_code == 1

    async def main() -> None:
        await bootstrap(access.held, password=PASSWORD, hasher=PasswordHasher(CHEAP))

    trio.run(main)
    assert access.run("rotate-tokens").output == "Tokens are sealed with key 2; 3 keys are kept.\n"
    assert access.run("rotate-tokens", "--keep", "4").output == "Tokens are sealed with key 3; 4 keys are kept.\n"
    assert access.run("rotate-tokens").output == "Tokens are sealed with key 4; 3 keys are kept.\n"
    assert access.run("rotate-tokens", "--keep", "2").exit_code == 2
    assert access.run("rotate-credentials").output == "0 secrets are sealed with the new key.\n"


async def test_a_running_server_goes_on(cloud: Cloud) -> None:
    """Tokens of before, and such as are made by the new key."""
    token = await cloud.admin_token()
    assert isinstance(cloud.service, IdentityService)
    await rotate(cloud.registry)
    await wait_all_tasks_blocked()
    assert await cloud.service.identify(token) is not None, "tokens have keys of their own"
