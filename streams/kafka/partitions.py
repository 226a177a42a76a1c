"""What Kafka says about topics and partitions that others own: their ids, their first and end offsets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition, Uuid
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.kafka.error_codes import GONE
from streams.kafka.extent import Extent
from streams.kafka.reading import LEADER_SECONDS
from streams.kafka.tp import TP

_NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_NO_ID = str(Uuid(0, 0))


class Partitions:
    """Asks Kafka, with one client for all questions. Blocking; raises ``KafkaException`` when Kafka is away."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._configuration = dict(client)
        self._admin: AdminClient | None = None

    @property
    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._configuration, logger=None)
        return self._admin

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The ids of those of the topics that are there: one that was deleted and made anew has another id.

        Brokers before Kafka 2.8 know no ids: "" then.
        """
        wanted = sorted(set(topics))
        if not wanted:
            return {}
        ids = {}
        for topic, future in self._client.describe_topics(TopicCollection(wanted), request_timeout=10.0).items():
            try:
                number = str(future.result().topic_id)
            except KafkaException as error:
                if error.args[0].code() not in GONE:
                    raise
            else:
                ids[topic] = "" if number == _NO_ID else number
        return ids

    def extents(self, tps: Iterable[TP]) -> dict[TP, Extent]:
        """All of these partitions; one that is gone is empty."""
        wanted = list(tps)
        ids = self.ids(tp.topic for tp in wanted)
        lows, highs = (self._offsets(wanted, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
        return {tp: Extent(lows.get(tp, 0), highs.get(tp, 0), ids.get(tp.topic, "")) for tp in wanted}

    def _offsets(self, tps: Iterable[TP], spec: Any) -> dict[TP, int]:
        missing, offsets = set(tps), dict[TP, int]()
        deadline = time.monotonic() + LEADER_SECONDS
        while missing:
            asked: Mapping[TopicPartition, Any] = self._client.list_offsets(
                {TopicPartition(tp.topic, tp.partition): spec for tp in missing}, request_timeout=10.0
            )
            for place, future in asked.items():
                tp = TP(place.topic, place.partition)
                try:
                    offsets[tp] = int(future.result().offset)
                except KafkaException as error:
                    code = error.args[0].code()
                    # A topic that was just created, or whose broker was just lost.
                    if code in _NO_LEADER and time.monotonic() < deadline:
                        continue
                    if code not in GONE:
                        raise
                missing.discard(tp)
            if missing:
                time.sleep(0.1)
        return offsets
