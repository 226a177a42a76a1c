"""The compiled kernel of the forest. Everything else about this package is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import Extension, setup

FOREST = Path("streams/forest")
# By its path: importing the package would need NumPy, which an isolated build doesn't have.
sources = runpy.run_path(str(FOREST / "fingerprint.py"))

setup(
    ext_modules=[
        Extension(
            "streams.forest._kernel",
            [str(FOREST / sources["SOURCE"])],
            depends=[str(FOREST / header) for header in sources["HEADERS"]],
            # No fused multiply-adds: results must be those of NumPy, on every machine.
            extra_compile_args=["-O3", "-ffp-contract=off"],
            define_macros=[("FINGERPRINT", f'"{sources["fingerprint"](FOREST)}"')],
            py_limited_api=True,
            # Without a C compiler Riverwatch installs all the same and runs on NumPy.
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
