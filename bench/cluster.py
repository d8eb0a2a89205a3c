"""`python -m bench cluster`: small requests at a cluster of three nodes, and at one node alone, in one run.

All on this machine: the nodes share its processors with the load, so the figures say what a request costs, and not what
three machines do. Each node has one device, alone it has three; each object has three replicas either way.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from bench import load, report
from bench.load import Result
from bench.targets import Target, drystone, drystone_status, sign_in

NODES = 3
PATIENCE_SECONDS = 120.0
VERBS = ("PUT", "GET", "LIST", "DELETE")


@contextmanager
def cluster(where: str) -> Iterator[Target]:
    """Three nodes with a device each, as a target that asks the first."""
    folder = tempfile.mkdtemp(prefix="drystone-bench-", dir=os.path.abspath(where))
    folders = [os.path.join(folder, f"n{number}") for number in range(1, NODES + 1)]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        first = folders[0]
        options = ("--devices", str(NODES), "--replicas", str(NODES))
        _typed(first, "cluster", "init", "--name", "n1", "--listen", _free_address(), *options)
        stack.enter_context(_serving(first))
        for number, data in enumerate(folders[1:], 2):
            line = shlex.split(_typed(first, "cluster", "token"))
            _typed(data, *line[1:], "--name", f"n{number}", "--machine", f"m{number}", "--listen", _free_address())
            stack.enter_context(_serving(data))
            os.mkdir(os.path.join(data, "disk"))
            _typed(data, "device", "add", os.path.join(data, "disk"))
        for device in range(1, NODES):  # of those that the first node began with it keeps one
            _typed(first, "ring", "weight", str(device), "0")
        for _ in range(NODES):
            _typed(first, "ring", "apply")
            _wait_until_settled(first)
        yield Target("cluster of 3", *sign_in(first))


@contextmanager
def _serving(data: str) -> Iterator[None]:
    command = [sys.executable, "-m", "drystone", "--data", data, "up", "--no-servers", "--listen", "127.0.0.1:0"]
    with subprocess.Popen([*command, "--log-level", "warning"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "serves" in line:
                    break
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _typed(data: str, *words: str) -> str:
    command = [sys.executable, "-m", "drystone", "--data", data, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _wait_until_settled(data: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(drystone_status(data)["live_layouts"]) > 1:
        if time.monotonic() > deadline:
            raise TimeoutError("the ring does not settle")
        time.sleep(0.5)


def _figures(target: Target, seconds: int, connections: int) -> Iterator[Result]:
    container = f"{target.account_url}/bench-{os.urandom(4).hex()}"
    load.request(target, "PUT", container, {})
    for verb in VERBS:
        yield load.small(target, container, verb, verb, seconds, connections)


@click.command()
@click.option("--seconds", default=5, show_default=True, help="Of each workload.")
@click.option("--connections", default=16, show_default=True)
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(seconds: int, connections: int, where: str) -> None:
    """A cluster of three nodes on this machine, beside one node alone."""
    with drystone("drystone", where, NODES, [f"standard={NODES}"]) as target:
        alone = list(_figures(target, seconds, connections))
    with cluster(where) as target:
        together = list(_figures(target, seconds, connections))
    click.echo(report.table([*alone, *together]))
    for one, three in zip(alone, together, strict=True):
        rate, cpu = three.rate / one.rate, three.cpu_us / one.cpu_us
        click.echo(f"{one.workload}: {rate:.2f} of the rate, {cpu:.1f} times the processor time of the machine")


if __name__ == "__main__":
    main()
