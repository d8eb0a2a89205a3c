"""`drystone auth`: whether logins by others' word will work, before anybody tries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import trio

from authn.directory import Directory
from authn.federation.config import FederationConfig
from authn.federation.provider import OpenIDProvider
from authn.federation.provider_checks import Check, ProviderChecks
from authn.federation.provider_http import provider_connections
from authn.way_checks import way_checks
from drystone.identity_commands import IdentityAccess
from drystone.identity_file import read_identity_file
from store.core.clock import SystemClock
from store.core.errors import DrystoneError, InvalidError, NotFoundError

_SIGNS: Mapping[bool | None, str] = {True: "ok  ", False: "FAIL", None: "-   "}


def auth_group() -> click.Group:
    """The group `auth`; its context's `obj` must be an IdentityAccess."""
    group = click.Group("auth", help="Logins by others' word: OpenID providers.")
    group.add_command(try_provider)
    return group


@click.command("test")
@click.option(
    "--identity-config",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="The file that 'drystone up' is given.",
)
@click.option("--protocol", help="Which of the provider's protocols, where it has several.")
@click.option(
    "--claims",
    "claims_path",
    type=click.Path(exists=True, dir_okay=False),
    help='A JSON object of claims to try the mapping with, such as {"sub": "42", "email": "jane@example.com"}.',
)
@click.argument("provider")
@click.pass_obj
def try_provider(
    access: IdentityAccess, provider: str, path: str, protocol: str | None, claims_path: str | None
) -> None:
    """Say step by step what works of the identity provider PROVIDER: its description, its keys, our secret there, the
    records here, and whom its mapping makes of claims. Changes nothing."""

    async def main() -> bool:
        config = read_identity_file(path).federation
        found = _found(config, provider, protocol, path)
        claims = _claims(claims_path) if claims_path is not None else None
        good = True

        def say(check: Check) -> None:
            nonlocal good
            click.echo(f"{_SIGNS[check.good]}  {check.what}: {check.said}")
            if check.good is False:
                click.echo(f"      next: {check.next_step}")
                good = False

        await _check(access, found, claims, say)
        if config.public_url:
            back = f"{config.public_url}/v3/auth/OS-FEDERATION/websso/{found.protocol}"
            click.echo(f"-     browsers: the provider must know the redirect URI {back}")
        return good

    try:
        good = trio.run(main)
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error
    if not good:
        raise click.exceptions.Exit(1)


async def _check(
    access: IdentityAccess,
    provider: OpenIDProvider,
    claims: Mapping[str, Any] | None,
    say: Callable[[Check], None],
) -> None:
    async with provider_connections() as http:
        there = ProviderChecks(provider, http, SystemClock())
        async for check in there.run():
            say(check)
    async with access.registry() as registry:
        directory = Directory(registry)
        await directory.load()
    for check in way_checks(directory.snapshot, provider, there.claims if claims is None else claims):
        say(check)


def _found(config: FederationConfig, name: str, protocol: str | None, path: str) -> OpenIDProvider:
    named = [one for one in config.providers if one.identity_provider == name and protocol in (None, one.protocol)]
    if len(named) > 1:
        protocols = ", ".join(one.protocol for one in named)
        raise InvalidError(f"{path}: {name} has several protocols; say which by --protocol: {protocols}")
    if not named:
        known = ", ".join(f"{one.identity_provider} ({one.protocol})" for one in config.providers) or "none"
        raise NotFoundError(f"{path}: has no such openid_provider; there are: {known}")
    return named[0]


def _claims(path: str) -> Mapping[str, Any]:
    try:
        claims = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidError(f"{path}: is no JSON: {error}") from error
    if not isinstance(claims, dict):
        raise InvalidError(f"{path}: is no JSON object")
    return claims
