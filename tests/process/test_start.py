"""What a start makes, and what it refuses to make: data that exist are never taken for a new cloud."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.program import Client, Program, running
from tests.process.test_faults import OBJECTS, check_all, fill, status, until

pytestmark = pytest.mark.process


def start(folder: Path, *options: str, listen: str = "127.0.0.1:0") -> subprocess.CompletedProcess[str]:
    """A start that is to be refused."""
    command = [sys.executable, "-m", "drystone", "--data", str(folder), "up", "--no-servers"]
    command += ["--listen", listen, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def refused(folder: Path, *options: str, listen: str = "127.0.0.1:0") -> str:
    """What is said by a start that is refused, in one line or a few, without a traceback."""
    done = start(folder, *options, listen=listen)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Program]:
    """A program with objects, stopped."""
    with running(tmp_path / "data", "--devices", "3", "--replicas", "2") as program:
        fill(program)
        program.stop()
        yield program


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- what is lost is not made anew -----------------------------------------------------------------------------------


def test_a_lost_registry_is_recovered_from_the_devices(filled: Program) -> None:
    shutil.rmtree(filled.folder / "registry")
    before = tree(filled.folder)
    assert "registry recover" in refused(filled.folder)
    assert tree(filled.folder) == before
    password = filled.settings()["OS_PASSWORD"]
    done = filled.command("registry", "recover")
    assert done.returncode == 0, done.stderr
    assert filled.account.rsplit("/", 1)[1] in done.stdout
    filled.start()
    assert filled.settings()["OS_PASSWORD"] == password
    check_all(filled)
    assert all(device["state"] == "ok" for device in status(filled)["devices"])


def test_recovered_accounts_of_several_projects_are_reached_again(filled: Program) -> None:
    filled.start()
    added = filled.command("project", "add", "music")
    music = added.stdout.split()[-1]
    assert filled.command("user", "grant", "admin", "--project", "music", "--role", "admin").returncode == 0
    first = filled.account.removeprefix("/v1/AUTH_")
    filled.sign_in("music")
    fill(filled, "songs")
    filled.stop()
    shutil.rmtree(filled.folder / "registry")
    assert "no account has the project id x" in filled.command("registry", "recover", "--project-id", "x").stderr
    done = filled.command("registry", "recover", "--project-id", music)
    assert done.returncode == 0, done.stderr
    filled.start()
    check_all(filled, "songs")
    assert filled.account == f"/v1/AUTH_{music}"
    filled.sign_in(f"recovered-{first}")
    check_all(filled)
    assert filled.account == f"/v1/AUTH_{first}"


def test_a_damaged_registry_is_moved_away_and_recovered(filled: Program) -> None:
    stored = filled.folder / "registry/data.mdb"
    stored.write_bytes(b"\xa5" * stored.stat().st_size)
    assert "is damaged" in refused(filled.folder)
    done = filled.command("user", "list")
    assert ("is damaged" in done.stderr, "Traceback" in done.stderr) == (True, False)
    assert "move" in filled.command("registry", "recover").stderr
    (filled.folder / "registry").rename(filled.folder / "registry.damaged")
    assert filled.command("registry", "recover").returncode == 0
    filled.start()
    check_all(filled)


def test_a_lost_cluster_file_is_recovered_from_the_devices(filled: Program) -> None:
    stored = (filled.folder / "cluster.json").read_text()
    (filled.folder / "cluster.json").unlink()
    assert "registry recover" in refused(filled.folder)
    assert filled.command("registry", "recover").returncode == 0
    assert (filled.folder / "cluster.json").read_text() == stored
    filled.start()
    check_all(filled)


def test_everything_but_the_devices_is_lost(filled: Program, tmp_path: Path) -> None:
    """The disks are in another machine: what was there is found by the paths of the devices."""
    moved = [tmp_path / f"disk{number}" for number in range(3)]
    for number, path in enumerate(moved):
        (filled.folder / "devices" / str(number)).rename(path)
    shutil.rmtree(filled.folder)
    assert "holds device 0" in refused(filled.folder, *(f"--device={path}" for path in moved))
    done = filled.command("registry", "recover", f"--device={moved[0]}")
    assert "--accept-missing" in done.stderr
    done = filled.command("registry", "recover", *(f"--device={path}" for path in moved))
    assert done.returncode == 0, done.stderr
    filled.start()
    check_all(filled)


def test_recovery_knows_the_newest_ring_and_the_device_that_is_stale(filled: Program, tmp_path: Path) -> None:
    folder = filled.folder / "devices/1"
    folder.rename(tmp_path / "stale")
    folder.mkdir()
    assert filled.command("device", "add", str(folder), "--in-place-of", "1").returncode == 0
    filled.start()
    until(lambda: all(device["state"] == "ok" for device in status(filled)["devices"]), "rejoined")
    filled.stop()
    shutil.rmtree(filled.folder / "registry")
    done = filled.command("registry", "recover", f"--device={tmp_path / 'stale'}")
    assert f"{tmp_path / 'stale'} is an older device 1" in done.stdout, done.stderr
    filled.start()
    check_all(filled)


def test_recovery_refuses_devices_of_two_clusters(filled: Program, tmp_path: Path) -> None:
    with running(tmp_path / "other", "--devices", "1"):
        pass
    shutil.rmtree(filled.folder / "registry")
    done = filled.command("registry", "recover", f"--device={tmp_path / 'other/devices/0'}")
    assert done.returncode == 1
    assert "not of one cluster" in done.stderr


def test_a_placement_key_that_is_not_that_of_the_devices_is_refused(filled: Program) -> None:
    path = filled.folder / "cluster.json"
    text = path.read_text()
    key = text.split('"key": "')[1][:32]
    path.write_text(text.replace(key, "0" * 32))
    assert "placement key" in refused(filled.folder)


# -- devices ---------------------------------------------------------------------------------------------------------


def test_a_folder_without_its_device_is_left_as_it_is(filled: Program) -> None:
    folder = filled.folder / "devices/1"
    folder.rename(filled.folder.parent / "unmounted")
    folder.mkdir()
    filled.start()
    check_all(filled)
    found = {device["device"]: device for device in status(filled)["devices"]}
    assert (found[1]["state"], "is its disk mounted?" in found[1]["why"]) == ("missing", True)
    assert list(folder.iterdir()) == []
    # Its disk is mounted after all: it comes back while the program runs.
    folder.rmdir()
    (filled.folder.parent / "unmounted").rename(folder)
    assert filled.command("device", "retry", "1").returncode == 0
    until(lambda: status(filled)["devices"][1]["state"] == "ok", "back")


def test_a_stale_device_that_comes_back_brings_nothing_back(filled: Program, tmp_path: Path) -> None:
    folder = filled.folder / "devices/1"
    folder.rename(tmp_path / "stale")
    folder.mkdir()
    assert filled.command("device", "add", str(folder), "--in-place-of", "1").returncode == 0
    filled.start()
    until(lambda: all(device["state"] == "ok" for device in status(filled)["devices"]), "rejoined")
    client = Client(filled)
    for name in sorted(OBJECTS)[:15]:
        assert client.object("DELETE", f"c/{name}").status == 204
    client.close()
    filled.stop()
    folder.rename(tmp_path / "new")
    (tmp_path / "stale").rename(folder)
    filled.start()
    first = status(filled)["devices"][1]
    assert "what it holds is not believed" in filled.log()
    until(lambda: status(filled)["devices"][1]["state"] == "ok", f"rejoined, not just believed ({first})")
    assert "device rejoined" in filled.log()
    client = Client(filled)
    assert client.listing("c") == sorted(OBJECTS)[15:]
    client.close()


def test_a_device_whose_folder_vanishes_is_out_and_comes_back(filled: Program) -> None:
    filled.start()
    folder = filled.folder / "devices/1"
    folder.rename(filled.folder.parent / "away")

    def device() -> dict[str, object]:
        found: dict[str, object] = status(filled)["devices"][1]
        return found

    until(lambda: device()["state"] == "out", "out")
    assert not folder.exists()
    check_all(filled)
    assert "its folder is gone" in filled.command("status").stdout
    client = Client(filled)
    assert b'drystone_device_ok{device="1"} 0.0' in client.ask("GET", "/metrics").body
    client.close()
    (filled.folder.parent / "away").rename(folder)
    assert filled.command("device", "retry", "1").returncode == 0
    until(lambda: device()["state"] == "ok", "back")
    assert filled.stop() == 0
    checked = filled.command("device", "check")
    assert checked.returncode == 0, checked.stdout
    filled.start()


def test_an_empty_device_in_place_of_a_lost_one_while_the_program_runs(filled: Program, tmp_path: Path) -> None:
    filled.start()
    assert "serves" in filled.command("device", "add", str(tmp_path), "--in-place-of", "1").stderr
    shutil.rmtree(filled.folder / "devices/1")
    until(lambda: status(filled)["devices"][1]["state"] == "out", "out")
    disk = tmp_path / "disk"
    assert "there is no folder" in filled.command("device", "add", str(disk), "--in-place-of", "1").stderr
    disk.mkdir()
    made = filled.command("device", "add", str(disk), "--in-place-of", "1")
    assert made.returncode == 0, made.stderr
    until(lambda: status(filled)["devices"][1]["state"] == "ok", "filled from the others")
    assert status(filled)["devices"][1]["label"] == str(disk)
    assert f"Device 1 lies in {disk} now" in filled.command("ring", "show").stdout
    assert "is device 1" in filled.command("device", "add", str(disk)).stderr
    filled.stop()
    filled.start()
    check_all(filled)
    assert all(device["state"] == "ok" for device in status(filled)["devices"])


def test_devices_are_made_of_empty_folders_only(filled: Program, tmp_path: Path) -> None:
    assert "there is no folder" in filled.command("device", "add", str(tmp_path / "missing")).stderr
    assert not (tmp_path / "missing").exists()
    assert "device add" in filled.command("ring", "add", str(tmp_path / "missing")).stderr
    (tmp_path / "used").mkdir()
    (tmp_path / "used/letter").touch()
    assert "other files (letter)" in filled.command("device", "add", str(tmp_path / "used")).stderr
    disk = tmp_path / "disk"
    (disk / "lost+found").mkdir(parents=True)
    assert filled.command("device", "add", str(disk)).returncode == 0
    assert "already" in filled.command("device", "add", str(disk)).stderr
    # Unstaged it is none of the ring's, and made anew.
    assert filled.command("ring", "unstage").returncode == 0
    assert filled.command("device", "add", str(disk)).returncode == 0
    assert filled.command("ring", "unstage").returncode == 0
    assert filled.command("ring", "add", str(disk)).returncode == 0
    assert filled.command("ring", "apply").returncode == 0


# -- nothing is saved before it is checked ---------------------------------------------------------------------------


def test_a_policy_that_is_too_wide_changes_nothing(filled: Program) -> None:
    assert "6 devices" in refused(filled.folder, "--policy", "archive=4+2")
    filled.start()
    check_all(filled)


def test_a_first_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "deep/data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "cannot listen" in refused(folder, "--replicas", "1", listen=listen)
    assert "needs 6 devices" in refused(folder, "--policy", "archive=4+2")
    assert list(tmp_path.iterdir()) == []
    disks = [tmp_path / f"disk{number}" for number in range(2)]
    for disk in disks:
        (disk / "lost+found").mkdir(parents=True)
    (disks[1] / "letter").touch()
    assert "other files" in refused(folder, *(f"--device={disk}" for disk in disks))
    assert not folder.parent.exists()
    assert tree(disks[0]) == ["lost+found"]
    (disks[1] / "letter").unlink()
    folder.parent.mkdir()
    with running(folder, *(f"--device={disk}" for disk in disks)) as program:
        fill(program)
        assert [device["label"] for device in status(program)["devices"]] == list(map(str, disks))


def test_a_first_start_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running(folder, "--devices", "1"):
        pass
    # As it is shortly before its end: all is made, and the mark still there.
    (folder / "first-start").write_text('["devices/0"]')
    shutil.rmtree(folder / "devices/0/index")
    for path in [*folder.glob("devices/0/log/*"), folder / "devices/0/in-use", folder / "devices/0/opening"]:
        path.unlink(missing_ok=True)
    before = (folder / "cluster.json").read_text()
    with running(folder, "--devices", "2") as program:
        fill(program)
        assert len(status(program)["devices"]) == 2
    assert (folder / "cluster.json").read_text() != before


@pytest.mark.skipif(os.geteuid() != 0, reason="file systems are mounted by root")
def test_a_disk_that_is_too_small_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m", "drystone-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        assert "at least 336 MB" in refused(tmp_path / "data", f"--device={disk}")
        assert "3 devices on one disk need at least" in refused(disk / "data")
        assert list(disk.iterdir()) == []
        assert not (tmp_path / "data").exists()
        with running(tmp_path / "data", "--devices", "1") as program:
            assert "at least 336 MB" in program.command("device", "add", str(disk)).stderr
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "cannot be written to" in refused(disk / "data")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_all_devices_but_one_are_lost(tmp_path: Path) -> None:
    """With as many copies as devices one is enough, when empty ones take the others' places."""
    with running(tmp_path / "data", "--devices", "3", "--replicas", "3") as program:
        fill(program)
        program.stop()
        for number in (1, 2):
            folder = program.folder / f"devices/{number}"
            shutil.rmtree(folder)
            folder.mkdir()
        shutil.rmtree(program.folder / "registry")
        assert program.command("registry", "recover", "--accept-missing").returncode == 0
        for number in (1, 2):
            made = program.command(
                "device", "add", str(program.folder / f"devices/{number}"), "--in-place-of", str(number)
            )
            assert made.returncode == 0, made.stderr
        program.start()
        until(lambda: all(device["state"] == "ok" for device in status(program)["devices"]), "filled again")
        check_all(program)


def test_a_lost_index_is_made_anew_from_the_log(filled: Program) -> None:
    shutil.rmtree(filled.folder / "devices/1/index")
    filled.start()
    until(lambda: all(device["state"] == "ok" for device in status(filled)["devices"]), "rejoined")
    check_all(filled)
