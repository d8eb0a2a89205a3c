"""`drystone keys`: the keys of identity, made anew, straight over the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click
import trio

from authn import secret_rotation, token_keys
from authn.directory import Directory
from drystone.identity_commands import IdentityAccess
from store.core.entropy import SystemRandom
from store.core.errors import DrystoneError
from store.registry import Registry


def key_group() -> click.Group:
    """The group `keys`; its context's `obj` must be an IdentityAccess."""
    group = click.Group("keys", help="The keys that tokens, and stored secrets, are sealed with.")
    group.add_command(rotate_tokens)
    group.add_command(rotate_credentials)
    return group


@click.command("rotate-tokens")
@click.option(
    "--keep",
    type=click.IntRange(min=token_keys.ACTIVE_KEYS_MIN, max=64),
    default=token_keys.ACTIVE_KEYS_MIN,
    show_default=True,
    help="How many keys there are afterwards: the next one, the one that seals, and those that only open.",
)
@click.pass_obj
def rotate_tokens(access: IdentityAccess, keep: int) -> None:
    """Seal new tokens with a new key.

    Tokens of before stay good as long as their key is kept: with 3 keys until the next rotation, so wait for as long as
    a token lasts (an hour) before that. Servers need no restart.
    """

    async def work(registry: Registry) -> str:
        held = await token_keys.rotate(registry, SystemRandom(), active=keep)
        return f"Tokens are sealed with key {max(held.by_number)}; {len(held.by_number)} keys are kept."

    _run(access, work)


@click.command("rotate-credentials")
@click.pass_obj
def rotate_credentials(access: IdentityAccess) -> None:
    """Seal all stored secrets (EC2 keys, seeds of passcodes, OAuth secrets, passwords of directories) with a new key.

    Nothing has to be told to anybody; servers need no restart. The key of before is forgotten by the next rotation.
    """

    async def work(registry: Registry) -> str:
        directory = Directory(registry)
        await directory.load()
        done = await secret_rotation.rotate(directory, SystemRandom())
        said = f"{done.secrets} secrets are sealed with the new key."
        return said + (f" {done.lost} could not be opened, and were left as they are." if done.lost else "")

    _run(access, work)


def _run(access: IdentityAccess, work: Callable[[Registry], Awaitable[str]]) -> None:
    async def main() -> str:
        async with access.registry() as registry:
            return await work(registry)

    try:
        click.echo(trio.run(main))
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error
