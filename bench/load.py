"""The workloads. Each answers with one figure, the processor time that the whole machine spent on it, and syncs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from bench.targets import Target

SMALL_BYTES = 4096
LARGE_BYTES = 128 * 1024 * 1024
LARGE_AT_ONCE = 4
NAMES_READ = 200
HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Result:
    """One workload on one target. `rate` is in `unit`; times in milliseconds; `cpu_us` is of the whole machine."""

    target: str
    workload: str
    rate: float
    unit: str
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_us: float = 0.0
    syncs: float | None = None
    failed: int = 0
    extra: dict[str, float] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        return asdict(self)


def run(target: Target, policy: str | None, seconds: int, connections: int) -> Iterator[Result]:
    """All workloads on one target."""
    container = f"{target.account_url}/bench-{os.urandom(4).hex()}"
    headers = {"X-Storage-Policy": policy} if policy else {}
    request(target, "PUT", container, headers)
    label = f" {policy}" if policy else ""
    for verb in ("PUT", "GET", "LIST", "DELETE"):
        yield small(target, container, verb, f"{verb} 4 KiB{label}" if verb != "LIST" else f"LIST 100{label}",
                     seconds, connections)  # fmt: skip
    with tempfile.NamedTemporaryFile(dir=os.environ.get("BENCH_DIR")) as file:
        file.write(os.urandom(LARGE_BYTES))
        file.flush()
        yield large(target, f"PUT 128 MiB{label}", lambda n: ["-T", file.name, f"{container}/large-{n}"])
    yield large(target, f"GET 128 MiB{label}", lambda n: [f"{container}/large-{n}"])
    for number in range(LARGE_AT_ONCE):
        request(target, "DELETE", f"{container}/large-{number}", {})


def request(target: Target, method: str, url: str, headers: dict[str, str]) -> bytes:
    """The body of the answer. Raises HTTPError for a failure."""
    request = urllib.request.Request(url, method=method, headers={"X-Auth-Token": target.token, **headers})
    with urllib.request.urlopen(request) as response:
        body: bytes = response.read()
        return body


def small(target: Target, container: str, verb: str, name: str, seconds: int, connections: int) -> Result:
    with _measured(target) as spent:
        figures = wrk(target, container, verb, seconds, connections, threads=2, NAMES=NAMES_READ)
    return Result(
        target.name,
        name,
        figures.requests / figures.seconds,
        "/s",
        figures.p50_ms,
        figures.p99_ms,
        spent.cpu_s / figures.requests * 1e6,
        None if spent.syncs is None else spent.syncs / figures.requests,
        figures.failed if verb != "DELETE" else 0,  # names that PUT never wrote answer 404: they are part of the work
    )


@dataclass(frozen=True)
class Figures:
    """What wrk saw: answers, how many of them said that something failed, and how long they took."""

    seconds: float
    requests: int
    failed: int
    p50_ms: float
    p99_ms: float


def wrk(
    target: Target, container: str, verb: str, seconds: int, connections: int, *, threads: int = 1, **settings: int
) -> Figures:
    """Small requests to a container's URL. `settings` are those of small.lua: NAMES, FIRST, COUNT, BYTES, PAUSE_MS."""
    return end_wrk(begin_wrk(target, container, verb, seconds, connections, threads=threads, **settings))


def begin_wrk(
    target: Target, container: str, verb: str, seconds: int, connections: int, *, threads: int = 1, **settings: int
) -> subprocess.Popen[str]:
    """As `wrk`, for `end_wrk` to wait for; SIGINT ends it sooner."""
    environment = {**os.environ, "VERB": verb, "TOKEN": target.token, "BYTES": str(SMALL_BYTES), "NAMES": "0"}
    environment |= {name: str(value) for name, value in settings.items()}
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command += ["-s", os.path.join(HERE, "small.lua"), container]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def end_wrk(process: subprocess.Popen[str]) -> Figures:
    """What it saw."""
    shown, _ = process.communicate()
    words = next(line for line in shown.splitlines() if line.startswith("FIGURES")).split()[1:]
    duration, requests, failed, p50, p99 = (float(word) for word in words)
    return Figures(duration, int(requests), int(failed), p50, p99)


def large(target: Target, name: str, arguments: Callable[[int], list[str]]) -> Result:
    curl = ["curl", "-fsS", "-o", "/dev/null", "-H", f"X-Auth-Token: {target.token}", "-H", "Expect:"]
    with _measured(target) as spent:
        running = [subprocess.Popen(curl + arguments(number)) for number in range(LARGE_AT_ONCE)]
        failed = sum(process.wait() != 0 for process in running)
    return Result(
        target.name,
        name,
        LARGE_AT_ONCE * LARGE_BYTES / 1e6 / spent.seconds,
        "MB/s",
        cpu_us=spent.cpu_s / LARGE_AT_ONCE * 1e6,
        syncs=None if spent.syncs is None else spent.syncs / LARGE_AT_ONCE,
        failed=failed,
    )


@dataclass
class _Spent:
    seconds: float = 0.0
    cpu_s: float = 0.0
    syncs: int | None = None


@contextmanager
def _measured(target: Target) -> Iterator[_Spent]:
    spent = _Spent()
    syncs, cpu, began = target.syncs(), _machine_cpu_s(), time.monotonic()
    yield spent
    spent.seconds = time.monotonic() - began
    spent.cpu_s = _machine_cpu_s() - cpu
    after = target.syncs()
    spent.syncs = None if syncs is None or after is None else after - syncs


def _machine_cpu_s() -> float:
    """Seconds that all processors were busy since the boot: the load generator included, alike for every target."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")
