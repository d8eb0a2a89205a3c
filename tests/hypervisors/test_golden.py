"""The XML of domains, as it is kept in `golden`. GOLDEN=write writes it anew: then `git diff` is to be read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.hypervisors.scenes import HOSTILE, SCENES

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", SCENES)
def test_the_xml_is_as_it_was(name: str) -> None:
    text = SCENES[name]() + "\n"
    path = FOLDER / f"{name}.xml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.skipif(shutil.which("virt-xml-validate") is None, reason="there is no virt-xml-validate")
@pytest.mark.parametrize("name", SCENES)
def test_libvirts_schema_takes_it(name: str) -> None:
    judged = subprocess.run(
        ["virt-xml-validate", str(FOLDER / f"{name}.xml"), "domain"], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stderr


@pytest.mark.parametrize("name", [name for name in SCENES if name.endswith("hostile")])
def test_hostile_text_is_only_text(name: str) -> None:
    """The domain has the elements that one without it has, and its title is one line."""
    root = ElementTree.fromstring(SCENES[name]())
    assert root.find("devices/x") is None
    title = root.findtext("title", "")
    assert title == HOSTILE.translate({0: None, 8: None, 0xD800: None, 0xFFFE: None, 10: " "})
