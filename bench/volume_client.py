"""What the benchmarks of volumes ask a running Drystone, and how they write and read: with fio over NBD."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from drystone.control_client import exchange
from drystone.folder import DataFolder


class Job(NamedTuple):
    """What fio says of one run: operations a second, and how long they took, in milliseconds."""

    rate: float
    operations: int
    p99_ms: float
    p999_ms: float
    max_ms: float


def asked(folder: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the process answers that serves a data folder."""
    sent = None if body is None else json.dumps(body).encode()
    return json.loads(exchange(DataFolder(folder), method, f"/volumes{path}", sent, timeout=None) or b"{}")


def make_volume(folder: str, name: str, size: int, window_us: int = 0) -> str:
    """A volume of the default policy: its URI."""
    asked(folder, "POST", "", {"name": name, "size": size, "policy": "", "window_us": window_us})
    return volume_uri(folder, name)


def volume_uri(folder: str, name: str) -> str:
    return f"nbd+unix:///{quote(name)}?socket={DataFolder(folder).nbd}"


def fio_command(uri: str, verb: str, block: str, depth: int, size: int, options: Sequence[str]) -> list[str]:
    command = ["fio", "--name=v", "--ioengine=nbd", f"--uri={uri}", f"--size={size}", "--output-format=json"]
    return [*command, f"--rw={verb}", f"--bs={block}", f"--iodepth={depth}", "--randrepeat=0", *options]


def fio(uri: str, verb: str, block: str, depth: int, size: int, *options: str) -> Job:
    """Read or write within the first `size` bytes of a volume, as the options of fio say."""
    command = fio_command(uri, verb, block, depth, size, options)
    return parse_job(subprocess.run(command, capture_output=True, text=True, check=True).stdout, verb)


def parse_job(printed: str, verb: str) -> Job:
    job = json.loads(printed[printed.index("{") :])["jobs"][0]["read" if "read" in verb else "write"]
    times = job["clat_ns"]
    part = {share: times.get("percentile", {}).get(share, 0) / 1e6 for share in ("99.000000", "99.900000")}
    return Job(job["iops"], job["total_ios"], part["99.000000"], part["99.900000"], times["max"] / 1e6)
