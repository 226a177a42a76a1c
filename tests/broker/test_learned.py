"""What models have learned, after a detector was changed, renamed, deleted, or an entity was gone for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.fencing.fence import Fold, parse_key
from tests.broker.records import START, points
from tests.cluster import Cluster, document
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import SLOW_TEST, eventually
from tests.live import error_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)]

NewTopic = Callable[..., TopicUnderTest]

OTHER = [{"feature_name": "mean", "feature_enabled": True, "aggregation_query": {"mean": {"max": {"field": "value"}}}}]


@pytest.mark.parametrize(("change", "anew"), [({"name": "another-name"}, False), ({"feature_attributes": OTHER}, True)])
def test_models_go_on_after_a_rename_and_begin_anew_after_another_change(
    broker: Broker, new_topic: NewTopic, topic_prefix: str, change: dict[str, Any], anew: bool
) -> None:
    topic = new_topic(topic_prefix + "m")
    with Cluster(broker.bootstrap, topic_prefix + "own.", statistics_interval=0.5) as cluster:
        worker = cluster.start_worker()
        detector = cluster.create(topic.name)
        cluster.start(detector)
        cluster.produce(topic.name, points(range(60), value=5.0))
        before = cluster.results(detector, 60)
        assert before[f"{detector}|a|{START + 60_000}"]["confidence"] > 0
        assert cluster.command("job.stop", detector)["error"] is None
        changed = {**document(detector, topic.name), **change}
        assert cluster.command("detector.put", detector, detector=changed)["error"] is None
        cluster.start(detector)
        cluster.produce(topic.name, points(range(100, 103), value=5.0))
        key = f"{detector}|a|{START + 101_000}"
        result = cluster.results(detector, lambda found: key in found)[key]
        assert (result["confidence"] == 0) == anew
        if anew:
            error_of(cluster, detector, "the models began anew")
        assert worker.stop() == 0


def models(cluster: Cluster, detector: str) -> set[str]:
    """The entities of a detector that have checkpoints now."""
    folds: dict[str, Fold] = {}
    for message in cluster.everything("checkpoints"):
        text = message.key().decode()
        key = parse_key(text)
        assert key is not None
        folds.setdefault(key.share, Fold(key.share)).add(message.offset(), text, message.value())
    names = [name for fold in folds.values() for name, held in fold.held.items() if held.value is not None]
    return {name.partition("|")[2] for name in names if name.partition("|")[0] == detector}


def test_deleted_detectors_and_entities_that_are_gone_leave_no_checkpoints(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    day = 86_400_000
    with Cluster(broker.bootstrap, topic_prefix + "own.", model_lifetime=1, model_checkpoint_windows=1) as cluster:
        worker = cluster.start_worker()
        kept, deleted = cluster.create(topic.name), cluster.create(topic.name)
        for detector in (kept, deleted):
            cluster.start(detector)
        hosts = [f"pod-{number}" for number in range(20)]
        cluster.produce(topic.name, [{"time": START, "host": host, "value": 1.0} for host in hosts])
        later = [{"time": START + 2 * day + 1000 * second, "host": "stays", "value": 1.0} for second in range(100)]
        eventually("all have checkpoints", lambda: models(cluster, kept) == models(cluster, deleted) == set(hosts))
        cluster.produce(topic.name, later)
        eventually("who is gone has none", lambda: models(cluster, kept) == {"stays"}, every=1.0)
        assert cluster.command("job.stop", deleted)["error"] is None
        eventually("stopped, it has its models", lambda: models(cluster, deleted) == {"stays"}, every=1.0)
        assert cluster.command("detector.delete", deleted)["error"] is None
        eventually("deleted, it has none", lambda: models(cluster, deleted) == set(), every=1.0)
        assert models(cluster, kept) == {"stays"}
        assert worker.stop() == 0
