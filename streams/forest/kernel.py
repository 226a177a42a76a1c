"""Which kernel the default model runs on: NumPy's, the reference, or its compiled twin, equal to the last bit.

The twin (_kernel.c, compiled.py) is optional. It is built when Riverwatch is installed and a C compiler is there.
A twin that was built beside other sources than those that lie here now is not used: it may differ.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from schemas.errors import RiverwatchError
from streams.forest.fingerprint import fingerprint

Choice = Literal["auto", "numpy", "compiled"]

VARIABLE = "RIVERWATCH_KERNEL"


class KernelUnavailable(RiverwatchError):
    """The kernel that was asked for doesn't exist, or not here."""


@dataclass(frozen=True)
class Kernel:
    """``name`` is ``numpy`` or ``compiled``; ``reason`` says why ``auto`` did not take the compiled one."""

    name: Literal["numpy", "compiled"]
    reason: str = ""


def choose(choice: str) -> Kernel:
    """The kernel of all banks that this process opens from now on. ``auto`` prefers the compiled one.

    Raises ``KernelUnavailable`` for an unknown choice, and when ``compiled`` is asked for and can't be had.

    >>> choose("fast")
    Traceback (most recent call last):
    ...
    streams.forest.kernel.KernelUnavailable: RIVERWATCH_KERNEL must be one of: auto, numpy, compiled
    """
    global _in_use
    if choice not in get_args(Choice):
        raise KernelUnavailable(f"{VARIABLE} must be one of: {', '.join(get_args(Choice))}")
    reason = "" if choice == "numpy" else why_not_compiled()
    if choice == "compiled" and reason:
        raise KernelUnavailable(f"{VARIABLE} is compiled, but there is no compiled kernel: {reason}")
    _in_use = Kernel("numpy" if choice == "numpy" or reason else "compiled", reason)
    return _in_use


def in_use() -> Kernel:
    """What was chosen last; what the environment says if nothing was."""
    return _in_use or choose(os.environ.get(VARIABLE) or "auto")


def why_not_compiled() -> str:
    """Why the compiled kernel can't be used; empty if it can."""
    try:
        built_from = compiled().FINGERPRINT
    except ImportError as error:
        return f"it was not built when Riverwatch was installed ({error})"
    if built_from != fingerprint(Path(__file__).parent):
        return "streams/forest has changed since it was built; install Riverwatch anew (make install)"
    return ""


def compiled() -> Any:
    """The compiled module. Raises ``ImportError``."""
    return importlib.import_module("streams.forest._kernel")


_in_use: Kernel | None = None
