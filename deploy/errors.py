"""Errors of the command line, with their exit codes.

    RiverwatchError
    └── DeployError             1   anything that has no class of its own
        ├── KafkaUnreachable    3   no answer from the Kafka cluster
        ├── JavaMissing         4   no Java 17 or newer
        ├── JarsUnavailable     5   Kafka's jars are neither cached nor available
        ├── PortTaken           6   another process listens on the port
        ├── DataFolderUnusable  7   the folder of the broker, or of the API's store, is not writable or is in use
        ├── BrokerFailed        8   Kafka did not start, or died
        ├── TopicsUnfit         9   Riverwatch's topics have a number of partitions that cannot be used
        ├── ApiUnreachable     10   no answer from the API, or it is not ready
        ├── AccessDenied       11   the API requires other credentials, or more permissions
        └── NotFound           12   there is no such detector or topic

Every message says what to do.
"""

from __future__ import annotations

from schemas.errors import RiverwatchError


class DeployError(RiverwatchError):
    """Base class: the command ends with ``exit_code`` and prints the message."""

    exit_code = 1


class KafkaUnreachable(DeployError):
    """The Kafka cluster does not answer."""

    exit_code = 3


class JavaMissing(DeployError):
    """No usable Java."""

    exit_code = 4


class JarsUnavailable(DeployError):
    """Kafka's jars are missing or damaged and cannot be fetched."""

    exit_code = 5


class PortTaken(DeployError):
    """Another process listens on the port."""

    exit_code = 6


class DataFolderUnusable(DeployError):
    """The data folder is not writable or is in use."""

    exit_code = 7


class BrokerFailed(DeployError):
    """Kafka did not start, or died."""

    exit_code = 8


class TopicsUnfit(DeployError):
    """Topics have a number of partitions that cannot be used, and that cannot be changed."""

    exit_code = 9


class ApiUnreachable(DeployError):
    """The API does not answer, or is not ready yet."""

    exit_code = 10


class AccessDenied(DeployError):
    """The API requires other credentials (401), or more permissions (403)."""

    exit_code = 11


class NotFound(DeployError):
    """There is no such detector or topic."""

    exit_code = 12
