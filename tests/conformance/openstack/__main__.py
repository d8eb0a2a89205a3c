"""Run the tests that OpenStack has of its services against Drystone, say what did not pass and why, and count.

They come from the package index and run in a virtual environment of their own. A fresh Drystone is started, unless
--url names one that runs. With more than one of these options the suites run one after the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.conformance.cloud import fresh
from tests.conformance.environment import Environment
from tests.conformance.openstack.devstack import (
    create_project,
    extensions,
    external_network,
    flavors,
    private_network,
    wait_for_host,
)
from tests.conformance.openstack.guests import guest_image, hypervisor
from tests.conformance.openstack.reasons import causes
from tests.conformance.openstack.run import run
from tests.conformance.openstack.settings import OTHER_IMAGE, Cloud, identity_config, of_program
from tests.conformance.openstack.suites import API, CLIENT, SUITES, Suite, prepared
from tests.conformance.openstack.web import QCOW2, served_images, uploaded
from tests.conformance.outcomes import counts, passed, report

EXAMPLES = """\
examples:
  python -m tests.conformance.openstack                              the 176 of tempest and its plugin, fresh Drystone
  python -m tests.conformance.openstack -k "groups or roles"         some of them, as pytest takes it
  python -m tests.conformance.openstack --rbac -k "test_domain and SystemReader"
  python -m tests.conformance.openstack --client -k RoleTests --lanes 1
  OS_PASSWORD=... python -m tests.conformance.openstack --url http://127.0.0.1:8080    one that runs already

Each test that did not pass has a line: module, class::test, the last request that was refused, and what was raised;
below, what was refused most. All logs are in the folder --logs, one folder a suite: report.xml has every request of
every test. A test that fails "in setup" has not begun: what its class makes for it could not be made. Tests leave
users, projects and domains behind where they fail, so do not point --url at a cloud that somebody uses.
"""


def main() -> None:
    chosen = _arguments()
    suites = [suite for suite in SUITES if getattr(chosen, suite.option)] or [API]
    environment = prepared(chosen.venv.absolute())
    options = ("-k", chosen.expression) if chosen.expression else ()
    lines = []
    for suite in suites:
        began = time.monotonic()
        logs = chosen.logs.absolute() / suite.option
        with _cloud(chosen, suite, logs, environment) as cloud:
            outcomes = run(
                environment,
                suite,
                cloud,
                logs,
                lanes=chosen.lanes,
                system=chosen.admin_scope == "system",
                options=options,
            )
        print(report(outcomes))
        for request, times in causes(outcomes):
            print(f"{times:4} tests: {request}")
        print(f"{suite.title}: {counts(outcomes)} in {time.monotonic() - began:.0f} s, logs in {logs}", flush=True)
        lines.append(suite.summary(passed(outcomes), len(outcomes), whole=not options))
    print("\n".join(lines))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.openstack",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for suite in SUITES:
        parser.add_argument(f"--{suite.option}", action="store_true", help=suite.help)
    parser.add_argument("-k", dest="expression", help="only tests that match, as pytest takes it")
    parser.add_argument("--url", help="a running cloud, without a path: http://127.0.0.1:8080")
    parser.add_argument("--user", default="admin", help="its administrator (%(default)s)")
    parser.add_argument("--project", default="admin", help="the administrator's project (%(default)s)")
    parser.add_argument(
        "--password", default=os.environ.get("OS_PASSWORD"), help="the administrator's; $OS_PASSWORD if not given"
    )
    parser.add_argument(
        "--admin-scope",
        choices=("project", "system"),
        default="project",
        help="what tempest's administrator is administrator of; devstack has %(default)s",
    )
    parser.add_argument("--lanes", type=int, default=2, help="classes of tests side by side (%(default)s)")
    parser.add_argument("--venv", type=Path, default=Path(".venv-conformance-openstack"), help="where it is installed")
    parser.add_argument("--logs", type=Path, default=Path("build/conformance-openstack"), help="where logs go")
    chosen = parser.parse_args()
    if chosen.url and not chosen.password:
        parser.error("--url wants the administrator's password: --password, or OS_PASSWORD (see admin-openrc)")
    return chosen


@contextmanager
def _cloud(chosen: argparse.Namespace, suite: Suite, logs: Path, environment: Environment) -> Iterator[Cloud]:
    """The one that was named, or a fresh one with the suite's rules for passwords, whose log is kept."""
    if chosen.url:
        yield Cloud(chosen.url, chosen.password, chosen.user, chosen.project)
        return
    logs.mkdir(parents=True, exist_ok=True)
    config = logs / "identity.toml"
    with (
        hypervisor(suite.servers) as uri,
        tempfile.TemporaryDirectory(prefix="drystone-conformance-") as folder,
        served_images(Path(folder) / "images") as images,
        fresh(
            Path(folder) / "data", "--identity-config", _written(config, suite, uri), servers=suite.servers
        ) as program,
    ):
        disk = guest_image(Path(folder)) if suite.servers else Path(folder) / "images" / QCOW2
        image = uploaded(environment, program, disk)
        cloud = of_program(program, suite.password_rules, images, image)
        if suite.networks:
            network, served = external_network(environment, program), extensions(environment, program)
            cloud = replace(cloud, network=network, extensions=served)
        if suite.servers:
            other = uploaded(environment, program, disk, OTHER_IMAGE)
            cloud = replace(cloud, flavors=flavors(environment, program), other_image=other)
            cloud = replace(cloud, image_file=str(disk), ssh_user="root" if suite.ssh else "")
            wait_for_host(environment, program)
        if suite is CLIENT:
            create_project(environment, program, "demo")
            external_network(environment, program)
            private_network(environment, program)
        yield cloud
        (logs / "drystone.log").write_text(program.log())


def _written(config: Path, suite: Suite, uri: str) -> str:
    """The path of the file for `--identity-config`, once it is there."""
    config.write_text(identity_config(suite.password_rules, uri))
    return str(config)


if __name__ == "__main__":
    main()
