"""What tests take for granted of a cloud: an external network, small flavors, a second project."""

from __future__ import annotations

import os
import subprocess
import time

from tests.conformance.environment import Environment
from tests.conformance.openstack.settings import EXTERNAL
from tests.process.program import Program

CIDR = "172.24.4.0/24"
PATIENCE_S = 120.0


def external_network(environment: Environment, program: Program) -> str:
    """The id of a new one."""
    id_ = _openstack(
        environment, program, "network", "create", "--external", "--provider-network-type", "flat",
        "--provider-physical-network", "public", "-f", "value", "-c", "id", EXTERNAL,
    )  # fmt: skip
    _openstack(
        environment, program, "subnet", "create", "--network", id_, "--subnet-range", CIDR, "--no-dhcp",
        "-f", "value", "-c", "id", f"{EXTERNAL}-v4",
    )  # fmt: skip
    return id_


def extensions(environment: Environment, program: Program) -> tuple[str, ...]:
    """The aliases of what the network API has."""
    said = _openstack(environment, program, "extension", "list", "--network", "-f", "value", "-c", "Alias")
    return tuple(said.split())


def private_network(environment: Environment, program: Program) -> None:
    """Of the administrator's project, which servers of openstackclient's tests are on; with a way to the external one,
    which is there."""
    _openstack(environment, program, "network", "create", "-f", "value", "-c", "id", "private")
    _openstack(
        environment, program, "subnet", "create", "--network", "private", "--subnet-range", "10.0.0.0/24",
        "-f", "value", "-c", "id", "private-v4",
    )  # fmt: skip
    _openstack(
        environment, program, "router", "create", "--external-gateway", EXTERNAL, "-f", "value", "-c", "id", "way"
    )
    _openstack(environment, program, "router", "add", "subnet", "way", "private-v4")


def flavors(environment: Environment, program: Program) -> tuple[str, str]:
    """The ids of two that are as small as devstack's for tests."""
    for id_, name, ram in (("42", "m1.nano", "192"), ("84", "m1.micro", "256")):
        _openstack(
            environment, program, "flavor", "create", "--id", id_, "--ram", ram, "--disk", "1", "--vcpus", "1",
            "-f", "value", "-c", "id", name,
        )  # fmt: skip
    return "42", "84"


def wait_for_host(environment: Environment, program: Program) -> None:
    """Until one takes servers: before, all are refused."""
    deadline = time.monotonic() + PATIENCE_S
    while not _openstack(environment, program, "hypervisor", "list", "-f", "value", "-c", "ID"):
        assert time.monotonic() < deadline, "no host takes servers"


def create_project(environment: Environment, program: Program, name: str) -> None:
    """Devstack has some, which the client's own tests look for."""
    _openstack(environment, program, "project", "create", "-f", "value", "-c", "id", name)


def _openstack(environment: Environment, program: Program, *arguments: str) -> str:
    done = subprocess.run(
        [str(environment.python.parent / "openstack"), *arguments],
        env={**os.environ, **program.settings()},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.strip()
