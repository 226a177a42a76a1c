"""OpenSearch's JavaScript client drives the life cycle, unchanged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.api.conftest import minute_records, running_api
from tests.conftest import Broker
from tests.deadlines import EVENT
from tests.processes import bound

SCRIPT = Path(__file__).with_name("life_cycle.mjs")


def test_life_cycle(node_folder: Path, broker: Broker) -> None:
    with running_api(broker) as api:
        document = api.detector(api.source(minute_records()), name="js", category_field=["host"])
        done = subprocess.run(
            bound(["node", SCRIPT, api.url, json.dumps(document)]),
            cwd=node_folder,
            capture_output=True,
            text=True,
            timeout=EVENT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
