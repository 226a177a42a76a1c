from __future__ import annotations

import sys

import pytest

from streams.forest import ForestSpec, kernel, open_bank
from streams.forest.compiled import CompiledBank
from streams.forest.kernel import KernelUnavailable, choose, in_use

SPEC = ForestSpec(features=1, seed=1)


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_in_use", None)
    monkeypatch.delenv("RIVERWATCH_KERNEL", raising=False)


def test_the_environment_decides_what_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVERWATCH_KERNEL", "numpy")
    assert not isinstance(open_bank(SPEC, 1), CompiledBank)
    assert in_use() == choose("numpy")
    assert in_use().reason == ""


def test_the_compiled_kernel_is_taken_where_it_is() -> None:
    if kernel.why_not_compiled():
        pytest.skip(kernel.why_not_compiled())
    assert isinstance(open_bank(SPEC, 1), CompiledBank)
    assert choose("compiled") == choose("auto")


def test_without_it_numpy_is_used_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streams.forest._kernel", None)
    assert choose("auto").name == "numpy"
    assert "was not built" in in_use().reason
    assert not isinstance(open_bank(SPEC, 1), CompiledBank)
    with pytest.raises(KernelUnavailable, match="RIVERWATCH_KERNEL is compiled, but"):
        choose("compiled")


def test_one_that_was_built_from_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        FINGERPRINT = "0"

    monkeypatch.setitem(sys.modules, "streams.forest._kernel", Old)
    assert choose("auto").name == "numpy"
    assert "has changed since it was built" in in_use().reason
