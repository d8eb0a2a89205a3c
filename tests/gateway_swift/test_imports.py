"""The shape of the gateway: chains of imports are short, there is no circle, and each folder has one way in."""

from __future__ import annotations

import functools

import grimp
import pytest

CHAIN_MAX = 8
"""Modules in a chain of imports."""

FOLDERS = ("containers", "reading", "writing", "large", "bulk", "sites", "forms")
"""Those that each serve one kind of request; `protocol` and `access` are what they are written in."""


@functools.cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("gateway", cache_dir=None)


@pytest.mark.parametrize("root", ["gateway.swift", "gateway.objects"])
def test_there_is_no_circle_and_no_long_chain(root: str) -> None:
    longest: dict[str, list[str]] = {}

    def chain(module: str, above: tuple[str, ...]) -> list[str]:
        assert module not in above, f"a circle: {above[above.index(module) :]}"
        if module not in longest:
            below = [
                chain(each, (*above, module))
                for each in graph().find_modules_directly_imported_by(module)
                if each.startswith(root)
            ]
            longest[module] = [module, *max(below, key=len, default=[])]
        return longest[module]

    modules = [module for module in graph().modules if module.startswith(root)]
    assert len(modules) > 30
    for module in modules:
        if root == "gateway.swift":
            assert len(chain(module, ())) <= CHAIN_MAX
        else:
            chain(module, ())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_one_way_in(folder: str) -> None:
    way_in = f"gateway.swift.{folder}"
    inside = {module for module in graph().modules if module.startswith(way_in + ".")}
    assert inside
    for module in inside:
        importers = graph().find_modules_that_directly_import(module)
        assert {each for each in importers if each.startswith("gateway.")} <= inside | {way_in}, module
