"""One Riverwatch with one worker for all tests of this folder; each test has topics and detectors of its own."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.conftest import Broker


@pytest.fixture(scope="session")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A running Riverwatch."""
    with Cluster(broker.bootstrap, f"shared-{uuid.uuid4().hex[:6]}.") as running:
        worker = running.start_worker()
        yield running
        # Shown by pytest beside a failure.
        sys.stdout.write("\n".join(worker.lines[-100:]))
        assert worker.stop() == 0, "\n".join(worker.lines[-60:])
