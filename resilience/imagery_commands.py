"""`statewide imagery …`: register aerial pictures, list them, take them off the register."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from statewide.console import emit, progress
from statewide.settings import load_settings
from statewide.standard import load_standard

app = typer.Typer(help="Aerial imagery: register cloud-optimized GeoTIFFs by program.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(help="GeoTIFFs, or folders of them.", show_default=False)],
    program: Annotated[str, typer.Option(help="The imagery program, for example its year.")],
    flown: Annotated[str, typer.Option(help="First and last day of its flights, as 2023-03-10/2023-04-20.")],
    bands: Annotated[
        str | None,
        typer.Option(help="What the bands show, in their order; by default as the file says.", show_default=False),
    ] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Copy what is not cloud-optimized into our own folder, rewritten.")
    ] = False,
    json: Json = False,
) -> None:
    """Register pictures where they lie: footprint, flight window, resolution, bands, checksum. All of them or none.

    Example: statewide imagery add /imagery/2023 --program 2023 --flown 2023-03-10/2023-04-20 --bands red,green,blue,nir
    """
    from resilience.imagery import Flight, add_imagery, parse_bands

    standard = load_standard()
    result = add_imagery(
        load_settings(),
        standard,
        files,
        program=program,
        flown=Flight.parse(flown),
        bands=parse_bands(bands, standard) if bands else None,
        converting=convert,
        say=progress,
    )
    pictures = result["pictures"]
    text = (
        f"Program {program}, flown {flown}: {pictures['added']:,} pictures added, {pictures['updated']:,} updated,"
        f" {pictures['unchanged']:,} unchanged.\n  converted {result['converted']:,}\n{_parcels(result)}"
    )
    emit(json, result, text)


@app.command(name="list")
def list_(
    program: Annotated[str | None, typer.Option(help="Only this program.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """What is registered, and which of its files are gone or changed since.

    Example: statewide imagery list
    """
    from resilience.imagery import list_imagery

    programs = list_imagery(load_settings(), program)
    text = "\n".join(_described(each) for each in programs) or "No imagery is registered: see statewide imagery add."
    emit(json, {"outcome": "ok", "programs": programs}, text)


@app.command()
def remove(
    program: Annotated[str, typer.Option(help="The imagery program.")],
    files: Annotated[
        list[str] | None, typer.Argument(help="Names of files; by default the whole program.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Take pictures off the register. The delivered files stay on disk; copies that we made go.

    Example: statewide imagery remove --program 2012
    """
    from resilience.imagery import remove_imagery

    result = remove_imagery(load_settings(), load_standard(), program, files or [], progress)
    emit(json, result, f"{result['removed']:,} pictures of program {program} removed.\n{_parcels(result)}")


def _parcels(result: dict[str, Any]) -> str:
    parcels = result["parcels"]
    return f"  parcels   {parcels['measured']:,} measured anew in {parcels['towns']:,} towns"


def _described(program: dict[str, Any]) -> str:
    finest, coarsest = program["gsd_ft"]
    side = f"{finest:g} ft" if finest == coarsest else f"{finest:g} to {coarsest:g} ft"
    lines = [
        f"{program['program']}: {program['pictures']:,} pictures, flown {' to '.join(program['flown'])},"
        f" {side} a pixel, {' / '.join(program['bands'])}, {program['square_miles']:,.1f} square miles,"
        f" {program['bytes'] / 1e9:,.2f} GB"
    ]
    for what, sentence in (("missing", "is gone from the disk"), ("changed", "is not the file that was registered")):
        lines += [f"  {path} {sentence}" for path in program[what][:20]]
        if len(program[what]) > 20:
            lines.append(f"  and {len(program[what]) - 20:,} more that are {what}")
    return "\n".join(lines)
