"""Everything that decides the scores of a detector's models, in one hashable value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import Refused
from streams.forest.cells import MAX_HEIGHT
from streams.forest.imputation import Imputation
from streams.forest.suppression import Rule

Kind = Literal["default", "river"]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "default": {"trees": 25, "height": MAX_HEIGHT, "window": 250},
    "river": {"trees": 10, "height": 8, "window": 250},
}
_BOUNDS: dict[str, dict[str, tuple[int, int]]] = {
    "default": {"trees": (1, 100), "height": (1, MAX_HEIGHT), "window": (128, 1024)},
    "river": {"trees": (1, 100), "height": (1, 12), "window": (2, 4096)},
}
_MEMBERS = {"type", "seed", "trees", "height", "window", "sensitivity", "quiet_period", "seasonality", "time_zone"}

MAX_FEATURES = 10


@dataclass(frozen=True)
class ForestSpec:
    """What decides the scores. Two banks of equal specs give equal scores for equal events.

    ``interval`` is the length of the windows in seconds.
    ``kind``: ``default`` is the engine described in docs/detection.md, ``river`` is River's own
    ``MinMaxScaler | HalfSpaceTrees``, bit for bit. ``window`` is the number of rows that the trees refer to.
    ``sensitivity``: 1 is balanced, 2 alarms at half the distance from normal, 0.5 at twice. ``quiet_period``: for so
    many rows after an incident another one must be worse (incidents.py). ``seasonality``: whether the time of day may
    become a part of what is normal, in the zone named by ``time_zone`` (IANA).
    """

    features: int
    seed: int
    interval: int = 60
    kind: Kind = "default"
    trees: int = 25
    height: int = MAX_HEIGHT
    window: int = 250
    sensitivity: float = 1.0
    quiet_period: int = 300
    seasonality: bool = True
    time_zone: str = "UTC"
    imputation: Imputation | None = None
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_document(
        cls,
        model: dict[str, Any] | None,
        *,
        features: int,
        seed: int,
        interval: int = 60,
        imputation: Imputation | None = None,
        rules: tuple[Rule, ...] = (),
    ) -> ForestSpec:
        """Read the extension member ``model`` of a detector document; ``None`` means all defaults.

        ``seed`` is used when the member names none; ``interval`` (seconds) is the detector's. Raises ``Refused`` (400)
        for what can't be used.

        >>> ForestSpec.from_document({"type": "river", "height": 6}, features=1, seed=7).trees
        10
        >>> ForestSpec.from_document({"type": "magic"}, features=1, seed=7)
        Traceback (most recent call last):
        ...
        schemas.errors.Refused: model.type must be one of: default, river
        """
        if not 1 <= features <= MAX_FEATURES:
            raise _refused(f"A model takes 1 to {MAX_FEATURES} features, not {features}")
        member = {} if model is None else model
        if not isinstance(member, dict):
            raise _refused("model must be an object")
        if unknown := sorted(set(member) - _MEMBERS):
            raise _refused(f"model has an unknown member: {unknown[0]}")
        kind = member.get("type", "default")
        if kind not in _DEFAULTS:
            raise _refused("model.type must be one of: default, river")
        sizes = {
            name: _integer(member, name, default, *_BOUNDS[kind][name]) for name, default in _DEFAULTS[kind].items()
        }
        if kind == "default" and sizes["window"] % 2:
            raise _refused("model.window must be even: models learn every half window")
        sensitivity = member.get("sensitivity", 1.0)
        if isinstance(sensitivity, bool) or not isinstance(sensitivity, int | float) or not 0.1 <= sensitivity <= 10:
            raise _refused("model.sensitivity must be a number between 0.1 and 10")
        seasonality = member.get("seasonality", True)
        if not isinstance(seasonality, bool):
            raise _refused("model.seasonality must be true or false")
        return cls(
            features=features,
            seed=_integer(member, "seed", seed, 0, 2**53),
            interval=interval,
            kind=kind,
            **sizes,
            sensitivity=float(sensitivity),
            quiet_period=_integer(member, "quiet_period", 300, 0, 10_000),
            seasonality=seasonality,
            time_zone=_time_zone(member),
            imputation=imputation,
            rules=rules,
        )


def _time_zone(member: dict[str, Any]) -> str:
    name = member.get("time_zone", "UTC")
    try:
        return ZoneInfo(name).key
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        raise _refused("model.time_zone must be the name of a time zone, such as Europe/Berlin") from None


def _integer(member: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = member.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refused(f"model.{name} must be an integer between {low} and {high}")
    return value


def _refused(reason: str) -> Refused:
    return Refused(400, reason, "illegal_argument_exception")
