"""The range of a setting that is a number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """From ``least`` (without one: above 0) to ``most``.

    >>> Bounds().hold(0), Bounds(least=0).hold(0), Bounds().hold(float("nan"))
    (False, True, False)
    >>> print(Bounds(least=0, most=65_535))
    0 to 65535
    >>> print(Bounds())
    above 0, at most 1000000000
    """

    least: int | None = None
    most: int = 10**9
    """As seconds or days still a time that clocks, timers and Kafka's clients can hold."""

    def hold(self, value: float) -> bool:
        """Whether a number lies within."""
        return (value > 0 if self.least is None else value >= self.least) and value <= self.most

    def __str__(self) -> str:
        return f"above 0, at most {self.most}" if self.least is None else f"{self.least} to {self.most}"
