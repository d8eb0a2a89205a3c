"""What QoS specs mean."""

from __future__ import annotations

import pytest

from gateway.volumes.qos_limits import limits_of
from gateway.volumes.qos_records import QosSpecs


@pytest.mark.parametrize(
    ("specs", "limits"),
    [
        ({}, {}),
        ({"read_iops_sec": "100"}, {"read_iops_sec": (100, 100)}),
        ({"total_bytes_sec": "1000", "total_bytes_sec_max": "5000"}, {"total_bytes_sec": (1000, 5000)}),
        ({"total_bytes_sec": "1000", "total_bytes_sec_max": "5"}, {"total_bytes_sec": (1000, 1000)}),
        ({"write_iops_sec_per_gb": "3"}, {"write_iops_sec": (30, 30)}),
        ({"write_iops_sec_per_gb": "3", "write_iops_sec_per_gb_min": "50"}, {"write_iops_sec": (50, 50)}),
        ({"read_bytes_sec": "much", "write_bytes_sec": "0", "total_iops_sec": "-1", "colour": "7"}, {}),
        ({"read_bytes_sec": "nan", "write_bytes_sec": "inf"}, {}),
    ],
)
def test_limits(specs: dict[str, str], limits: dict[str, tuple[float, float]]) -> None:
    assert limits_of(QosSpecs("id", "name", "back-end", 0, specs), 10) == limits
