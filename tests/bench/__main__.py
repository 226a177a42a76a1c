"""Lists the benchmarks (``make bench``) or runs one (``make bench ARGS="live --windows 20"``)."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the benchmark that is named, or print each with the first line of its docstring."""
    if len(sys.argv) > 1:
        del sys.argv[0]
        runpy.run_module(f"tests.bench.{sys.argv[0]}", run_name="__main__", alter_sys=True)
        return
    print("Run one with: make bench ARGS=NAME, or .venv/bin/python -m tests.bench.NAME\n")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = ast.parse(path.read_text())
        about = (ast.get_docstring(module) or "").splitlines()
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            print(f"  {path.stem:20} {about[0] if about else ''}")


if __name__ == "__main__":
    main()
