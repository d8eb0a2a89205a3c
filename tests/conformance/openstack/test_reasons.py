"""What a line about a test that did not pass says; it runs without the suites."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.conformance.openstack.reasons import causes, reason, with_shared_reasons
from tests.conformance.outcomes import Outcome, read

LOG = """\
INFO Request (RolesTest:setUp): 404 GET http://127.0.0.1:8080/identity/v3/roles/0123456789abcdef0123456789abcdef 0.01s
INFO Request (RolesTest:test_list): 403 GET http://127.0.0.1:8080/identity/v3/roles?name=member 0.01s
INFO Request (RolesTest:test_list): 200 GET http://127.0.0.1:8080/identity/v3/users 0.01s
INFO Request (RolesTest:_run_cleanups): 409 DELETE http://127.0.0.1:8080/identity/v3/users/1 0.01s
INFO Request (RolesTest:tearDownClass): 400 DELETE http://127.0.0.1:8080/identity/v3/domains/1 0.01s
"""

FAILED = """\
Failed: NOTE: Incompatible Exception Representation, displaying natively:

testtools.testresult.real._StringException: Traceback (most recent call last):
  File "rest_client.py", line 1, in request
    raise First()
First: not this one

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "rest_client.py", line 2, in request
    raise exceptions.Forbidden(resp_body)
tempest.lib.exceptions.Forbidden: Forbidden
Details: {'code': 403}"""

COMMAND = """\
Traceback (most recent call last):
  File "base.py", line 2, in execute
    raise exceptions.CommandFailed(
tempest.lib.exceptions.CommandFailed: Command 'openstack --os-cloud devstack-admin --os-identity-api-version 3 \
role show x -f json' returned non-zero exit status 1.
stdout:

stderr:
b"No role with a name or ID of 'x' exists.\\n\""""


def _case(log: str = "") -> ElementTree.Element:
    case = ElementTree.Element("testcase")
    ElementTree.SubElement(case, "system-out").text = log
    return case


@pytest.mark.parametrize(
    ("message", "log", "told"),
    [
        (FAILED, "", "Forbidden: Forbidden Details: {'code': 403}"),
        (FAILED, LOG, "[403 GET /identity/v3/roles?name=member] Forbidden: Forbidden Details: {'code': 403}"),
        (FAILED, LOG.splitlines()[0], "[404 GET /identity/v3/roles/*] Forbidden: Forbidden Details: {'code': 403}"),
        (
            'failed on setup with "tempest.lib.exceptions.NotFound: Object not found\nDetails: {}"',
            "",
            "in setup: NotFound: Object not found Details: {}",
        ),
        (COMMAND, "", "openstack role show x -f json: No role with a name or ID of 'x' exists."),
        ("Security compliance not available.", "", "Security compliance not available."),
        ("Traceback (most recent call last):\n  cut off", "", "cut off"),
    ],
)
def test_a_reason_is_what_was_raised_last_after_the_last_request_of_the_test_that_was_refused(
    message: str, log: str, told: str
) -> None:
    assert reason(_case(log), message) == told


def test_tests_of_one_name_in_two_modules_are_two() -> None:
    text = """<testsuites><testsuite>
<testcase classname="v3.test_domain.SystemAdminTests" name="test_get" time="0.5" />
<testcase classname="v3.test_user.SystemAdminTests" name="test_get" time="1"><skipped message="off" /></testcase>
</testsuite></testsuites>"""
    assert read("", text, reason) == [
        Outcome("v3.test_domain", "SystemAdminTests::test_get", "passed", "", 0.5),
        Outcome("v3.test_user", "SystemAdminTests::test_get", "skipped", "off", 1),
    ]


def test_the_request_that_failed_in_setup_is_told_of_every_test_of_the_class_and_of_no_other() -> None:
    def told(file: str, name: str, why: str) -> Outcome:
        return Outcome(file, name, "failed", why)

    outcomes = [
        told("roles", "Roles::test_a", "[404 PUT /roles/*] in setup: NotFound"),
        told("roles", "Roles::test_b", "in setup: NotFound"),
        told("roles", "Roles::test_c", "in setup: Conflict"),
        told("roles", "Others::test_a", "in setup: NotFound"),
        told("users", "Roles::test_a", "in setup: NotFound"),
        told("roles", "Roles::test_d", "[403 GET /roles] Forbidden"),
        told("roles", "Roles::test_e", "Forbidden"),
    ]
    shared = with_shared_reasons(outcomes)
    assert causes(shared) == [("404 PUT /roles/*", 2), ("403 GET /roles", 1)]
    assert [each.reason for each in shared] == [
        "[404 PUT /roles/*] in setup: NotFound",
        "[404 PUT /roles/*] in setup: NotFound",
        "in setup: Conflict",
        "in setup: NotFound",
        "in setup: NotFound",
        "[403 GET /roles] Forbidden",
        "Forbidden",
    ]
