"""What every benchmark prints: a table for people, then one line of JSON for programs."""

from collections.abc import Mapping, Sequence
import json
import sys


def report(title: str, rows: Sequence[tuple[str, str]], figures: Mapping[str, float]) -> None:
    """Print ``rows`` (what, value with its unit) below ``title``, and ``figures`` as one JSON object on the last line.

    A figure's name ends in its unit (``p99_ms``, ``open_s``); a ratio has none. Figures are rounded to four decimals; one
    that is not a finite number is refused with a ValueError, because JSON has no word for it.
    """
    line = json.dumps({name: round(float(value), 4) for name, value in figures.items()}, allow_nan=False)
    width = max((len(what) for what, _ in rows), default=0)
    print(f"{title}\n{'-' * len(title)}")
    for what, value in rows:
        print(f"{what:<{width}}  {value}")
    print(line)
    sys.stdout.flush()
