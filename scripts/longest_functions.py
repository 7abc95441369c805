"""The longest functions of the package, in lines.

.venv/bin/python scripts/longest_functions.py [COUNT]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "everybody"


def functions(file: Path) -> Iterator[tuple[int, str]]:
    """(lines, place) of each function of a file, from its `def` to its end."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            place = f"{file.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}"
            yield node.end_lineno - node.lineno + 1, place


def main(count: int = 5) -> None:
    found = [function for file in PACKAGE.rglob("*.py") for function in functions(file)]
    for lines, place in sorted(found, reverse=True)[:count]:
        print(lines, place)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
