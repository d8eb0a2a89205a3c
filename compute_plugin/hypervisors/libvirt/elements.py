"""Elements of XML for libvirt. ElementTree escapes what they carry; what XML cannot carry at all is taken out here."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from store.core.errors import InvalidError

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE: Final = re.compile(r"[\s\x85\u2028\u2029]+")


def add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """A new child."""
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = text
    return child


def parsed(text: str) -> Element:
    """What libvirt says."""
    return ElementTree.fromstring(text)  # noqa: S314 - libvirt wrote it, not a client


def text_of(root: Element) -> str:
    """As libvirt takes it, indented."""
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def one_line(text: str) -> str:
    """What people wrote, in one line and without characters that XML has no way to say."""
    return _SPACE.sub(" ", _NOT_XML.sub("", text)).strip()


def checked(what: str, text: str) -> str:
    """Raises InvalidError where a name or a path has characters that end a line, or that XML cannot carry."""
    if _NOT_XML.search(text) or any(letter in text for letter in "\t\n\r"):
        raise InvalidError(f"{what} has control characters: {text!r}")
    return text
