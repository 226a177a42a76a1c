"""The compiled kernel does nothing that C leaves undefined, and touches no memory beside its arrays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from streams.forest import fingerprint
from tests.processes import bound

FOREST = Path(fingerprint.__file__).parent
DRIVER = """
import importlib.util, sys
import numpy as np
import streams.forest as package

spec = importlib.util.spec_from_file_location("streams.forest._kernel", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules["streams.forest._kernel"] = module

from streams.forest import ForestSpec
from streams.forest.compiled import CompiledBank
from tests.streams.forest.test_compiled import SERIES

for number, series in enumerate(SERIES):
    for features, window, height, interval in ((1, 250, 6, 60), (3, 128, 4, 3600), (10, 300, 6, 1)):
        source = np.random.default_rng(number)
        spec = ForestSpec(features=features, seed=1, window=window, height=height, interval=interval)
        bank = CompiledBank(spec, 3)
        values = series(source, 900, features)
        values[source.random(values.shape) < 0.1] = np.nan
        rows, ends = source.integers(0, 3, 900), np.arange(1, 901) * interval * 1000
        for part in np.array_split(np.arange(900), 7):
            bank.step(rows[part], ends[part], values[part])
        bank._models.marks[:] |= 0x7FFF
        bank._models.neutral[:] = -30_000
        bank._models.runs[:] = 2**31 - 1
        bank.step(rows, ends, values)
print("no complaint")
"""


@pytest.mark.slow
def test_sanitizers_find_nothing_in_the_kernel(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    library = subprocess.run(
        bound([compiler, "-print-file-name=libasan.so"]), capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(library).is_file():
        pytest.skip("gcc has no sanitizers here")
    built = tmp_path / "_kernel.abi3.so"
    flags = ["-O1", "-g", "-ffp-contract=off", "-fPIC", "-shared"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    mark = f'-DFINGERPRINT="{fingerprint.fingerprint(FOREST)}"'
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run(bound([compiler, *flags, mark, include, FOREST / fingerprint.SOURCE, "-o", built]), check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(FOREST.parents[1]),
    }
    ran = subprocess.run(
        bound([sys.executable, "-c", DRIVER, built]), env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout == "no complaint\n"
