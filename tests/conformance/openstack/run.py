"""Running a suite against a cloud."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conformance.environment import Environment
from tests.conformance.openstack.reasons import reason, with_shared_reasons
from tests.conformance.openstack.settings import Cloud, clouds_yaml, tempest_conf
from tests.conformance.openstack.suites import Suite
from tests.conformance.outcomes import Outcome, read

TEST_SECONDS = 300
"""No test takes as long unless it hangs."""

PYTEST = """\
[pytest]
junit_logging = all
log_level = INFO
"""
"""With a file of its own pytest does not find this project's. Tempest logs each request, which tells why tests fail."""


def run(
    environment: Environment,
    suite: Suite,
    cloud: Cloud,
    folder: Path,
    *,
    lanes: int,
    system: bool = False,
    options: tuple[str, ...] = (),
) -> list[Outcome]:
    """Run a suite's tests, `lanes` classes of them side by side; settings, logs and the report stay in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    report, log_file = folder / "report.xml", folder / "log"
    report.unlink(missing_ok=True)
    (folder / "tempest.conf").write_text(tempest_conf(cloud, str(folder), system=system))
    (folder / "clouds.yaml").write_text(clouds_yaml(cloud))  # `openstack` looks for it where it runs
    (folder / "pytest.ini").write_text(PYTEST)
    command = [
        str(environment.python), "-m", "pytest", "-c", "pytest.ini", "-q", "-p", "no:cacheprovider",
        "-n", str(lanes), "--dist", "loadscope", f"--timeout={TEST_SECONDS}", f"--junit-xml={report}", *options,
        "--pyargs", *suite.modules,
    ]  # fmt: skip
    with log_file.open("w") as log:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(environment, folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not report.exists():
        raise RuntimeError(f"pytest ended with {done.returncode}; see {log_file}")
    return with_shared_reasons(read("", report.read_text(), reason))


def _environment(environment: Environment, folder: Path) -> dict[str, str]:
    """Variables of the tests: nothing of a cloud that the developer has set up, and the `openstack` of their venv."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "TEMPEST_"))}
    return {
        **inherited,
        "PATH": f"{environment.python.parent}:{os.environ.get('PATH', '')}",
        "TEMPEST_CONFIG_DIR": str(folder),
        "TEMPEST_CONFIG": "tempest.conf",
        "OS_LOG_CAPTURE": "0",  # pytest keeps the log; testtools would put it into the exception
    }
