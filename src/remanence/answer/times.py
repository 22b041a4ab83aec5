"""Times in stored text, said as dates: "yesterday" in a message of 8 May 2023 is 7 May 2023."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from remanence.cubes import MemCube
from remanence.language.dates import Window, mentioned

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def resolved(text: str, cube: MemCube) -> tuple[str, ...]:
    """The days that a stretch of a cube names only from where it stands ("yesterday", "in June"), as dates; in order of time.

    Dates that the text gives in full are left out: they need no help. Empty where the cube has no `observed_at`.
    """
    observed = cube.provenance.observed_at
    if observed is None:
        return ()
    whole = set(mentioned(text, None))
    zone = zone_of(cube)
    return tuple(dict.fromkeys(as_date(window, zone) for window in mentioned(text, observed) if window not in whole))


def days_of(text: str, cube: MemCube) -> tuple[Window, ...]:
    """Every day that a stretch of a cube names, read from where the cube stands in time."""
    return mentioned(text, cube.provenance.observed_at)


def day_of(moment: datetime) -> str:
    """A moment's day: `8 May 2023`."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def zone_of(cube: MemCube) -> tzinfo:
    """The zone in which a cube's days begin: that of its `observed_at`, else UTC."""
    observed = cube.provenance.observed_at
    return UTC if observed is None or observed.utcoffset() is None else observed.tzinfo or UTC


def as_date(window: Window, zone: tzinfo = UTC) -> str:
    """A window in words: `7 May 2023`, `June 2023`, `2022`, else its first and last day."""
    first, stop = datetime.fromtimestamp(window.lo, zone), datetime.fromtimestamp(window.hi, zone)
    last = stop - timedelta(hours=12)
    if first.day == stop.day == 1:
        if first.month == stop.month == 1 and stop.year == first.year + 1:
            return str(first.year)
        if (stop.year - first.year) * 12 + stop.month - first.month == 1:
            return f"{_MONTHS[first.month - 1]} {first.year}"
    if first.date() == last.date():
        return day_of(first)
    return f"{day_of(first)} to {day_of(last)}"
