"""The plan of changes to Riverwatch's topics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.topics.plan import ExistingTopic, plan
from schemas.topics import TOPICS


@given(
    model_partitions=st.integers(1, 64),
    missing=st.sets(st.sampled_from(sorted(TOPICS))),
    spoilt=st.sets(st.sampled_from(sorted(TOPICS))),
)
def test_a_plan_carried_out_leaves_nothing_to_do(model_partitions: int, missing: set[str], spoilt: set[str]) -> None:
    existing = {
        topic.full_name("p."): ExistingTopic(
            topic.partitions(model_partitions), {} if topic.name in spoilt else topic.config()
        )
        for topic in TOPICS.values()
        if topic.name not in missing
    }
    first = plan(existing, prefix="p.", model_partitions=model_partitions)
    assert not first.problems
    assert {change.topic for change in first.changes} == {"p." + name for name in missing | spoilt}
    for change in first.changes:
        before = existing.get(change.topic)
        existing[change.topic] = ExistingTopic(
            change.partitions, {**(before.config if before else {}), **change.config}
        )
    assert plan(existing, prefix="p.", model_partitions=model_partitions).changes == []
