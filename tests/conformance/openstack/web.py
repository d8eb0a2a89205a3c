"""Images for tests that have the cloud fetch some: disks of this machine, served over HTTP at a loopback address."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conformance.environment import Environment
from tests.process.program import Program

RAW, QCOW2 = "disk.img", "disk.qcow2"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def served_images(folder: Path) -> Iterator[str]:
    """The URL of a folder that has RAW and QCOW2 in it, as long as this lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RAW).write_bytes(bytes(1 << 20))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / QCOW2), "16M"], check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def uploaded(environment: Environment, program: Program, path: Path, name: str = "conformance") -> str:
    """The id of an image of a QCOW2, which everybody sees: what tests make volumes of."""
    command = [
        str(environment.python.parent / "openstack"), "image", "create", "--public", "--disk-format", "qcow2",
        "--container-format", "bare", "--file", str(path), "-f", "value", "-c", "id", name,
    ]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, **program.settings()}, stdout=subprocess.PIPE, check=True, text=True
    )
    return done.stdout.strip()
