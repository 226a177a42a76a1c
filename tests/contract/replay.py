"""Recorded exchanges with OpenSearch, and what differs in an answer."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parent / "recordings"

RAW_FAILURES = frozenset({"040", "041", "060", "127", "128", "131", "150", "151", "540"})
"""Recorded answers that are failures of OpenSearch itself (null pointers, 500 for a mistake in the request): any
4xx in the error envelope is as good."""

_JAVA_TEXT = re.compile(r"^(No enum constant|\[\d+:\d+\]|For input string)")
_ID = re.compile(r"(?<![\w-])[\w-]{20}(?![\w-])")


@dataclass(frozen=True)
class Recording:
    """One exchange. ``body`` is a string where the request was sent as it stands."""

    number: str
    name: str
    method: str
    path: str
    body: Any
    request_headers: dict[str, str]
    status: int
    headers: dict[str, str]
    response: Any

    def send(self, client: httpx.Client) -> httpx.Response:
        """Ask the same again."""
        headers = dict(self.request_headers)
        content = None
        if self.body is not None:
            content = self.body if isinstance(self.body, str) else json.dumps(self.body)
            headers.setdefault("Content-Type", "application/json")
        return client.request(self.method, self.path, content=content, headers=headers)


def recordings() -> list[Recording]:
    """All recordings of the folder, by number."""
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        stored = json.loads(file.read_text())
        found.append(
            Recording(
                file.name[:3],
                stored["name"],
                stored["method"],
                stored["path"],
                stored.get("body"),
                stored.get("request_headers", {}),
                stored["status"],
                stored["headers"],
                stored["response"],
            )
        )
    return found


def differences(recording: Recording, answer: httpx.Response) -> list[str]:
    """What is not as recorded: status, content type, ``Allow``, members, types and texts. Extra members may be."""
    got = None if not answer.content else answer.json()
    if recording.number in RAW_FAILURES and 400 <= answer.status_code < 500:
        right = isinstance(got, dict) and {"type", "reason", "root_cause"} <= set(got.get("error", ()))
        return [] if right else [f"no error envelope: {answer.text[:200]}"]
    if answer.status_code != recording.status:
        return [f"status {answer.status_code} instead of {recording.status}: {answer.text[:300]}"]
    found = []
    kind = recording.headers.get("content-type", "").split(";")[0]
    if kind and not answer.headers.get("content-type", "").startswith(kind):
        found.append(f"content-type {answer.headers.get('content-type')} instead of {kind}")
    if "allow" in recording.headers:
        allowed = {each.strip() for each in answer.headers.get("allow", "").split(",")}
        if not {each.strip() for each in recording.headers["allow"].split(",")} <= allowed:
            found.append(f"Allow {sorted(allowed)}")
    found.extend(_compare("", recording.response, got))
    return found


def _compare(path: str, wanted: Any, got: Any) -> list[str]:
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return [f"{path}: {got!r} is no object"]
        return [
            difference
            for name, value in wanted.items()
            for difference in (
                _compare(f"{path}.{name}", value, got[name]) if name in got else [f"{path}.{name} is missing"]
            )
        ]
    if isinstance(wanted, list):
        if not isinstance(got, list) or len(got) != len(wanted):
            return [f"{path}: {got!r} is not a list of {len(wanted)}"]
        pairs = zip(wanted, got, strict=True)
        return [each for i, (one, other) in enumerate(pairs) for each in _compare(f"{path}[{i}]", one, other)]
    if isinstance(wanted, str) and isinstance(got, str):
        if path.endswith(".reason") and _JAVA_TEXT.match(wanted):
            return []
        return [] if _plain(wanted) == _plain(got) else [f"{path}: {got!r} instead of {wanted!r}"]
    return [] if type(wanted) is type(got) and wanted == got else [f"{path}: {got!r} instead of {wanted!r}"]


def _plain(text: str) -> str:
    """Without ids, with the names of lists and methods in one order, and not escaped for HTML."""
    text = _ID.sub("<id>", html.unescape(html.unescape(text)))
    start, colon, methods = text.partition("allowed: ")
    if colon:
        return start + ",".join(sorted(re.findall(r"[A-Z]+", methods)))
    if ", " in text and "Feature has an invalid query" in text:
        return ", ".join(sorted(text.split(", ")))
    return text
