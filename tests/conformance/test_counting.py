"""How runners count; this runs without the suites."""

from __future__ import annotations

from tests.conformance.outcomes import Outcome, read, report

REPORT = """<testsuites><testsuite>
<testcase classname="test.functional.tests.TestFile" name="testCopy" time="0.5" />
<testcase classname="test.functional.tests.TestFile" name="testPut" time="1"><failure message="AssertionError: 1
2">trace</failure></testcase>
<testcase classname="test.functional.tests.TestFile" name="testPut" time="0"><error message="in tearDown" /></testcase>
<testcase classname="test.functional.tests.TestFile" name="testGet" time="0" />
<testcase classname="test.functional.tests.TestFile" name="testGet" time="0"><error message="in tearDown" /></testcase>
<testcase classname="test.functional.tests.TestOther" name="testGet"><skipped message="not here" /></testcase>
</testsuite></testsuites>"""


def test_a_test_counts_once_and_as_the_worst_that_came_of_it() -> None:
    outcomes = read("tests.py", REPORT)
    assert outcomes == [
        Outcome("tests.py", "TestFile::testCopy", "passed", "", 0.5),
        Outcome("tests.py", "TestFile::testPut", "failed", "AssertionError: 1 2", 1),
        Outcome("tests.py", "TestFile::testGet", "failed", "in tearDown", 0),
        Outcome("tests.py", "TestOther::testGet", "skipped", "not here", 0),
    ]
    assert report(outcomes).splitlines() == [
        "failed   tests.py TestFile::testGet: in tearDown",
        "failed   tests.py TestFile::testPut: AssertionError: 1 2",
        "skipped  tests.py TestOther::testGet: not here",
    ]
