"""Lists the benchmarks: ``make bench`` (each says itself what it needs, and takes ``--help``)."""

from __future__ import annotations

import ast
from pathlib import Path


def main() -> None:
    """Print each benchmark with the first line of its docstring."""
    print("Run one with: .venv/bin/python -m tests.bench.NAME\n")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = ast.parse(path.read_text())
        about = (ast.get_docstring(module) or "").splitlines()
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            print(f"  {path.stem:20} {about[0] if about else ''}")


if __name__ == "__main__":
    main()
