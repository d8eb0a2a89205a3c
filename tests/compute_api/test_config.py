"""The table `compute` of the configuration file, and who may what by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compute_plugin.config import parse_compute_config
from compute_plugin.settings import Settings
from compute_plugin.v2.policy.table import OPERATIONS
from drystone.identity_file import read_identity_file
from store.core.errors import InvalidError


def test_nothing_said_is_as_stock_has_it() -> None:
    assert parse_compute_config({}).settings == Settings()


def test_all_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        """
        [compute]
        zone = "east"
        cpu_ratio = 2
        ram_ratio = 1.5
        ram_reserved_mib = 0
        disk_ratio = 10.0
        limits = { instances = 100, cores = -1 }
        console_s = 60
        reclaim_s = 3600
        stop_s = 5
        hypervisor = "lxc:///system"
        policy = { "os_compute_api:os-hypervisors:list" = "role:member" }
        """
    )
    read = read_identity_file(str(path)).compute
    assert read.settings == Settings(
        zone="east", cpu_ratio=2.0, ram_ratio=1.5, ram_reserved_mib=0, disk_ratio=10.0,
        limits={"instances": 100, "cores": -1}, console_s=60, reclaim_s=3600, stop_s=5.0, hypervisor="lxc:///system",
    )  # fmt: skip
    assert read.policy.text("os_compute_api:os-hypervisors:list") == "role:member"


@pytest.mark.parametrize(
    "table",
    [
        [], {"unknown": 1}, {"zone": ""}, {"zone": "a:b"}, {"zone": 5}, {"cpu_ratio": 0}, {"cpu_ratio": True},
        {"ram_ratio": "x"}, {"ram_reserved_mib": -1}, {"disk_ratio": 2000}, {"limits": {"tables": 1}},
        {"limits": {"cores": -2}}, {"limits": 5}, {"console_s": 0}, {"reclaim_s": -1}, {"stop_s": 0},
        {"hypervisor": " "}, {"policy": {"x": 1}}, {"policy": {"os_compute_api:frob": "@"}}, {"policy": []},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(table: Any) -> None:
    with pytest.raises(InvalidError, match=r"compute|policy"):
        parse_compute_config(table)


def test_every_operation_is_named_once() -> None:
    names = [one.name for one in OPERATIONS]
    of_placement = [one for one in names if one.startswith("placement:")]
    assert len(names) == len(set(names)) == 203 + len(of_placement)
    assert len(of_placement) == 1
