"""`drystone policy`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from drystone.__main__ import main


def policy(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["policy", *words])
    return done.exit_code, done.output


def test_everything_is_shown_and_a_word_chooses() -> None:
    code, text = policy("show")
    assert code == 0
    assert "identity:list_users" in text
    assert "admin_or_system_reader: rule:admin_required or rule:system_reader" in text
    _, text = policy("show", "trust", "delete")
    assert [line.split()[0] for line in text.splitlines()] == ["identity:delete_trust"]


def test_what_an_operator_changed_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "identity.toml"
    file.write_text('[policy]\n"identity:list_users" = "role:auditor"\nadmin_required = "role:boss"\n')
    _, text = policy("show", "--identity-config", str(file))
    lines = {line[2:].split()[0]: line for line in text.splitlines() if line[:1] in "* " and line.strip()}
    assert lines["identity:list_users"].startswith("*")
    assert lines["identity:list_users"].endswith("role:auditor")
    assert lines["admin_required:"].startswith("*")
    assert lines["identity:get_user"].startswith(" ")
    code, text = policy("check", str(file))
    assert (code, "changes admin_required, identity:list_users." in text) == (0, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[policy]\n"identity:list_user" = "@"\n', "no such operation or rule: identity:list_user"),
        ('[policy]\n"identity:list_users" = "role:admin or"\n', "ends too early"),
        ('[policy]\n"identity:list_users" = 1\n', "a check is a text"),
        ("policy = 1\n", "a table of checks"),
        ('cors_origins = "https://a"\n', "an array of origins"),
        ('cors_origins = ["https://A/"]\n', "an origin is such as"),
    ],
)
def test_what_is_not_understood_is_said(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(text)
    code, said = policy("check", str(file))
    assert code == 1
    assert why in said
    assert str(file) in said


def test_the_policies_of_images_and_volumes_are_shown_and_changed(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text(
        '[image.policy]\n"publicize_image" = "role:member"\n[volume.policy]\n"volume:delete" = "rule:admin_api"\n'
    )
    _, text = policy("show", "--service", "image", "--identity-config", str(file), "publicize")
    assert text.startswith("* publicize_image")
    _, text = policy("show", "--service", "volume", "--identity-config", str(file), "volume:delete")
    assert text.splitlines()[0].startswith("* volume:delete ")
    code, text = policy("check", str(file))
    assert (code, "publicize_image, volume:delete" in text) == (0, True)
    file.write_text("[volume]\npolicies = {}\n")
    code, text = policy("check", str(file))
    assert (code != 0, "volume: a table" in text) == (True, True)
