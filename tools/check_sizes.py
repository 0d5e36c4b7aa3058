"""Fail when a file of src/ passes 400 lines or a function 60, tables exempt by name."""

import ast
import sys
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
EXEMPT_FILES: frozenset[str] = frozenset()
EXEMPT_FUNCTIONS: frozenset[str] = frozenset()


def complaints(path: Path) -> list[str]:
    """Return one line for everything in `path` that is too long."""
    text = path.read_text()
    found = []
    lines = text.count("\n")
    if lines > MAX_FILE_LINES and path.name not in EXEMPT_FILES:
        found.append(f"{path}: {lines} lines (at most {MAX_FILE_LINES})")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES and node.name not in EXEMPT_FUNCTIONS:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
    return found


def main() -> int:
    """Check src/ and print what is too long."""
    found = [line for path in sorted(Path("src").rglob("*.py")) for line in complaints(path)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
