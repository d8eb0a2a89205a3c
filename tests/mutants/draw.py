"""Mutants made from the syntax tree: every small mistake of a few kinds that can be made in a file.

comparisons     the neighbour (`<` and `<=`), or the opposite (`==` and `!=`)
conditions      one part of an `and` or `or` is left out; a `not` is left out
arithmetic      `+` and `-` exchanged; a whole number is one more
guards          an `if` that only leaves (return, raise, continue, break) never does, or always does
statements      a call or an await whose value nobody uses is left out: a sync, a wait, a note

Not touched: annotations, defaults, asserts (they state what holds anyway), constants of modules (they are tunables, and
have tests of their own where they matter), and what is said to people (the log, texts of errors).
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.mutants.mutant import PACKAGES, ROOT, Mutant, stages_for

_NEIGHBOURS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Change(NamedTuple):
    """One node in a function becomes another text."""

    function: str
    node: ast.expr | ast.stmt
    after: str


def drawn(count: int, seed: int, root: Path = ROOT) -> list[Mutant]:
    """So many of all mutants of the tree. The same for the same seed and the same tree."""
    everything = [mutant for file in files(root) for mutant in mutants_of(file, (root / file).read_text())]
    return Random(seed).sample(everything, min(count, len(everything)))


def files(root: Path = ROOT) -> list[str]:
    """All files that mutants are drawn from."""
    found = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return sorted(path.relative_to(root).as_posix() for path in found if path.name != "__init__.py")


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """All mutants of one file. What names one is what it says, not where it stands: lines move."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen: Counter[str] = Counter()
    for function, node, after in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[node.end_lineno - 1] + node.end_col_offset
        said = " ".join(raw[start:stop].decode().split())
        name = f"{file} {function}: {said} -> {after}"
        seen[name] += 1
        if seen[name] > 1:
            name += f" ({seen[name]})"
        mutated = (raw[:start] + after.encode() + raw[stop:]).decode()
        yield Mutant(name, file, source, mutated, stages_for(file))


def _changes(module: ast.Module) -> Iterator[Change]:
    for function, body in _functions(module, ""):
        for statement in body:
            for node in _walk(statement):
                for place, after in _alternatives(node):
                    yield Change(function, place, after)


def _functions(node: ast.AST, outer: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    """(dotted name, body) of every function; what is nested in one belongs to that."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{outer}{child.name}", child.body
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{outer}{child.name}.")


def _walk(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """A statement and all in it that may be changed."""
    if isinstance(node, ast.Assert | ast.JoinedStr | ast.Raise) or _is_said(node):
        return
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "args", "decorator_list") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _is_said(node: ast.AST) -> bool:
    """Whether it is a docstring, or speaks to the log."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return isinstance(value.func.value, ast.Name) and value.func.value.id == "log"
    return isinstance(value, ast.Constant)


def _alternatives(node: ast.expr | ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What may become of it: (the node that is replaced, by what). Brackets keep what stands around it apart."""
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                changed = copy.deepcopy(node)
                changed.ops[number] = _NEIGHBOURS[type(operator)]()
                yield node, f"({ast.unparse(changed)})"
        case ast.BoolOp():
            for number in range(len(node.values)):
                rest = [value for place, value in enumerate(node.values) if place != number]
                left = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield node, f"({ast.unparse(left)})"
        case ast.UnaryOp(op=ast.Not()):
            yield node, f"({ast.unparse(node.operand)})"
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield node, f"({ast.unparse(ast.BinOp(node.left, other, node.right))})"
        case ast.Constant(value=bool(truth)):
            yield node, repr(not truth)
        case ast.Constant(value=int(number)):
            yield node, repr(number + 1)
        case ast.If(orelse=[], body=[*_, last]) if isinstance(last, _LEAVES):
            yield node.test, "False"
            yield node.test, "True"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield node, "pass"
