"""`drystone policy`: who may do what, in words, and whether a changed policy is understood."""

from __future__ import annotations

import click

from drystone.identity_file import IdentityFile, read_identity_file
from store.core.errors import InvalidError

_config_option = click.option(
    "--identity-config",
    "path",
    type=click.Path(exists=True, dir_okay=False),
    help="The file that 'drystone up' is given; its table 'policy' is counted in.",
)


def policy_group() -> click.Group:
    """The group `policy`."""
    group = click.Group(
        "policy",
        help="Who may do what with identity. Checks are written as for oslo.policy; a file changes them: a table "
        '\'policy\' of lines such as "identity:list_users" = "rule:admin_required" in the file of \'drystone up '
        "--identity-config', which is checked at the start.",
    )
    group.add_command(show)
    group.add_command(check)
    return group


@click.command("show")
@_config_option
@click.argument("words", nargs=-1)
def show(path: str | None, words: tuple[str, ...]) -> None:
    """Every operation, for which tokens it is (system, domain, project), and who may do it; then the rules that these
    name. WORDS: only lines that have all of them in the name, such as 'user'. What the operator changed is marked
    with *."""
    read = _read(path)
    width = max((len(name) for name in read.policy.operations), default=0)
    for name, operation in sorted(read.policy.operations.items()):
        if all(word in name for word in words):
            mark = "*" if name in read.changed else " "
            who = read.policy.text(name) or "everybody who has a token"
            click.echo(f"{mark} {name:<{width}}  {','.join(operation.scopes):<21}  {who}")
    if not words:
        click.echo("\nrules")
        for name, text in sorted(read.policy.rules.items()):
            click.echo(f"{'*' if name in read.changed else ' '} {name}: {text}")


@click.command("check")
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
def check(path: str) -> None:
    """Whether the file PATH is understood, as 'drystone up --identity-config' would ask."""
    changed = _read(path).changed
    click.echo(f"{path} is understood; of the policy it changes {', '.join(changed) or 'nothing'}.")


def _read(path: str | None) -> IdentityFile:
    try:
        return read_identity_file(path)
    except InvalidError as error:
        raise click.ClickException(str(error)) from error
