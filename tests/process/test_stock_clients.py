"""The README's own lines, with stock clients."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.waiting import until
from tests.process.program import Client, Program

BIN = Path(sys.executable).parent
PATIENCE = 60.0


def run(program: Program, *command: str, cwd: Path) -> str:
    """A client's command in the environment of admin-openrc; its output."""
    environment = {**os.environ, **program.settings()}
    name = str(BIN / command[0]) if (BIN / command[0]).exists() else command[0]
    done = subprocess.run(
        [name, *command[1:]], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}\n{program.log()[-2000:]}"
    return done.stdout


@pytest.mark.client
def test_openstack_volumes(program: Program, tmp_path: Path) -> None:
    """Volumes as people type them; a volume of the API is one of the store."""

    def openstack(*words: str) -> str:
        return run(program, "openstack", "volume", *words, cwd=tmp_path)

    def status(kind: tuple[str, ...], name: str) -> str:
        return openstack(*kind, "show", name, "-f", "value", "-c", "status").strip()

    id_ = openstack("create", "--size", "1", "--property", "a=b", "web", "-f", "value", "-c", "id").strip()
    until(lambda: status((), "web") == "available", PATIENCE)
    assert f"volume-{id_}" in program.command("volume", "list").stdout
    openstack("set", "--size", "2", "--name", "shop", "web")
    openstack("snapshot", "create", "--volume", "shop", "monday")
    until(lambda: status(("snapshot",), "monday") == "available", PATIENCE)
    openstack("create", "--snapshot", "monday", "clone")
    until(lambda: status((), "clone") == "available", PATIENCE)
    assert openstack("list", "-f", "value", "-c", "Name", "-c", "Size").split() == ["clone", "2", "shop", "2"]
    assert "standard" in openstack("type", "list")
    assert "gigabytes" in run(program, "openstack", "quota", "show", "--volume", cwd=tmp_path)
    openstack("snapshot", "delete", "monday")
    until(lambda: "monday" not in openstack("snapshot", "list"), PATIENCE)
    openstack("delete", "shop", "clone")
    until(lambda: openstack("list", "-f", "value") == "", PATIENCE)
    assert "volume-" not in program.command("volume", "list").stdout


@pytest.mark.client
def test_openstack(program: Program, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(os.urandom(200_000))
    run(program, "openstack", "container", "create", "pets", cwd=tmp_path)
    run(program, "openstack", "object", "create", "pets", "cat.jpg", cwd=tmp_path)
    assert run(program, "openstack", "object", "list", "pets", "-f", "value", cwd=tmp_path).split() == ["cat.jpg"]
    shown = run(program, "openstack", "object", "show", "pets", "cat.jpg", "-f", "json", cwd=tmp_path)
    assert hashlib.md5((tmp_path / "cat.jpg").read_bytes()).hexdigest() in shown
    run(program, "openstack", "object", "save", "--file", "back.jpg", "pets", "cat.jpg", cwd=tmp_path)
    assert (tmp_path / "back.jpg").read_bytes() == (tmp_path / "cat.jpg").read_bytes()
    assert "object-store" in run(program, "openstack", "catalog", "list", cwd=tmp_path)
    run(program, "openstack", "object", "delete", "pets", "cat.jpg", cwd=tmp_path)
    run(program, "openstack", "container", "delete", "pets", cwd=tmp_path)


@pytest.mark.client
@pytest.mark.parametrize("policy", ["standard", "archive"])
def test_swift(program: Program, tmp_path: Path, policy: str) -> None:
    for number in range(3):
        (tmp_path / f"file-{number}").write_bytes(os.urandom(1_500_000 * number + 10))
    name = f"swift-{policy}"
    run(program, "swift", "post", "-H", f"X-Storage-Policy: {policy}", name, cwd=tmp_path)
    run(program, "swift", "upload", name, "file-0", "file-1", cwd=tmp_path)
    run(program, "swift", "upload", "--use-slo", "--segment-size", "1000000", name, "file-2", cwd=tmp_path)
    assert run(program, "swift", "list", name, cwd=tmp_path).split() == ["file-0", "file-1", "file-2"]
    assert "3000010" in run(program, "swift", "stat", name, "file-2", cwd=tmp_path)
    (tmp_path / "back").mkdir()
    run(program, "swift", "download", "-D", "back", name, cwd=tmp_path)
    for number in range(3):
        assert (tmp_path / "back" / f"file-{number}").read_bytes() == (tmp_path / f"file-{number}").read_bytes()
    run(program, "swift", "post", "-m", "Color:grey", name, "file-0", cwd=tmp_path)
    assert "Meta Color: grey" in run(program, "swift", "stat", name, "file-0", cwd=tmp_path)
    run(program, "swift", "copy", "-d", f"/{name}/copied", name, "file-1", cwd=tmp_path)
    run(program, "swift", "delete", name, cwd=tmp_path)


@pytest.mark.client
def test_rclone(program: Program, tmp_path: Path) -> None:
    assert shutil.which("rclone"), "setup-system test installs rclone"
    source = tmp_path / "source"
    for name in ("a/b/c.txt", "größe %41.txt", "big"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(3_000_000 if name == "big" else 50))
    rclone = ("rclone", "--config", str(program.folder / "rclone.conf"))
    run(program, *rclone, "copy", str(source), "drystone:backup/here", cwd=tmp_path)
    run(program, *rclone, "check", "--download", str(source), "drystone:backup/here", cwd=tmp_path)
    listed = run(program, *rclone, "lsf", "-R", "--files-only", "drystone:backup", cwd=tmp_path).splitlines()
    assert sorted(listed) == ["here/a/b/c.txt", "here/big", "here/größe %41.txt"]
    run(program, *rclone, "purge", "drystone:backup", cwd=tmp_path)


@pytest.mark.client
def test_curl(program: Program, tmp_path: Path) -> None:
    client = Client(program)
    assert client.object("PUT", "curl").status == 201
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    url = f"{program.url}{program.account}/curl/file"
    token = f"X-Auth-Token: {program.token}"
    run(program, "curl", "-fsS", "-H", token, "-T", "file", url, cwd=tmp_path)
    run(program, "curl", "-fsS", "-H", token, "-H", "Transfer-Encoding: chunked", "-T", "file", url + "2", cwd=tmp_path)
    run(program, "curl", "-fsS", "-H", token, "-r", "100-199", "-o", "part", url, cwd=tmp_path)
    assert (tmp_path / "part").read_bytes() == (tmp_path / "file").read_bytes()[100:200]
    run(program, "curl", "-fsS", "-H", token, "-o", "whole", url + "2", cwd=tmp_path)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "file").read_bytes()
    client.close()
