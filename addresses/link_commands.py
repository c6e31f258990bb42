"""`statewide addresses link|conflicts`: link addresses to parcels, and list what is odd between the two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from addresses.link import link_towns, linkable_towns
from addresses.link_reports import conflict_counts, conflicts, export_conflicts, link_rates
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.export import GEOMETRY, format_of
from statewide.findings import plain_count
from statewide.intake_commands import Json, Town
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard

app = typer.Typer()


@app.command()
def link(
    town: Annotated[str | None, typer.Option(help="Only this town, by name, code or number.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every town anew, also one in which nothing changed.")] = False,
    json: Json = False,
) -> None:
    """Link address points to parcels: method, distance, confidence, and why earlier links ended.

    It runs by itself after each publication of parcels or of address points.

    Example: statewide addresses link --town "New London"
    """
    settings = load_settings()
    with connect(settings) as connection:
        only = find_town(connection, town).cousub_fips if town else None
        towns = linkable_towns(connection, only)
    if not towns:
        raise BadArgument(f"{town or 'No town'} has {'no' if town else 'any'} address points to link yet.")
    done = link_towns(settings, towns, full=full, say=progress)
    with connect(settings) as connection:
        rates = link_rates(connection, only)
    counts = {name: sum(getattr(each, name) for each in done.values()) for name in ("made", "changed", "ended")}
    result = {
        "outcome": "ok" if any(each.relinked for each in done.values()) else "unchanged",
        "relinked": sum(each.relinked for each in done.values()),
        "links": counts,
        "towns": rates,
    }
    emit(json, result, _link_text(result))


@app.command("conflicts")
def list_conflicts(
    town: Town,
    out: Annotated[Path | None, typer.Option(help="A file to write the lists to: gpkg, csv, geojson …")] = None,
    json: Json = False,
) -> None:
    """List addresses on the wrong parcel or on none, locations that disagree, and buildings without an address.

    Example: statewide addresses conflicts --town "New London" --out conflicts.gpkg
    """
    standard = load_standard()
    kind = format_of(out, None) if out else None
    with connect(load_settings()) as connection:
        found = find_town(connection, town)
        if not linkable_towns(connection, found.cousub_fips):
            raise BadArgument(f"{found.town_name} has no address points yet.")
        rows = conflicts(connection, found.cousub_fips)
        counts = conflict_counts(connection, found.cousub_fips, rows)
    written = export_conflicts(out, kind, rows, standard) if out and kind else None
    labels = {code.code: code.label for code in standard.code_lists["link_conflict"].codes}
    result = {
        "outcome": "ok",
        "town": found.town_name,
        "counts": counts,
        "rows": [{name: value for name, value in row.items() if name != GEOMETRY} for row in rows],
        "file": None if out is None else {"path": str(out), "rows": written},
    }
    emit(json, result, _conflicts_text(result, labels))


def _link_text(result: dict[str, Any]) -> str:
    links = result["links"]
    lines = [
        f"{plain_count(result['relinked'], 'town')} linked: {links['made']:,} links made, {links['changed']:,} changed,"
        f" {links['ended']:,} ended.",
        f"{'town':<20}{'addresses':>10}{'linked':>9}  how",
    ]
    for town in result["towns"]:
        how = ", ".join(f"{method} {count:,}" for method, count in town["by_method"].items())
        odd = "; odd: " + ", ".join(f"{name} {count:,}" for name, count in town["conflicts"].items())
        lines.append(
            f"{town['town']:<20}{town['addresses']:>10,}{town['linked_pct']:>8.1f}%  {how}"
            + (odd if town["conflicts"] else "")
        )
    return "\n".join(lines)


def _conflicts_text(result: dict[str, Any], labels: dict[str, str]) -> str:
    lines = [f"{result['town']}: what is odd between addresses and parcels."]
    for conflict, count in result["counts"].items():
        said = "not known: no assessor's file is live" if count is None else f"{count:,}"
        lines.append(f"  {labels[conflict]:<32}{said}")
        rows = [row for row in result["rows"] if row["conflict"] == conflict]
        lines += [f"    {_row_text(row)}" for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            lines.append(f"    and {len(rows) - _SHOWN:,} more: --out conflicts.gpkg writes all")
    return "\n".join(lines)


def _row_text(row: dict[str, Any]) -> str:
    parts = [row["address"] or ""]
    if row["told_parcel_uid"]:
        parts.append(f"belongs to {_parcel_text(row, 'told')}, {row['distance_ft']:,.0f} ft away")
    if row["on_parcel_uid"]:
        parts.append(f"{'lies on' if row['address'] else 'parcel'} {_parcel_text(row, 'on')}")
    return "; ".join(part for part in parts if part)


def _parcel_text(row: dict[str, Any], which: str) -> str:
    number, location = row[f"{which}_parcel_id"], row[f"{which}_location"]
    return f"{number or 'without a number'}" + (f" ({location})" if location else "")


_SHOWN = 5
