"""`statewide addresses export`: what is published, in a file; or in the columns of another standard."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from addresses.points import ADDRESSES
from addresses.profiles import export_profile
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import EXIT_REFUSED, BadArgument
from statewide.intake_commands import Json
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard
from statewide.version_commands import AsOf, Crs, ExportFile, Format, OnlyTown, write_export

Profile = Annotated[
    str | None, typer.Option(help="Columns of another standard: nena (9-1-1) or nad (National Address Database).")
]
Agency = Annotated[
    str | None,
    typer.Option(help="With --profile: domain name of the office that answers for the file, in identifiers."),
]


def export(
    path: ExportFile,
    town: OnlyTown = None,
    profile: Profile = None,
    agency: Agency = None,
    as_of: AsOf = None,
    kind: Format = None,
    crs: Crs = None,
    json: Json = False,
) -> None:
    """Write what is published to one file: only public columns, of one town or of all, now or at an earlier day.

    With a profile the file is as the other standard wants it: NENA-STA-006.3 as .gpkg or .gdb.zip, the National Address
    Database as .zip (shapefile, one town) or .gdb.zip. Ends with 1 if a value that has to be there is missing.

    Example: statewide addresses export --profile nad --town Franklin franklin.zip
    """
    if profile is None:
        if agency:
            raise BadArgument("--agency is for a --profile.")
        write_export(ADDRESSES, path, town, as_of, kind, crs, json)
        return
    if as_of or kind or crs:
        raise BadArgument(
            "A --profile is of what is live, has a coordinate system of its own and goes by the file's name."
        )
    settings, standard = load_settings(), load_standard()
    wanted = standard.profiles.get(profile)
    if wanted is None:
        raise BadArgument(f"--profile is {' or '.join(standard.profiles)}.")
    with connect(settings) as connection:
        found = find_town(connection, town) if town else None
    result = export_profile(settings, standard, wanted, path, town=found, agency=agency, say=progress)
    emit(json, result, "\n".join(_text(result, found.town_name if found else f"{result['towns']:,} towns")))
    if result["outcome"] != "ok":
        raise typer.Exit(EXIT_REFUSED)


def _text(result: dict[str, Any], where: str) -> list[str]:
    lines = [
        f"{result['rows']:,} rows of {where} are in {result['file']} (EPSG:{result['epsg']}), as {result['standard']}."
    ]
    for kind, said in (("failing", "does not pass"), ("left_out", "left empty")):
        lines += [
            f"  {said}: {each['column']} {each['why']}, rows: {each['rows']:,}"
            + (f" ({each['addresses'][0]}{' …' * (each['rows'] > 1)})" if each["addresses"] else "")
            for each in result[kind]
        ]
    return lines
