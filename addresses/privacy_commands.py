"""`statewide addresses withhold|release`: addresses that the public must not see.

An address is shown to who gives it and to who asks for the list, and never stands in a log or a message of an error.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from addresses.meant_points import nearest_labels
from addresses.points import ADDRESSES
from addresses.withholding import Request, lapsed_requests, release, requests_in_force, withhold
from statewide.console import emit, progress
from statewide.database import connect
from statewide.errors import BadArgument
from statewide.findings import plain_count
from statewide.intake import tell_the_rooms
from statewide.intake_commands import Json, Town
from statewide.register import find_town
from statewide.settings import load_settings
from statewide.standard import load_standard

app = typer.Typer()

Who = Annotated[str, typer.Option(help="Your name; kept with what you did.", show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Why; kept, and not shown to the public.")]


@app.command("withhold")
def withhold_address(
    town: Town,
    address: Annotated[
        str | None, typer.Option(help="Number and street with all that is within; or one unit of it.")
    ] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Identifier of the point, or the parcel number that came with it.")
    ] = None,
    basis: Annotated[str | None, typer.Option(help="1-217, acp or shelter.")] = None,
    who: Annotated[str | None, typer.Option(help="Your name; kept with what you did.")] = None,
    until: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day for which it is asked.")
    ] = None,
    reason: Reason = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list what the town has in force.")] = False,
    json: Json = False,
) -> None:
    """Withhold an address: from now on nothing of it is published, now or at an earlier day, until it is released.

    Example: statewide addresses withhold --town Franklin --address "36 Blinman Street" --basis 1-217 --who "Ann Lee"
    """
    settings, standard = load_settings(), load_standard()
    if listed:
        with connect(settings) as connection:
            found = find_town(connection, town)
            requests = requests_in_force(connection, found)
        in_force = [asdict(request) for request in requests]
        text = "\n".join(_list_text(found.town_name, requests))
        emit(json, {"outcome": "ok", "town": found.town_name, "requests": in_force}, text)
        return
    if basis is None or who is None:
        raise BadArgument("Say on which --basis it is withheld, and --who asks for it.")
    with connect(settings) as connection:
        found = find_town(connection, town)
        request = withhold(
            connection,
            standard,
            found,
            who=who,
            basis=basis,
            address=address,
            identifier=identifier,
            until=until.date() if until else None,
            reason=reason,
        )
        missed = None if request.points else request.address_normalized
        near = nearest_labels(connection, standard, found, missed) if missed else []
    behind = tell_the_rooms(settings, (ADDRESSES,), found, progress)
    result = {"outcome": "ok", "town": found.town_name, "request_no": request.request_no, "points": request.points}
    later = "" if request.points else " Nothing of the town matches it now; it is applied to what the town hands in."
    if near:
        later += "".join(f"\n  Shown on that street: {label}" for label in near)
    emit(
        json,
        result | {"behind": behind},
        f"Request {request.request_no} of {found.town_name} is in force:"
        f" {plain_count(request.points, 'address point')} withheld.{later}",
    )


@app.command("release")
def release_address(
    who: Who,
    request_no: Annotated[
        int | None, typer.Argument(metavar="REQUEST", help="Number of the request.", show_default=False)
    ] = None,
    lapsed: Annotated[bool, typer.Option("--lapsed", help="Every request whose last day has passed.")] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """End a request: its address points are shown again, unless another request withholds them.

    Example: statewide addresses release 7 --who "Ann Lee"
    """
    if (request_no is None) != lapsed:
        raise BadArgument("Give the number of a request, or --lapsed.")
    settings, standard = load_settings(), load_standard()
    with connect(settings) as connection:
        numbers = lapsed_requests(connection) if request_no is None else [request_no]
    behind: dict[str, str] = {}
    for number in numbers:
        with connect(settings) as connection:
            town = release(connection, standard, number, who=who, reason=reason)
        behind |= tell_the_rooms(settings, (ADDRESSES,), town, progress)
    result = {"outcome": "ok", "released": numbers, "behind": behind}
    emit(json, result, f"{plain_count(len(numbers), 'request')} released.")


def _list_text(town: str, requests: list[Request]) -> Iterator[str]:
    yield f"{town}: {plain_count(len(requests), 'request')} in force."
    for request in requests:
        unit = f" unit {request.unit}" if request.unit else ""
        until = f", until {request.until}{' (has passed)' if request.lapsed else ''}" if request.until else ""
        meant = request.identifier or request.address_normalized or "flagged in the file"
        yield (
            f"  {request.request_no:>4}  {meant}{unit}"
            f"  ({request.basis}, {request.recorded_by}, {request.requested_at:%Y-%m-%d}{until})"
            f"  {plain_count(request.points, 'point')}"
        )
