"""Which policy a new folder begins with, and what a running program says of its policies."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from drystone.folder import DataFolder
from drystone.founding import Wish, plan
from tests.process.program import Client, Program


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        (Wish(), ["standard"]),
        (Wish(policies=("archive=2+1", "careful=3")), ["archive", "careful"]),
        (Wish(policies=("archive=2+1",), replicas=3), ["standard", "archive"]),
    ],
)
def test_the_first_policy_of_a_new_folder_is_the_default(tmp_path: Path, wish: Wish, names: list[str]) -> None:
    cluster, _ = plan(DataFolder(str(tmp_path / "data")), wish)
    assert [policy.name for policy in cluster.policies] == names
    assert [policy.name for policy in cluster.policies if policy.default] == names[:1]


@pytest.mark.process
def test_an_account_counts_containers_of_each_policy_with_and_without_objects(program: Program) -> None:
    with closing(Client(program)) as client:
        for container in ("a", "b"):
            assert client.object("PUT", container, headers={"X-Storage-Policy": "archive"}).status == 201
        assert client.object("PUT", "c").status == 201
        assert client.object("PUT", "c/o", b"12345").status == 201
        seen = client.object("HEAD", "").headers
    counts = {name: seen[name] for name in seen if name.startswith("x-account-storage-policy-")}
    assert counts == {
        "x-account-storage-policy-archive-container-count": "2",
        "x-account-storage-policy-archive-object-count": "0",
        "x-account-storage-policy-archive-bytes-used": "0",
        "x-account-storage-policy-standard-container-count": "1",
        "x-account-storage-policy-standard-object-count": "1",
        "x-account-storage-policy-standard-bytes-used": "5",
    }


@pytest.mark.process
def test_info_states_the_version_of_the_api_and_the_program_s_own(program: Program) -> None:
    with closing(Client(program)) as client:
        info = json.loads(client.ask("GET", "/info").body)
    assert int(info["swift"]["version"].split(".")[0]) >= 1
    assert info["drystone"]["version"] not in ("", "0", info["swift"]["version"])
