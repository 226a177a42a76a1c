"""A real local Kafka: Apache Kafka 4.3 in KRaft mode, one node, from packages alone.

For development, the demo and tests. It listens on 127.0.0.1 only, without security and without replicas.
"""

from __future__ import annotations

import base64
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.errors import BrokerFailed, DataFolderUnusable, PortTaken
from deploy.local_kafka.jars import cache_folder, kafka_jars
from deploy.local_kafka.java import bundled_java, find_java
from deploy.supervision import guard

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOCK_SECONDS = 20.0

# Only the C1 compiler: formatting takes 0.7 s instead of 1.3 s and starting 1.8 s instead of 2.6 s, but long runs are
# slower. For tests and one-shot tools.
QUICK = ("-XX:TieredStopAtLevel=1",)

LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)


def free_port() -> int:
    """A TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def new_cluster_id() -> str:
    """An id for a new Kafka cluster."""
    # Kafka's own tools avoid a leading dash, which they would take for an option.
    while (name := base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()).startswith("-"):
        pass
    return name


class LocalBroker:
    """A Kafka broker that runs, and answers, inside its ``with`` block.

    ``data_dir`` is created and formatted if it is new; topics in it survive. ``quick`` starts faster and runs slower
    (for tests). ``report`` gets a line when something takes long. ``properties`` are added to the server's
    configuration and override it; brokers that form one cluster have the same ``cluster_id``. ``patience`` is how many
    seconds it may take to answer. When this process dies, even by ``kill -9``, the broker stops as well. Raises a
    ``DeployError`` that says what to do.
    """

    def __init__(
        self,
        port: int,
        data_dir: Path,
        *,
        quick: bool = False,
        heap: str = "1g",
        environment: Mapping[str, str] = os.environ,
        report: Callable[[str], None] = lambda _line: None,
        properties: Mapping[str, object] | None = None,
        cluster_id: str = "",
        patience: float = START_SECONDS,
    ) -> None:
        self.name = "broker"
        self.port = port
        self.data_dir = data_dir.absolute()
        self.bootstrap = f"{HOST}:{port}"
        self.log_file = self.data_dir / "kafka.log"
        self._flags = (f"-Xmx{heap}", *(QUICK if quick else ()))
        self._environment = environment
        self._report = report
        self._properties = properties or {}
        self._patience = patience
        self._cluster_id = cluster_id or new_cluster_id()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        self._claim_data_dir()
        if not port_is_free(self.port):
            raise PortTaken(
                f"Port {self.port} is taken by another process. Choose another one, or, if that is a Kafka that you"
                f" want to use, set RIVERWATCH_BROKERS={self.bootstrap}."
            )
        java = find_java(self._environment, bundled_java())
        jars = kafka_jars(cache_folder(self._environment) / "jars", report=self._report)
        classpath = os.pathsep.join(str(jar) for jar in jars)
        logs = self.data_dir / "log"
        if not logs.exists():
            self._format(java, classpath, logs)
        configuration = self.data_dir / "server.properties"
        configuration.write_text(server_properties(self.port, free_port(), logs, self._properties))
        with self.log_file.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-S", "-E", guard.__file__, str(os.getpid()), str(STOP_SECONDS)),
                    *(str(java), *self._flags, *LOGGING, "-cp", classpath, "kafka.Kafka", str(configuration)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to the whole process group: Kafka must outlive its clients.
                start_new_session=True,
                cwd=self.data_dir,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the broker cleanly; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        # The guard kills Kafka after STOP_SECONDS.
        process.wait()

    def kill(self) -> None:
        """Kill the broker, as a power failure would; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # the kernel kills Kafka with its guard
            process.wait()

    def is_ready(self) -> bool:
        """Whether it is running; ``start`` returns only when it answers."""
        return self._process is not None and self._process.poll() is None

    def ended(self) -> str | None:
        """How it ended, with the end of its log; None while it is running."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"ended with exit code {self._process.returncode}\n{self._log_tail()}"

    def check(self) -> None:
        """Raise ``BrokerFailed`` when Kafka has died."""
        how = self.ended()
        if how is not None:
            raise BrokerFailed(f"Kafka {how}")

    def _claim_data_dir(self) -> None:
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.log_file.touch()
        except OSError as error:
            raise DataFolderUnusable(
                f"Cannot write the data folder {self.data_dir}: {error.strerror}. Choose another one with --data."
            ) from error
        # A broker whose parent was killed needs a moment to stop: an immediate restart must not fail because of it.
        deadline = time.monotonic() + LOCK_SECONDS
        while _is_locked(self.data_dir / "log" / ".lock"):
            if time.monotonic() > deadline:
                raise DataFolderUnusable(
                    f"Another broker uses {self.data_dir}. Stop that one, or choose another folder with --data."
                )
            time.sleep(0.1)

    def _format(self, java: Path, classpath: str, logs: Path) -> None:
        # Formatted under another name first: an interrupted format must not pass for a formatted folder.
        fresh = self.data_dir / f"log.new-{os.getpid()}"
        configuration = self.data_dir / "format.properties"
        configuration.write_text(server_properties(self.port, free_port(), fresh, self._properties))
        run = subprocess.run(
            [
                *(str(java), *QUICK, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath),
                *("kafka.tools.StorageTool", "format", "--cluster-id=" + self._cluster_id, "-c", str(configuration)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        configuration.unlink()
        if run.returncode != 0:
            raise BrokerFailed(f"Kafka could not format {self.data_dir}:\n{(run.stdout + run.stderr)[-2000:]}")
        fresh.rename(logs)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    break
            time.sleep(0.02)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "error_cb": lambda _error: None})
        while time.monotonic() < deadline:
            self.check()
            try:
                if admin.list_topics(timeout=2).brokers:
                    return
            except KafkaException:
                time.sleep(0.05)
        raise BrokerFailed(f"Kafka does not answer after {self._patience:.0f} s.\n{self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join([f"The end of {self.log_file}:", *lines[-12:]])


def _is_locked(file: Path) -> bool:
    """Whether a running Kafka holds its lock (a POSIX lock, as Java takes them)."""
    try:
        with file.open("r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def server_properties(port: int, controller_port: int, logs: Path, overrides: Mapping[str, object]) -> str:
    """Kafka's configuration: broker and controller in one process, small internal topics, no replicas."""
    return (
        "\n".join(
            f"{key}={value}"
            for key, value in {
                "process.roles": "broker,controller",
                "node.id": 1,
                "controller.quorum.voters": f"1@{HOST}:{controller_port}",
                "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
                "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
                "controller.listener.names": "CONTROLLER",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "log.dirs": str(logs).replace("\\", "\\\\"),
                "offsets.topic.replication.factor": 1,
                "offsets.topic.num.partitions": 4,
                "transaction.state.log.replication.factor": 1,
                "transaction.state.log.min.isr": 1,
                "transaction.state.log.num.partitions": 4,
                "share.coordinator.state.topic.replication.factor": 1,
                "share.coordinator.state.topic.min.isr": 1,
                "share.coordinator.state.topic.num.partitions": 4,
                "group.initial.rebalance.delay.ms": 0,
                "auto.create.topics.enable": "false",
                "log.cleaner.backoff.ms": 1000,
                **overrides,
            }.items()
        )
        + "\n"
    )
