"""A small schema registry in Confluent's shape: schemas by id, which may be away for a while."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streams.formats.written_schema import WrittenSchema


class Registry:
    """Serves ``schemas``. With ``away`` it answers 503; ``user_info`` is who may ask, None for everybody."""

    def __init__(self, schemas: Mapping[int, WrittenSchema]) -> None:
        self.schemas = dict(schemas)
        self.away = False
        self.authorization: str | None = None
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str, authorization: str | None) -> tuple[int, object]:
        """Status and body of a request."""
        self.asked.append(path)
        if self.away:
            return 503, {"error_code": 50301, "message": "away"}
        if self.authorization is not None and authorization != self.authorization:
            return 401, {"error_code": 40101, "message": "Unauthorized"}
        id = int(path.partition("?")[0].rpartition("/")[2])
        schema = self.schemas.get(id)
        if schema is None:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, {"schema": schema.text, "schemaType": schema.kind}


@contextmanager
def serving(schemas: Mapping[int, WrittenSchema]) -> Iterator[Registry]:
    """A registry at ``url``."""
    registry = Registry(schemas)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = registry.answer(self.path, self.headers.get("Authorization"))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield registry
        server.shutdown()
        thread.join()
