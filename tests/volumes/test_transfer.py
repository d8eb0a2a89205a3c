"""What an import and an export ask of the serving process, where that does not go as it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drystone import volume_transfer
from drystone.folder import DataFolder
from store.core.errors import ConflictError, DrystoneError, NotFoundError, RetryableError

FOLDER = DataFolder("/nowhere")


class Process:
    """Answers what it is told to, and knows what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def exchange(
        self, folder: DataFolder, method: str, path: str, body: bytes | None, timeout: float | None = None
    ) -> bytes:
        what = path.partition("?")[0].rpartition("/")[2] if method == "POST" else method
        self.asked.append(what)
        answer = self.answers.get(what, {})
        if isinstance(answer, DrystoneError):
            raise answer
        return json.dumps(answer).encode()


def process(monkeypatch: pytest.MonkeyPatch, **answers: object) -> Process:
    made = Process(**answers)
    monkeypatch.setattr(volume_transfer, "exchange", made.exchange)
    return made


def make() -> None:
    with volume_transfer._volume_being_made(FOLDER, "web", {}) as name:
        assert name.startswith("web-importing-")


def test_it_has_its_name_when_all_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = process(monkeypatch, flush={"epoch": 1})
    make()
    assert asked.asked == ["volumes", "flush", "name"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"flush": {"epoch": 2}}, "opened anew"),  # what was answered before may not be there
        ({"flush": RetryableError("too few devices")}, "too few"),
        ({"volumes": RetryableError("nobody can tell")}, "nobody can tell"),  # it may have been made
        ({"flush": {"epoch": 1}, "name": ConflictError("there is one")}, "there is one"),
        ({"flush": RetryableError("too few devices"), "DELETE": NotFoundError("none")}, "too few"),
        ({"flush": RetryableError("too few devices"), "DELETE": RetryableError("no")}, "too few"),
    ],
)
def test_it_is_removed_where_it_cannot_have_its_name(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, object], why: str
) -> None:
    asked = process(monkeypatch, **answers)
    with pytest.raises(DrystoneError, match=why):
        make()
    assert asked.asked[-1] == "DELETE"


def test_what_may_have_its_name_already_is_not_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would go under both names."""
    asked = process(monkeypatch, flush={"epoch": 1}, name=RetryableError("nobody can tell"))
    with pytest.raises(RetryableError):
        make()
    assert asked.asked[-1] == "name"
    assert "drystone volume rename web-importing-" in capsys.readouterr().err


def test_a_snapshot_for_an_export_is_deleted_also_where_it_may_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = process(monkeypatch, snapshots=RetryableError("nobody can tell"))
    with pytest.raises(RetryableError), volume_transfer._snapshot_for(FOLDER, "web", take_over=False):
        pass
    assert asked.asked == ["snapshots", "DELETE"]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "image"

    def export() -> None:
        with volume_transfer._replaced(str(path), force=False) as partial:
            Path(partial).write_bytes(b"new")
            path.write_bytes(b"other")

    with pytest.raises(ConflictError, match="--force"):
        export()
    assert path.read_bytes() == b"other"
    assert list(tmp_path.iterdir()) == [path]
