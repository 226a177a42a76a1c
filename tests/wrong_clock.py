"""``riverwatch`` on a machine whose wall clock is wrong: ``wrong_clock.py SECONDS_AHEAD ARGUMENTS...``

Only what Python asks the clock for: the timestamps that librdkafka gives to records are right.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    """Set the clock, and become the command."""
    shift, right = float(sys.argv.pop(1)), time.time
    time.time = lambda: right() + shift
    time.time_ns = lambda: int((right() + shift) * 1e9)
    from deploy.cli import main as riverwatch

    riverwatch()


if __name__ == "__main__":
    main()
