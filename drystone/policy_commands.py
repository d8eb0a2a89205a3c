"""`drystone policy`: who may do what, in words, and whether a changed policy is understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from drystone.identity_file import IdentityFile, read_identity_file
from gateway.rest.policy import Policy
from store.core.errors import InvalidError

SERVICES: Final = ("identity", "image", "volume", "network", "compute")

_config_option = click.option(
    "--identity-config",
    "path",
    type=click.Path(exists=True, dir_okay=False),
    help="The file that 'drystone up' is given; its tables 'policy', 'image.policy', 'volume.policy', "
    "'network.policy' and 'compute.policy' count.",
)


def policy_group() -> click.Group:
    """The group `policy`."""
    group = click.Group(
        "policy",
        help="Who may do what with identity, images, volumes, networks and servers. Checks are written as for "
        "oslo.policy; a file changes them: a table 'policy' of lines such as \"identity:list_users\" = "
        "\"rule:admin_required\" in the file of 'drystone up --identity-config' ('image.policy' for images, and so "
        "for volumes, networks and compute), which is checked at the start.",
    )
    group.add_command(show)
    group.add_command(check)
    return group


@click.command("show")
@_config_option
@click.option("--service", type=click.Choice(SERVICES), default="identity", show_default=True, help="Whose operations.")
@click.argument("words", nargs=-1)
def show(path: str | None, service: str, words: tuple[str, ...]) -> None:
    """Every operation, for which tokens it is (system, domain, project), and who may do it; then the rules that these
    name. WORDS: only lines that have all of them in the name, such as 'user'. What the operator changed is marked
    with *."""
    policy, changed = _policies(_read(path))[service], _changed(_read(path))[service]
    width = max((len(name) for name in policy.operations), default=0)
    for name, operation in sorted(policy.operations.items()):
        if all(word in name for word in words):
            mark = "*" if name in changed else " "
            who = policy.text(name) or "everybody who has a token"
            click.echo(f"{mark} {name:<{width}}  {','.join(operation.scopes):<21}  {who}")
    if not words:
        click.echo("\nrules")
        for name, text in sorted(policy.rules.items()):
            click.echo(f"{'*' if name in changed else ' '} {name}: {text}")


@click.command("check")
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
def check(path: str) -> None:
    """Whether the file PATH is understood, as 'drystone up --identity-config' would ask."""
    changed = [name for names in _changed(_read(path)).values() for name in names]
    click.echo(f"{path} is understood; of the policy it changes {', '.join(changed) or 'nothing'}.")


def _policies(read: IdentityFile) -> Mapping[str, Policy]:
    policies = (read.policy, read.images.policy, read.volumes, read.networks.policy, read.compute.policy)
    return dict(zip(SERVICES, policies, strict=True))


def _changed(read: IdentityFile) -> Mapping[str, list[str]]:
    """What the operator changed, by service."""
    found: dict[str, list[str]] = {}
    for service, default in _policies(read_identity_file(None)).items():
        now = _policies(read)[service]
        found[service] = sorted(name for name in (*now.operations, *now.rules) if now.text(name) != default.text(name))
    return found


def _read(path: str | None) -> IdentityFile:
    try:
        return read_identity_file(path)
    except InvalidError as error:
        raise click.ClickException(str(error)) from error
