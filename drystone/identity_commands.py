"""`drystone user` and `drystone project`: who may use the cloud, straight over the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import click
import trio

from authn.operator import Operator, open_operator
from store.core.errors import DrystoneError
from store.registry import Registry


class IdentityAccess(Protocol):
    """What the commands need; the click context's `obj`. `registry` opens the registry for one command."""

    @property
    def registry(self) -> Callable[[], AbstractAsyncContextManager[Registry]]: ...


def user_group() -> click.Group:
    """The group `user`; its context's `obj` must be an IdentityAccess."""
    group = click.Group("user", help="Who may log in, and with which roles in which projects.")
    for command in (list_users, add_user, remove_user, set_password, grant, revoke):
        group.add_command(command)
    return group


def project_group() -> click.Group:
    """The group `project`; its context's `obj` must be an IdentityAccess."""
    group = click.Group("project", help="What owns accounts, volumes and servers.")
    for command in (list_projects, add_project, remove_project):
        group.add_command(command)
    return group


def _run(access: IdentityAccess, work: Callable[[Operator], Awaitable[str]]) -> None:
    async def main() -> str:
        async with access.registry() as registry:
            return await work(await open_operator(registry))

    try:
        click.echo(trio.run(main))
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error


def _password_line(name: str, password: str, *, given: bool) -> str:
    """A password is shown only where nobody knows it yet."""
    return f"The password of {name} is set." if given else f"The password of {name} is {password}"


# -- users -----------------------------------------------------------------------------------------------------------


@click.command("list")
@click.pass_obj
def list_users(access: IdentityAccess) -> None:
    """All users and the roles that they hold."""

    async def work(operator: Operator) -> str:
        lines = []
        for user in operator.users():
            roles = ", ".join(user.roles) or "no roles"
            lines.append(f"{user.id}  {user.name}  {'' if user.enabled else '(disabled) '}{roles}")
        return "\n".join(lines) or "There are no users."

    _run(access, work)


@click.command("add")
@click.option("--project", "-p", required=True)
@click.option("--role", "-r", default="member", show_default=True)
@click.option("--password", help="Left out: one is made up and shown.")
@click.argument("name")
@click.pass_obj
def add_user(access: IdentityAccess, name: str, project: str, role: str, password: str | None) -> None:
    """Let NAME in, with a role in a project."""

    async def work(operator: Operator) -> str:
        made = await operator.add_user(name, project, role, password)
        return f"{name} is {role} in {project}.\n{_password_line(name, made, given=bool(password))}"

    _run(access, work)


@click.command("remove")
@click.argument("name")
@click.pass_obj
def remove_user(access: IdentityAccess, name: str) -> None:
    """Forget NAME, and end their tokens."""

    async def work(operator: Operator) -> str:
        await operator.remove_user(name)
        return f"{name} is gone."

    _run(access, work)


@click.command("passwd")
@click.option("--password", help="Left out: one is made up and shown.")
@click.argument("name")
@click.pass_obj
def set_password(access: IdentityAccess, name: str, password: str | None) -> None:
    """A new password for NAME, which ends their tokens."""

    async def work(operator: Operator) -> str:
        return _password_line(name, await operator.set_password(name, password), given=bool(password))

    _run(access, work)


@click.command()
@click.option("--project", "-p", required=True)
@click.option("--role", "-r", required=True)
@click.argument("name")
@click.pass_obj
def grant(access: IdentityAccess, name: str, project: str, role: str) -> None:
    """Give NAME a role in a project."""

    async def work(operator: Operator) -> str:
        await operator.grant(name, project, role)
        return f"{name} is {role} in {project}."

    _run(access, work)


@click.command()
@click.option("--project", "-p", required=True)
@click.option("--role", "-r", required=True)
@click.argument("name")
@click.pass_obj
def revoke(access: IdentityAccess, name: str, project: str, role: str) -> None:
    """Take a role in a project from NAME."""

    async def work(operator: Operator) -> str:
        await operator.revoke(name, project, role)
        return f"{name} is no longer {role} in {project}."

    _run(access, work)


# -- projects --------------------------------------------------------------------------------------------------------


@click.command("list")
@click.pass_obj
def list_projects(access: IdentityAccess) -> None:
    """All projects."""

    async def work(operator: Operator) -> str:
        lines = [
            f"{project.id}  {project.name}  {'' if project.enabled else '(disabled) '}{project.users} users"
            for project in operator.projects()
        ]
        return "\n".join(lines) or "There are no projects."

    _run(access, work)


@click.command("add")
@click.option("--description", default="")
@click.argument("name")
@click.pass_obj
def add_project(access: IdentityAccess, name: str, description: str) -> None:
    """Make the project NAME."""

    async def work(operator: Operator) -> str:
        return f"Project {name} has the id {await operator.add_project(name, description)}"

    _run(access, work)


@click.command("remove")
@click.argument("name")
@click.pass_obj
def remove_project(access: IdentityAccess, name: str) -> None:
    """Forget the project NAME and the roles held in it; what it stored stays."""

    async def work(operator: Operator) -> str:
        await operator.remove_project(name)
        return f"Project {name} is gone."

    _run(access, work)
