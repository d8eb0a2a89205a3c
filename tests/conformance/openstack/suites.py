"""The suites that can be run, and what has to be installed for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.environment import Environment
from tests.conformance.openstack.settings import PASSWORD_RULES

PACKAGES = (
    "tempest==47.*",
    "keystone-tempest-plugin==0.22.*",
    "glance-tempest-plugin>=0.10",
    "cinder-tempest-plugin>=1.18",
    "python-openstackclient==10.5.*",  # its functional tests are in its wheel
    "pytest>=8,<9",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
)


@dataclass(frozen=True)
class Suite:
    """Tests that are counted together. `reference`: how many of `total` stock Keystone passes, where that is known."""

    option: str
    title: str
    modules: tuple[str, ...]
    total: int
    reference: int | None
    help: str
    password_rules: Mapping[str, int] = field(default_factory=dict)
    """Of the fresh cloud that it runs against."""
    networks: bool = False
    """Whether it is told that there are networks. Others would make some for each of their users."""
    servers: bool = False
    """Whether it is told that there are servers."""
    ssh: bool = False
    """Whether it logs into them."""

    def summary(self, passed: int, ran: int, whole: bool) -> str:
        """The line that a run ends with; `whole`: nothing was left out."""
        line = f"{self.title}: {passed} passed of {ran}"
        if not whole:
            return f"{line} chosen ones"
        missing = f", {self.total} expected" if ran != self.total else ""
        return f"{line}{missing}" + (f" (reference {self.reference})" if self.reference else "")


API = Suite(
    "api",
    "tempest identity",
    ("tempest.api.identity", "keystone_tempest_plugin.tests.api.identity"),
    176,
    172,
    "tempest's tests of the identity API, and those of Keystone's plugin: federation, OAuth (default)",
    PASSWORD_RULES,
)
IMAGE = Suite(
    "image",
    "tempest image",
    ("tempest.api.image", "glance_tempest_plugin.tests.api"),
    102,
    60,
    "tempest's tests of the image API",
)
VOLUME = Suite(
    "volume",
    "tempest volume",
    ("tempest.api.volume", "cinder_tempest_plugin.api"),
    254,
    196,
    "tempest's tests of the volume API, and those of Cinder's plugin",
)
NETWORK = Suite(
    "network",
    "tempest network",
    ("tempest.api.network",),
    262,
    207,
    "tempest's tests of the network API, with an external network that is really there",
    networks=True,
)
COMPUTE = Suite(
    "compute",
    "tempest compute",
    ("tempest.api.compute",),
    588,
    None,
    "tempest's tests of the compute API",
    networks=True,
    servers=True,
)
SCENARIO = Suite(
    "scenario",
    "tempest scenario",
    ("tempest.scenario",),
    98,
    None,
    "tempest's tests of several services together, as somebody uses them",
    networks=True,
    servers=True,
    ssh=True,
)
RBAC = Suite(
    "rbac",
    "tempest rbac",
    ("keystone_tempest_plugin.tests.rbac",),
    1936,
    None,
    "the plugin's tests of who may do what: each operation as 11 personas, from system admin to project reader",
)
CLIENT = Suite(
    "client",
    "openstackclient functional",
    (
        "openstackclient.tests.functional.identity",
        "openstackclient.tests.functional.object",
        "openstackclient.tests.functional.image",
        "openstackclient.tests.functional.volume",
        "openstackclient.tests.functional.network",
        "openstackclient.tests.functional.compute",
    ),
    393,
    None,
    "openstackclient's own tests of its identity, object, image, volume, network and compute commands, each as typed",
    servers=True,
)
SUITES = (API, IMAGE, VOLUME, NETWORK, COMPUTE, SCENARIO, RBAC, CLIENT)


def prepared(folder: Path) -> Environment:
    """The virtual environment with all of PACKAGES in it."""
    environment = Environment(folder, PACKAGES)
    if not environment.is_ready:
        environment.make()
        environment.pip("install", *PACKAGES)
        environment.finish()
    return environment
