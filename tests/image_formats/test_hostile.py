"""What is to be refused is, for the reason that it has, however it comes."""

from __future__ import annotations

import re

import pytest

from tests.image_formats import oracle
from tests.image_formats.hostile import HOSTILE
from tests.image_formats.inspecting import CHUNKS, answer, looked_up_answer
from tests.nbd.test_stock_clients import needs

pytestmark = needs("qemu-img")

STRICTER = (
    "qcow2 called raw",
    "vmdk of an ESX called raw",
)
"""Some of what is refused here and not by stock Glance."""


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused(name: str) -> None:
    content, said, why = HOSTILE[name]()
    answers = {answer(content, said, chunk) for chunk in CHUNKS}
    answers.add(looked_up_answer(content, said))
    (told,) = answers
    assert isinstance(told, str)
    assert re.search(why, told)


@pytest.mark.parametrize("name", STRICTER)
def test_some_is_what_stock_glance_takes(name: str) -> None:
    content, said, _ = HOSTILE[name]()
    assert oracle.accepts(content, said)
