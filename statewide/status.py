"""Who delivered what, and when: the register of towns beside what is live of each."""

from __future__ import annotations

import textwrap
from typing import Any

from psycopg.rows import dict_row

from statewide.database import connect
from statewide.settings import Settings

_QUERY = """
SELECT m.town_name, m.cousub_fips, p.dataset, p.year, p.rows_published, p.rows_held, p.published_at,
       s.received_at, s.outcome
FROM statewide.municipality AS m
LEFT JOIN statewide.publication AS p USING (cousub_fips)
LEFT JOIN LATERAL (
    SELECT received_at, outcome
    FROM statewide.submission
    WHERE cousub_fips = m.cousub_fips AND (p.dataset IS NULL OR dataset = p.dataset)
    ORDER BY submission_no DESC
    LIMIT 1
) AS s ON true
ORDER BY m.town_no, p.dataset
"""


def town_status(settings: Settings) -> list[dict[str, Any]]:
    """One entry per town and dataset that is live; a town that owes everything has one entry without a dataset."""
    with connect(settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(_QUERY).fetchall()


def render_status(towns: list[dict[str, Any]]) -> str:
    """The same for a terminal: what is live, what was refused last, and how many towns owe their parcels."""
    lines = []
    for town in towns:
        if town["dataset"]:
            published = town["published_at"].date().isoformat()
            last = (
                ""
                if town["outcome"] != "refused"
                else f", last delivery refused {town['received_at'].date().isoformat()}"
            )
            lines.append(
                f"  {town['town_name']:<20} {town['dataset']:<10} {town['year']}"
                f"  {town['rows_published']:>8,} published on {published}, {town['rows_held']:,} held{last}"
            )
        elif town["outcome"]:
            lines.append(f"  {town['town_name']:<20} nothing is live: its last delivery was {town['outcome']}")
    owing = [town["town_name"] for town in towns if town["dataset"] is None]
    total = len({town["cousub_fips"] for town in towns})
    head = f"{total - len(owing)} of {total} towns are live, {len(owing)} owe their parcels."
    names = textwrap.wrap("owing: " + ", ".join(owing), 100, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([head, *lines, *(names if owing else [])])
