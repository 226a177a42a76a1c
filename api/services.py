"""What the handlers work with: the views, the way to the coordinator, and whether they can be used now."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import duckdb
import structlog

from api.detectors.catalog import Catalog, Document
from api.detectors.checks import Checks
from api.detectors.previews import Previews, is_preview
from api.http.errors import Challenge, index_not_found, unavailable, unknown_detector
from api.http.requests import Request
from api.kafka.commands import Control
from api.kafka.follower import Followed, Follower, NotNow, Record
from api.kafka.source import Sources
from api.nodes.view import Nodes
from api.results.deletions import Deletions
from api.results.queries import Questions
from api.results.retention import Retention
from api.results.store import ResultsStore
from api.results.store_file import StoreUnusable
from api.search.conditions import Condition
from api.search.deadline import Deadline
from api.search.slice import Allowed
from api.search.sql_slice import Run
from api.security.authentication import Authenticator
from api.security.permissions import Identity, denied
from api.security.users import read_users
from api.security.visibility import Visibility
from api.settings import Settings
from schemas.command import decode_reply
from schemas.detector import DEFAULT_INTERVAL, Detector
from schemas.errors import Refused
from schemas.interval import Interval
from schemas.query import Query
from schemas.query.errors import Limits
from schemas.topics import TOPICS

log = structlog.get_logger()

T = TypeVar("T")

APPLY_AT_ONCE = 250
"""Records applied in one go of the event loop: longer goes would keep requests waiting during a replay."""


@dataclass(frozen=True)
class IndexNames:
    """The names that stand in ``_index``: OpenSearch's, or Search Guard's under its prefix."""

    detectors: str
    tasks: str
    results: str


OPENSEARCH = IndexNames(
    ".opendistro-anomaly-detectors", ".opendistro-anomaly-detection-state", ".opendistro-anomaly-results"
)
SEARCH_GUARD = IndexNames(".searchguard-ad-anomaly-detectors", ".searchguard-ad-state", ".searchguard-ad-results")


def index_names(request: Request) -> IndexNames:
    """The index names of the dialect that a request speaks."""
    return SEARCH_GUARD if request.search_guard else OPENSEARCH


RESULTS_AT_ONCE = 8_000
RESULTS_PAUSE = 0.2
"""A write to the results store takes 17 ms and 8 µs for each result: many small ones would take all of a core."""


class Services:
    """Everything behind the routes of one API process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._authenticator = (
            None if settings.users is None else Authenticator(read_users(settings.users), settings.passwords_waiting)
        )
        self.catalog = Catalog()
        self.nodes = Nodes(settings.node_silence)
        client = settings.kafka_client()
        self.control = Control(client, TOPICS["control"].full_name(settings.prefix), settings.command_timeout)
        self.sources = Sources(client, settings.prefix, settings.source_sample, settings.source_timeout)
        self.checks = Checks(settings, self.catalog, self.sources)
        self._documents = Follower(
            client,
            [
                self._followed("detectors", "beginning"),
                self._followed("state", "beginning"),
                self._followed("nodes", "beginning"),
                self._followed("replies", "end"),
                self._followed("deletions", "beginning"),
            ],
            self._deliver,
        )
        self.query_limits = Limits(depth=settings.max_query_depth, clauses=settings.max_clauses)
        self.allowed = Allowed(settings.max_buckets, settings.max_top_hits, settings.max_search_seconds)
        self._writing = threading.Lock()
        self._questions = Questions(settings.result_readers)
        self.results: ResultsStore | None = None
        self._results_follower = Follower(
            client,
            [Followed("results", TOPICS["results"].full_name(settings.prefix), "stored", self._results_positions)],
            self._deliver_results,
            batch=RESULTS_AT_ONCE,
            pause=RESULTS_PAUSE,
        )
        deletions = TOPICS["deletions"].full_name(settings.prefix)
        self.deletions = Deletions(
            lambda key, value: self.control.publish(deletions, key, value),
            self._results_passed,
            self._delete_results,
            settings.command_timeout,
        )
        self.previews = Previews(settings, self.control, self.catalog, self._results_read)
        self._retention = Retention(self.catalog, self._writing, self._state_read, settings.retention_interval)
        self._retaining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._applied: set[str] = set()
        self._appliers: dict[str, Callable[[Record], None]] = {
            "detectors": lambda record: self.catalog.apply_detector(record.key, record.value, record.offset),
            "state": lambda record: self.catalog.apply_state(record.key, record.value, record.offset),
            "nodes": lambda record: self.nodes.apply(record.key, record.value, self._heard(record)),
            "replies": self._reply,
            "deletions": self.deletions.take,
        }

    async def start(self) -> None:
        """Begin to follow the topics; requests are refused with 503 until the views are there."""
        self._loop = asyncio.get_running_loop()
        results = await asyncio.to_thread(self.open_results)
        self.control.start()
        self._documents.start()
        self._results_follower.start()
        self._retaining = asyncio.create_task(self._retention.run(results))

    async def stop(self) -> None:
        """Stop following and close every client."""
        if self._retaining is not None:
            self._retaining.cancel()
            await asyncio.wait([self._retaining])
        await asyncio.to_thread(self._documents.stop)
        await self.deletions.stop()
        await asyncio.to_thread(self._results_follower.stop)
        await asyncio.to_thread(self.control.stop)
        await asyncio.to_thread(self.sources.stop)
        await asyncio.to_thread(self._questions.close)
        if self.results is not None:
            await asyncio.to_thread(self._close_results, self.results)

    def why_unavailable(self) -> str | None:
        """Why requests cannot be answered now, None when they can."""
        return _why_unavailable(self._documents) or _why_unavailable(self._results_follower)

    def require(self) -> None:
        """Raise 503 unless the documents are complete and Kafka is there."""
        why = _why_unavailable(self._documents)
        if why is not None:
            raise unavailable(why)

    def require_results(self) -> ResultsStore:
        """The results store. Raises 503 unless it is complete; the documents can do without it."""
        why = _why_unavailable(self._results_follower)
        if why is not None or self.results is None:
            raise unavailable(why or "the results store is not open yet")
        return self.results

    def ever_written(self, topic: str) -> bool:
        """Whether the topic ever held a record: OpenSearch's indices exist from the first one on."""
        followers = (self._documents, self._results_follower)
        return topic in self._applied or any(follower.ever_written(topic) for follower in followers)

    def require_detectors(self, resource: str | None = "index_expression") -> None:
        """404 while no detector was ever made, as long as OpenSearch has no index for them."""
        if not self.ever_written("detectors"):
            raise index_not_found(OPENSEARCH.detectors, resource)

    async def identify(
        self, headers: Mapping[str, str], permission: str, certificate: str | None = None, client: str = ""
    ) -> Identity | None:
        """Who asks from where, and that they may; None where nobody is asked. Raises 401, 403 or 429."""
        if self._authenticator is None or permission == "":
            return None
        try:
            identity = await self._authenticator.identify(headers, certificate, client)
        except Challenge as challenge:
            log.warning("authentication refused", action=permission, reason=challenge.reason, **challenge.shown)
            raise
        except Refused as refused:
            log.warning("authentication not tried", action=permission, reason=refused.reason, client=client)
            raise
        if not identity.may(permission):
            log.warning("permission denied", user=identity.user.name, action=permission)
            raise denied(permission, identity.user)
        return identity

    def visibility(self, request: Request) -> Visibility:
        """What is shown to who asks."""
        return Visibility(self.catalog, request.identity)

    def detector(self, id: str, request: Request) -> Document:
        """The detector of this id, or 404; 403 when it is not shown to who asks."""
        found = self.catalog.detectors.get(id)
        if found is None:
            raise unknown_detector(id)
        self.allow(found, request)
        return found

    def allow(self, detector: Document | None, request: Request) -> None:
        """Raise 403 when a detector is not shown to who asks; one that does not exist is left to the caller."""
        identity = request.identity
        if detector is None or identity is None or self.visibility(request).shows_document(detector):
            return
        log.warning(
            "permission denied",
            user=identity.user.name,
            action=f"{request.method} {request.path}",
            detector=detector.id,
        )
        raise Refused(403, f"User does not have permissions to access config: {detector.id}")

    def allow_topics(self, indices: Sequence[str], request: Request) -> None:
        """Raise 403 when who asks may not have all of these topics read, be there any or not."""
        identity = request.identity
        refused = [] if identity is None else [index for index in indices if not identity.may_read(index)]
        if identity is None or not refused:
            return
        names, name = ", ".join(refused[:10]), identity.user.name
        log.warning("permission denied", user=name, action=f"{request.method} {request.path}", topics=names)
        reason = f"User {name} may not read [{names}]: no role of theirs has it among its topics in the file of users"
        raise Refused(403, reason, "security_exception")

    def read_detector(
        self, document: Mapping[str, Any], request: Request, default_interval: Interval | None = DEFAULT_INTERVAL
    ) -> Detector:
        """A detector document in a request. Raises ``Refused``: 400 for a wrong one, 403 for topics not to be read."""
        detector = self.checks.read(document, body=request.body, user=request.user, default_interval=default_interval)
        self.allow_topics(detector.indices, request)
        return detector

    def allow_owning(self, request: Request) -> None:
        """Raise 403 when who asks could not see a detector of their own: they have no backend role."""
        identity = request.identity
        if identity is None or identity.sees({"backend_roles": identity.user.backend_roles}):
            return
        name = identity.user.name
        log.warning("permission denied", user=name, action=f"{request.method} {request.path}")
        reason = f"Filter by backend roles is enabled and User {name} does not have backend roles configured"
        raise Refused(403, reason)

    @staticmethod
    def now() -> int:
        """The wall clock, epoch ms."""
        return int(time.time() * 1000)

    def _followed(self, topic: str, start: str) -> Followed:
        return Followed(topic, TOPICS[topic].full_name(self.settings.prefix), start)  # type: ignore[arg-type]

    def _deliver(self, records: list[Record]) -> None:
        """Called in the follower's thread: apply in the event loop, a little at a time, and wait for it."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        for start in range(0, len(records), APPLY_AT_ONCE):
            applied = asyncio.run_coroutine_threadsafe(self._apply(records[start : start + APPLY_AT_ONCE]), loop)
            applied.result()

    def open_results(self) -> ResultsStore:
        """Open the results store, unless it is open. Raises ``StoreUnusable``."""
        settings = self.settings
        if self.results is None:
            self.results = ResultsStore(
                settings.data.expanduser() / "results",
                origin=f"{settings.brokers}/{settings.prefix}",
                max_bytes=settings.results_bytes,
                max_age_ms=int(settings.results_days * 86_400_000),
            )
        return self.results

    def _close_results(self, store: ResultsStore) -> None:
        with self._writing:
            store.close()

    def _results_positions(self) -> Mapping[int, int]:
        if self.results is None:
            return {}
        try:
            return self.results.positions()
        except Refused as refused:
            raise NotNow(refused.reason) from refused

    def _deliver_results(self, records: list[Record]) -> None:
        """Called in the results follower's thread: previews' results go to them, all others into the store."""
        loop = self._loop
        if self.results is None or loop is None:
            return
        try:
            with self._writing:
                self.results.upsert([_without_preview(record) for record in records])
        except (duckdb.Error, OSError, StoreUnusable, Refused) as error:  # its disk is full, most likely
            raise NotNow(f"the results store cannot be written now: {str(error)[:200]}") from error
        for record in records:
            if is_preview(record):
                loop.call_soon_threadsafe(self.previews.take, record)

    async def ask_results(self, question: Callable[[Run], T]) -> T:
        """Put a question to the results store, in a thread; one that nobody waits for any more is broken off."""
        return await self._questions.ask(self.require_results(), question)

    async def ask_documents(self, search: Callable[[Deadline], T]) -> T:
        """Search in documents in a thread, for as long as any request may take."""
        return await self._questions.search(self.settings.request_timeout, search)

    async def delete_results(self, query: Query, request: Request) -> int:
        """Delete results from the stores of all API processes; how many there were in ours."""
        self.require_results()
        before = await self.sources.ends(TOPICS["results"].full_name(self.settings.prefix))
        return await self.deletions.submit(query, before, self.now(), request.user)

    async def _delete_results(self, condition: Condition, before: Mapping[int, int]) -> int:
        store = self.results
        if store is None:
            raise unavailable("the results store is not open yet")

        def delete() -> int:
            with self._writing:
                return store.delete(condition, before)

        return await asyncio.to_thread(delete)

    async def _results_passed(self, ends: Mapping[int, int]) -> None:
        while not self._results_follower.passed("results", ends):  # noqa: ASYNC110 -- a thread moves it
            await asyncio.sleep(0.02)

    async def _results_read(self) -> None:
        """Wait until the results that are on the topic now have been read."""
        await self._read("results", self._results_follower)

    async def _state_read(self) -> None:
        """Wait until the documents that are on the topic now have been read."""
        await self._read("state", self._documents)

    async def _read(self, name: str, follower: Follower) -> None:
        ends = await self.sources.ends(TOPICS[name].full_name(self.settings.prefix))
        if not ends:
            raise unavailable(f"topic {name} is not there")
        while not follower.passed(name, ends):  # noqa: ASYNC110 -- a thread moves it
            await asyncio.sleep(0.02)

    def _heard(self, record: Record) -> float:
        """When a record came: now, or of those that were there before us, when Kafka says that it was written."""
        now = self.now()
        return now if self._documents.caught_up else min(now, record.time)

    async def _apply(self, records: list[Record]) -> None:
        offsets: dict[str, int] = {}
        for record in records:
            try:
                self._appliers[record.topic](record)
            except Exception as error:  # whatever somebody wrote to the topic: nothing would be answered any more
                log.error("skipped an unreadable record", topic=record.topic, offset=record.offset, error=repr(error))
            offsets[record.topic] = record.offset
        # Before whoever waits for these records is told: the follower counts them a moment later.
        self._applied.update(offsets)
        self.control.applied(offsets)

    def _reply(self, record: Record) -> None:
        if record.value is not None:
            self.control.replied(decode_reply(record.value))


def _why_unavailable(follower: Follower) -> str | None:
    if follower.failure is not None:
        return f"reading Kafka has failed for good: {follower.failure}"
    if follower.problem is not None:
        return follower.problem
    if not follower.caught_up:
        return f"the views are being built: {follower.behind()} records to go"
    return None


def _without_preview(record: Record) -> Record:
    """The record, or in a preview's place one without a value: its offset counts, too."""
    return replace(record, value=None) if is_preview(record) else record
