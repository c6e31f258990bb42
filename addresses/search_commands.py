"""`statewide addresses find|index`: ask the address search on the command line, and bring it up to date."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from addresses.search import DEFAULT_LIMIT, find
from addresses.search_index import refresh_all
from statewide.console import emit, progress
from statewide.database import API, Connection, connect
from statewide.settings import load_settings
from statewide.standard import load_standard

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]


@app.command("find")
def find_address(
    text: Annotated[str, typer.Argument(help="An address, as people write it.", show_default=False)],
    town: Annotated[str | None, typer.Option(help="Town, village or ZIP code, when it is not in the text.")] = None,
    limit: Annotated[int, typer.Option(help="How many candidates at most.")] = DEFAULT_LIMIT,
    json: Json = False,
) -> None:
    """Show the published address points and parcels that a typed address may mean, the likeliest first.

    Example: statewide addresses find "42 church st new lonon" --limit 5
    """
    # With the rights of the street: what it may not see is not found.
    with connect(load_settings(), API) as connection:
        found = find(lambda query, values: connection.execute(query, values).fetchall(), text, town, limit)
    emit(json, {"outcome": "ok", **found}, "\n".join(map(_line, found["features"])) or found["hint"])


@app.command()
def index(json: Json = False) -> None:
    """Make every town searchable whose live publication is not yet. Publications do so by themselves.

    Example: statewide addresses index
    """
    with connect(load_settings()) as connection:
        done = _index(connection)
    places = sum(each["places"] for each in done)
    text = f"{places:,} places of {len(done):,} publications can be searched now." if done else "All is up to date."
    emit(json, {"outcome": "ok" if done else "unchanged", "publications": done}, text)


def _index(connection: Connection) -> list[dict[str, Any]]:
    done = []
    for town, dataset, places in refresh_all(connection, load_standard()):
        progress(f"{town} {dataset}: {places:,} places")
        done.append({"cousub_fips": town, "dataset": dataset, "places": places})
    return done


def _line(feature: dict[str, Any]) -> str:
    said = feature["properties"]
    x, y = feature["geometry"]["coordinates"]
    not_so = [f"another {part}" for part in said["unmatched"]] + [f"similar {part}" for part in said["similar"]]
    return f"{said['score']:.3f}  {said['kind']:<8} {said['label']}  ({y:.6f}, {x:.6f})" + (
        f"  {', '.join(not_so)}" if not_so else ""
    )
