"""Who owes what by the day the law names, who delivered it and when, how old each town's data is, and its score.

By town and rolled up by council of governments (planning region), whoever is late first.
"""

from __future__ import annotations

import csv
import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from psycopg.rows import dict_row

from statewide.database import connect, read_sql
from statewide.errors import BadArgument
from statewide.findings import plain_count
from statewide.register import find_town
from statewide.settings import Settings
from statewide.standard import Standard, column_key, load_standard

NO_REGION = "no council of governments"
_SUFFIX = " Planning Region"
_WIDE = 112
"""Columns of a terminal from which the town's council is named beside it."""


@dataclass(frozen=True)
class FileStatus:
    """One file that a town owes for a year.

    `days_late` counts from the due day to the delivery, or to today while it is owed. `refused_on` is the day of the
    last submission if it was refused after what is live; `age_days` the age of what is live.
    """

    dataset: str
    state: Literal["in time", "late", "overdue", "due"]
    days_late: int
    delivered_on: dt.date | None
    refused_on: dt.date | None
    refused_for: tuple[str, ...]
    live_year: int | None
    rows: int | None
    held: int | None
    published_at: dt.datetime | None
    age_days: int | None

    @property
    def owed(self) -> bool:
        return self.state in ("overdue", "due")


@dataclass(frozen=True)
class TownStatus:
    """One town: its files in the order of the law, and the score of what it sent last."""

    town: str
    cousub_fips: str
    council: str
    files: tuple[FileStatus, ...]
    score: float | None

    @property
    def silent(self) -> bool:
        """Whether nothing ever came from the town."""
        return all(file.live_year is None and file.refused_on is None for file in self.files)

    @property
    def age_days(self) -> int | None:
        """Age of the oldest file that is live."""
        return max((file.age_days for file in self.files if file.age_days is not None), default=None)


@dataclass(frozen=True)
class CouncilStatus:
    """A council of governments: its towns, how many delivered each file, how many are overdue, their mean score."""

    council: str
    towns: int
    delivered: Mapping[str, int]
    overdue: int
    score: float | None


@dataclass(frozen=True)
class Status:
    """A collection year as it stands today; `towns` and `councils` have the latest first."""

    year: int
    due: dt.date
    today: dt.date
    files: Mapping[str, str]
    towns: tuple[TownStatus, ...]
    councils: tuple[CouncilStatus, ...]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def collection_status(
    settings: Settings,
    *,
    year: int | None = None,
    town: str | None = None,
    council: str | None = None,
    today: dt.date | None = None,
) -> Status:
    """The state of a collection year, by default this one, for all towns, one town or the towns of one council.

    Raises:
        UnknownTown, BadArgument: nobody goes by that name.
    """
    standard = load_standard()
    today = today or dt.datetime.now(dt.UTC).date()
    year = year or today.year
    law = standard.score
    assert law.due is not None  # the roll has a day
    due = law.due.on(year)
    with connect(settings) as connection:
        wanted = {
            "datasets": list(law.files),
            "year": year,
            "town": find_town(connection, town).cousub_fips if town else None,
            "region": _region(council, standard) if council else None,
        }
        rows = connection.cursor(row_factory=dict_row).execute(read_sql("statewide", "status"), wanted).fetchall()
    towns = [_town(list(files), due, today) for _, files in groupby(rows, lambda row: row["cousub_fips"])]
    return Status(
        year=year,
        due=due,
        today=today,
        files=law.files,
        towns=tuple(sorted(towns, key=_latest_first)),
        councils=tuple(_councils(towns, law.files)),
    )


def _region(name: str, standard: Standard) -> str:
    """The code of a council that a user means by its name, the beginning of it, or its code."""
    wanted = column_key(name)
    regions = standard.planning_regions
    found = [
        region
        for region in regions
        if wanted == region.planning_region_fips
        or (wanted and column_key(region.planning_region_name).startswith(wanted))
    ]
    if len(found) != 1:
        names = ", ".join(_short(region.planning_region_name) for region in regions)
        raise BadArgument(f"{name!r} names no single council of governments. There are: {names}.")
    return found[0].planning_region_fips


def _short(name: str | None) -> str:
    return name.removesuffix(_SUFFIX) if name else NO_REGION


def _town(rows: Sequence[Mapping[str, Any]], due: dt.date, today: dt.date) -> TownStatus:
    scored = [row for row in rows if row["score"] is not None]
    newest = max(scored, key=lambda row: row["live_received_at"], default=None)
    return TownStatus(
        town=rows[0]["town_name"],
        cousub_fips=rows[0]["cousub_fips"],
        council=_short(rows[0]["planning_region_name"]),
        files=tuple(_file(row, due, today) for row in rows),
        score=float(newest["score"]) if newest else None,
    )


def _file(row: Mapping[str, Any], due: dt.date, today: dt.date) -> FileStatus:
    delivered, live = _day(row["delivered_at"]), row["live_received_at"]
    late = max(((delivered or today) - due).days, 0)
    refused = row["last_outcome"] == "refused" and (live is None or row["last_received_at"] > live)
    return FileStatus(
        dataset=row["dataset"],
        state=("late" if late else "in time") if delivered else ("overdue" if late else "due"),
        days_late=late,
        delivered_on=delivered,
        refused_on=_day(row["last_received_at"]) if refused else None,
        refused_for=tuple(row["blocked_by"] or ()) if refused else (),
        live_year=row["live_year"],
        rows=row["rows_published"],
        held=row["rows_held"],
        published_at=row["published_at"],
        age_days=(today - live.astimezone(dt.UTC).date()).days if live else None,
    )


def _day(moment: dt.datetime | None) -> dt.date | None:
    return moment.astimezone(dt.UTC).date() if moment else None


def _latest_first(town: TownStatus) -> tuple[int, int, int, str]:
    """Who owes most, then who is or was longest late, then whose data is oldest."""
    return (
        -sum(file.owed for file in town.files),
        -sum(file.days_late for file in town.files),
        -(town.age_days if town.age_days is not None else 1_000_000),
        town.town,
    )


def _councils(towns: Sequence[TownStatus], files: Mapping[str, str]) -> Iterator[CouncilStatus]:
    """Those with the largest share of towns that are overdue first; towns without a council last."""
    found = []
    for name in {town.council for town in towns}:
        members = [town for town in towns if town.council == name]
        scores = [town.score for town in members if town.score is not None]
        found.append(
            CouncilStatus(
                council=name,
                towns=len(members),
                delivered={
                    dataset: sum(not file.owed for town in members for file in town.files if file.dataset == dataset)
                    for dataset in files
                },
                overdue=sum(any(file.state == "overdue" for file in town.files) for town in members),
                score=round(sum(scores) / len(scores), 2) if scores else None,
            )
        )
    yield from sorted(found, key=lambda each: (each.council == NO_REGION, -each.overdue / each.towns, each.council))


# ── for a terminal and for a spreadsheet ─────────────────────────────────────────────────────────────────────────────


def render_status(status: Status, width: int) -> str:
    """The same for a terminal of so many columns (80 or more)."""
    lines = [line for sentence in _head(status) for line in textwrap.wrap(sentence, width)] + [""]
    if len(status.councils) > 1:
        lines += [*_council_table(status), ""]
    silent = [town for town in status.towns if town.silent]
    together = len(silent) > 30
    shown = [town for town in status.towns if not (together and town.silent)]
    if shown:
        lines += [*_town_table(status, shown, width), ""]
    if together:
        lines.append(f"Nothing was ever sent by {plain_count(len(silent), 'town')}:")
        by_council = sorted(silent, key=lambda town: (town.council, town.town))
        for name, members in groupby(by_council, lambda town: town.council):
            names = ", ".join(town.town for town in members)
            lines += textwrap.wrap(f"{name}: {names}", width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines).rstrip()


def write_status_csv(status: Status, path: Path) -> None:
    """One line per town and file, for a spreadsheet.

    Raises:
        BadArgument: the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["town", "cousub_fips", "council", "score", "year", "due", *FileStatus.__annotations__])
            for town in status.towns:
                for file in town.files:
                    cells = [" ".join(cell) if isinstance(cell, tuple) else cell for cell in vars(file).values()]
                    writer.writerow(
                        [town.town, town.cousub_fips, town.council, town.score, status.year, status.due, *cells]
                    )
    except OSError as error:
        raise BadArgument(f"{path} cannot be written: {error.strerror}.") from error


def _head(status: Status) -> Iterator[str]:
    many = len(status.towns)
    live = [
        f"{sum(file.live_year is not None for town in status.towns for file in town.files if file.dataset == dataset)}"
        f" with a live {name}"
        for dataset, name in status.files.items()
    ]
    yield f"{plain_count(many, 'town')}: {', '.join(live)}."
    owing = sum(any(file.owed for file in town.files) for town in status.towns)
    days = (status.today - status.due).days
    when = f"was due {plain_count(days, 'day')} ago" if days > 0 else f"is due in {plain_count(-days, 'day')}"
    owe = "owes" if owing == 1 else "owe"
    day = f"{status.due:%B} {status.due.day}"
    yield f"The collection of {status.year} {when}, on {day}; {plain_count(owing, 'town')} still {owe} a file."


def _council_table(status: Status) -> Iterator[str]:
    names = list(status.files.values())
    yield _line([("Council of governments", -32), ("towns", 5), *((name, len(name)) for name in names), ("score", 5)])
    for each in status.councils:
        counts = [(str(each.delivered[dataset]), len(name)) for dataset, name in status.files.items()]
        yield _line([(each.council, -32), (str(each.towns), 5), *counts, (_score(each.score), 5)])


def _town_table(status: Status, towns: Sequence[TownStatus], width: int) -> Iterator[str]:
    wide = width >= _WIDE
    heads = [(name, -21) for name in status.files.values()]
    yield _line([("Town", -18), *heads, ("age", 6), ("score", 5), *([("council", -30)] if wide else [])])
    for town in towns:
        files = [(_said(file), -21) for file in town.files]
        age = f"{town.age_days} d" if town.age_days is not None else "–"
        council = [(town.council, -30)] if wide else []
        yield _line([(town.town[:18], -18), *files, (age, 6), (_score(town.score), 5), *council])


def _said(file: FileStatus) -> str:
    """What became of a file, in 21 letters."""
    if file.owed:
        if file.refused_on:
            return f"refused {file.refused_on}"
        owed = f"{file.live_year} live" if file.live_year else "owed"
        return f"{owed}, {file.days_late} d late" if file.days_late else owed
    if file.refused_on:
        return f"{file.state}, then refused"
    return f"{file.delivered_on}" + (f", {file.days_late} d late" if file.days_late else ", in time")


def _score(score: float | None) -> str:
    """To one decimal, cut off, so that nearly all is never all."""
    return "–" if score is None else f"{int(score * 10 + 1e-6) / 10:.1f}"


def _line(cells: Sequence[tuple[str, int]]) -> str:
    """Cells beside one another: as wide as the number says, to the left if it is negative."""
    return "  ".join(text.ljust(-width) if width < 0 else text.rjust(width) for text, width in cells).rstrip()
