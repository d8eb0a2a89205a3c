"""The users that the suite asks for, and its configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.cloud import command, fresh
from tests.process.program import Program

STORAGE_DOMAIN = "example.com"
OPTIONS = ("--policy", "second=2", "--storage-domain", STORAGE_DOMAIN)

NO_RIGHTS = "service"
"""A role that by itself gives nothing: the third user belongs to the project, and that is all."""

USERS = (
    ("tester", "testing", "test", "admin"),
    ("tester2", "testing2", "test2", "admin"),
    ("tester3", "testing3", "test", NO_RIGHTS),
    ("tester5", "testing5", "test5", "service"),
)


@contextmanager
def cloud(folder: Path) -> Iterator[Program]:
    """A running Drystone in an empty folder, with those users."""
    with fresh(folder, *OPTIONS) as program:
        for project in dict.fromkeys(project for _, _, project, _ in USERS):
            command(program, "project", "add", project)
        for name, password, project, role in USERS:
            command(program, "user", "add", name, "--project", project, "--role", role, "--password", password)
        command(program, "user", "grant", "admin", "--project", "admin", "--role", "ResellerAdmin")
        yield program


def settings(program: Program) -> str:
    """The suite's configuration file for this Drystone."""
    admin = program.settings()["OS_PASSWORD"]
    lines = [
        "[func_test]",
        f"auth_uri = {program.url}/auth/v1.0",
        "account = test",
        "username = tester",
        "password = testing",
        "account2 = test2",
        "username2 = tester2",
        "password2 = testing2",
        "username3 = tester3",
        "password3 = testing3",
        "account5 = test5",
        "username5 = tester5",
        "password5 = testing5",
        "account6 = admin",
        "username6 = admin",
        f"password6 = {admin}",
        "service_prefix = SERVICE",
        f"storage_domain = {STORAGE_DOMAIN}",
        "collate = C",
        "insecure = no",
        "[swift-constraints]",
        "strict_cors_mode = true",
        "[unit_test]",
        "fake_syslog = False",
    ]
    return "\n".join(lines) + "\n"
