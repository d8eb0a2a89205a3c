"""A history keeps what was begun, whoever is killed while writing it."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster import history
from tests.cluster.history import Recorder


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorded") as recorder:
        with recorder.operation("p1", "c/o", "put", value="v1") as put:
            put.outcome = "ok"
        with recorder.operation("p1", "c/o", "cas", value="v2", expect=None) as cas:
            cas.output, cas.outcome = {"swapped": False}, "ok"
        with recorder.operation("p1", "c", "list") as listing:
            listing.output, listing.outcome = {"names": ["ö"]}, "ok"
    operations = history.recorded(tmp_path / "recorded")
    assert operations == [put, cas, listing]
    assert all(one.end_ns is not None and one.start_ns <= one.end_ns for one in operations)
    history.write(tmp_path / "history", operations)
    assert history.read(tmp_path / "history") == operations


def test_an_error_leaves_the_outcome_unknown_and_the_end_open(tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorded") as recorder:
        with suppress(OSError), recorder.operation("p1", "c/o", "put", value="v1") as put:
            put.outcome = "ok"
            raise OSError("cut off")
        with recorder.operation("p1", "c/o", "delete"):
            pass
    assert [(one.outcome, one.end_ns) for one in history.recorded(tmp_path / "recorded")] == [("unknown", None)] * 2


def test_every_cut_leaves_what_was_begun(tmp_path: Path) -> None:
    path, cut = tmp_path / "recorded", tmp_path / "cut"
    with Recorder(path) as recorder:
        for number in range(3):
            with recorder.operation("p1", "c/o", "put", value=f"v{number}") as put:
                put.outcome = "ok"
    whole = path.read_bytes()
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        found = history.recorded(cut)
        assert len(found) == (lines + 1) // 2
        assert [one.outcome for one in found].count("ok") == lines // 2


def test_damage_in_the_middle_is_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "recorded"
    path.write_bytes(b'[1, "p1", "c/o", "pu\n[1, {}, null, "ok"]\n')
    with pytest.raises(ValueError):
        history.recorded(path)


def test_whoever_is_killed_leaves_an_operation_of_unknown_outcome(tmp_path: Path) -> None:
    script = f"""
import os, signal, pathlib
from tests.cluster.history import Recorder
recorder = Recorder(pathlib.Path({str(tmp_path / "recorded")!r}))
with recorder.operation("p1", "c/o", "put", value="v1"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    (operation,) = history.recorded(tmp_path / "recorded")
    assert (operation.key, operation.outcome, operation.end_ns) == ("c/o", "unknown", None)


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    def record(recorder: Recorder, name: str) -> None:
        for number in range(200):
            with recorder.operation(name, f"c/{name}", "put", value=f"{name}-{number}") as put:
                put.outcome = "ok"

    with Recorder(tmp_path / "recorded") as recorder:
        threads = [threading.Thread(target=record, args=(recorder, f"p{number}")) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    operations = history.recorded(tmp_path / "recorded")
    assert len(operations) == 800
    assert all(one.key == f"c/{one.process}" and one.outcome == "ok" for one in operations)
