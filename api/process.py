"""One API process: its parts, what connects them, and their start and end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.detectors.catalog import Catalog
from api.detectors.checks import Checks
from api.detectors.previews import Previews
from api.documents.routes import ApiDocuments
from api.http.app import Application
from api.http.errors import unavailable
from api.http.routes import ROUTES
from api.kafka.commands import Commands
from api.kafka.document_feed import DocumentFeed
from api.kafka.readiness import Readiness
from api.kafka.source_topics import SourceTopics
from api.nodes.view import Nodes
from api.results.deletions import Deletions
from api.results.feed import ResultsFeed
from api.results.queries import Queries
from api.results.retention import Retention
from api.results.store import ResultsStore
from api.search.aggregations.slice import Allowed
from api.security.access import Access
from api.security.authentication import Authenticator
from api.security.users import read_users
from api.settings import ApiSettings
from schemas.command import decode_reply
from schemas.query.errors import Limits
from schemas.topics import TOPICS
from streams.kafka.follower import Followed, KafkaRecord
from streams.schema_registry.client import SchemaRegistry


class ApiProcess:
    """Everything of one API process. Raises ``UsersInvalid`` for a file of users that cannot be used."""

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.catalog = Catalog()
        self.nodes = Nodes(settings.node_silence)
        client = settings.kafka_client()
        self.commands = Commands(client, self._full_name("control"), settings.command_timeout)
        self.source_topics = SourceTopics(
            client,
            settings.prefix,
            settings.source_sample,
            settings.source_timeout,
            SchemaRegistry(settings.schema_registry),
        )
        self.previews = Previews(settings, self.commands, self.catalog, lambda: self._read("results"))
        self.results = ResultsFeed(settings, self.previews.take)
        self.queries = Queries(settings.result_readers, settings.request_timeout, self._complete_results)
        self.deletions = Deletions(
            lambda key, value: self.commands.publish(self._full_name("deletions"), key, value),
            lambda: self.source_topics.ends(self._full_name("results")),
            lambda ends: self.results.follower.until_passed("results", ends),
            self.results.delete,
            settings.command_timeout,
        )
        self.retention = Retention(self.catalog, self.results, lambda: self._read("state"), settings.retention_interval)
        self.documents = DocumentFeed(
            client,
            [
                Followed("detectors", self._full_name("detectors"), "beginning"),
                Followed("state", self._full_name("state"), "beginning"),
                Followed("nodes", self._full_name("nodes"), "beginning"),
                Followed("replies", self._full_name("replies"), "end"),
                Followed("deletions", self._full_name("deletions"), "beginning"),
            ],
            {
                "detectors": lambda record: self.catalog.apply_detector(record.key, record.value, record.offset),
                "state": lambda record: self.catalog.apply_state(record.key, record.value, record.offset),
                "nodes": lambda record: self.nodes.apply(record.key, record.value, self._heard(record)),
                "replies": self._reply,
                "deletions": self.deletions.take,
            },
            self.commands.applied,
        )
        self.readiness = Readiness(self.documents.follower, self.results.follower)
        authenticator = (
            None if settings.users is None else Authenticator(read_users(settings.users), settings.passwords_waiting)
        )
        parts = (
            settings,
            self.catalog,
            self.nodes,
            self.commands,
            self.source_topics,
            self.previews,
            self.queries,
            self.deletions,
            self.readiness,
            Access(self.catalog, authenticator),
            Checks(settings, self.catalog, self.source_topics),
            ApiDocuments(ROUTES, settings.prefix),
            Limits(depth=settings.max_query_depth, clauses=settings.max_clauses),
            Allowed(settings.max_buckets, settings.max_top_hits, settings.max_search_seconds),
        )
        self.application = Application(parts, lambda _: self.running())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the topics meanwhile; requests are refused with 503 until the views are complete."""
        await asyncio.to_thread(self.results.open)
        self.commands.start()
        self.documents.start()
        self.results.start()
        retaining = asyncio.create_task(self.retention.run())
        yield
        retaining.cancel()
        await asyncio.wait([retaining])
        await asyncio.to_thread(self.documents.follower.stop)
        await self.deletions.stop()
        for close in (
            self.results.follower.stop,
            self.commands.stop,
            self.source_topics.stop,
            self.queries.close,
            self.results.close,
        ):
            await asyncio.to_thread(close)

    def _complete_results(self) -> ResultsStore:
        self.readiness.require_results()
        return self.results.store()

    def _full_name(self, topic: str) -> str:
        return TOPICS[topic].full_name(self.settings.prefix)

    async def _read(self, topic: str) -> None:
        """Wait until the records that are on a topic now have been read."""
        follower = self.results.follower if topic == "results" else self.documents.follower
        ends = await self.source_topics.ends(self._full_name(topic))
        if not ends:
            raise unavailable(f"topic {topic} is not there")
        await follower.until_passed(topic, ends)

    def _heard(self, record: KafkaRecord) -> float:
        """When a record came (epoch ms): now, or as Kafka dates it when it was there before us."""
        now = time.time() * 1000
        return now if self.documents.follower.caught_up else min(now, record.time)

    def _reply(self, record: KafkaRecord) -> None:
        if record.value is not None:
            self.commands.replied(decode_reply(record.value))
