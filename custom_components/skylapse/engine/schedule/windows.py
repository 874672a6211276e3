"""A schedule's windows: from when until when it photographs. Pure functions of schedule, site and range; nothing is remembered here.

A window of the sun is never longer than a solar day (24 h, give or take half a minute). A window of the clock follows the clock:
where it is put back an hour, "all day" has 25 hours.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from ..ports import Site
from .model import AroundEvent, BetweenEvents, ElevationBand, Schedule, TimeOfDay, When, Window
from .sun import Span, elevation_windows, event_times

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def windows(schedule: Schedule, site: Site, start: datetime, end: datetime) -> list[Window]:
    """Return all windows of ``schedule`` that overlap [start, end): whole, sorted, none overlapping another.

    They do not depend on the range asked for: a window is the same in every range that it overlaps.
    Weekdays are those of the civil day, in the site's zone, on which a window starts.
    """
    spans = [*_spans(schedule.when, site, start, end), (datetime.max.replace(tzinfo=UTC),) * 2]
    return [
        Window(begin, until, schedule.schedule_id)
        # Where two would overlap (24 h around a sunrise that comes earlier each day), the later one begins on time.
        for begin, until in ((a[0], min(a[1], b[0])) for a, b in pairwise(spans))
        if begin < until and begin < end and until > start and begin.astimezone(site.timezone).weekday() in schedule.weekdays
    ]


def _spans(when: When, site: Site, start: datetime, end: datetime) -> list[Span]:
    """Return the spans that overlap [start, end), sorted, all weekdays, and at least their neighbours if those may overlap them."""
    match when:
        case AroundEvent(event, before, after):
            return [(at - before, at + after) for at in event_times(site, event, start - after - _DAY, end + before + _DAY)]
        case ElevationBand(min_deg, max_deg, direction):
            return elevation_windows(site, min_deg, max_deg, direction, start, end)
        case BetweenEvents():
            return _between(when, site, start - _DAY, end + _DAY)
        case TimeOfDay(begin, until):
            return _civil(begin, until, site.timezone, start, end)
        case _:
            return _civil(time(), time(), site.timezone, start, end)


def _between(when: BetweenEvents, site: Site, start: datetime, end: datetime) -> list[Span]:
    """Pair each start event with the end event that follows it, and only then apply the offsets.

    So that "an hour after dusk until an hour before dawn" has no window in a night shorter than two hours, instead of one through the
    following day. Where that would be longer than 24 h, because the offsets put an end before its start event ("two hours before
    sunset until sunset"), the end event before it is taken. If none fits (polar day and night), there is no window.
    """
    first, last = start - _DAY - when.start_offset, end - when.start_offset
    ends = event_times(site, when.end, first, last + 2 * _DAY)  # offsets move an end by up to a day against its start
    spans: list[Span] = []
    for event in event_times(site, when.start, first, last):
        begin = event + when.start_offset
        following = bisect_right(ends, event)
        for until in (at + when.end_offset for at in reversed(ends[max(0, following - 1) : following + 1])):
            if until - begin <= _DAY:
                spans.append((begin, until))
                break
    return [span for span in spans if span[0] < span[1] and span[0] < end and span[1] > start]


def _civil(begin: time, until: time, zone: tzinfo, start: datetime, end: datetime) -> list[Span]:
    """Return the spans between two civil times; an ``until`` at or before ``begin`` is the next day's."""
    first = start.astimezone(zone).date().toordinal() - 2
    last = end.astimezone(zone).date().toordinal() + 1
    over_midnight = _DAY if until <= begin else timedelta()
    spans = []
    for ordinal in range(first, last + 1):
        day = date.fromordinal(ordinal)
        spans.append((civil_instant(day, begin, zone), civil_instant(day + over_midnight, until, zone)))
    return [span for span in spans if span[0] < span[1] and span[0] < end and span[1] > start]


def civil_instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """Return the UTC instant at which the clocks of ``zone`` show ``clock`` on ``day``.

    A time that is shown twice, because the clocks are put back, means the first of the two. A time that is never shown, because
    they are put forward over it, means the instant at which that happens.
    """
    local = datetime.combine(day, clock, zone)
    at = local.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return at
    before, after = local.replace(fold=1).astimezone(UTC), at
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after
