"""Exit codes: distinct, and none that the shell or click use for something else."""

from __future__ import annotations

from deploy import errors
from deploy.errors import DeployError


def test_every_error_has_an_exit_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DeployError)]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes) == 11
    assert not set(codes) & {0, 2, 126, 127}
