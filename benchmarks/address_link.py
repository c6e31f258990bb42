"""All addresses linked to parcels, paired with the plain point-in-polygon join in PostGIS, in one run.

Parcels and address points are the scaled demo's, submitted as a town would. The peer only asks which parcel covers
which point (`CREATE TABLE … AS SELECT … ST_Covers`); `link --full` also compares numbers and locations, measures
distances, weighs the evidence, finds conflicts, and writes links with their indexes. It starts from nothing twice: with
the parcels' locations still to be read, and with what was read of them kept, as it is in use. Prints seconds and the
ratios.

    scripts/bench address_link [--towns 169 --parcels 1250000] [--folder WHERE] [--rounds 1]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import state  # the benchmark beside this one, which makes the State

from addresses.link import link_towns, linkable_towns
from statewide.database import OWNER, connect
from statewide.settings import Settings

_LINKS = "addresses.address_parcel, addresses.address_parcel_ended, addresses.address_link"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towns", type=int, default=169)
    parser.add_argument("--parcels", type=int, default=1_250_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="keep the files here, and use them if they are there")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="statewide-bench-") as scratch:
        folder = arguments.folder or Path(scratch) / "files"
        state._demo(arguments, folder)
        with state._database(Path(scratch) / "home", arguments) as settings:
            for dataset in ("parcels", "addresses"):
                files = sorted(file for file in folder.iterdir() if f"_{dataset.title()}_" in file.name)
                state._timed(
                    f"submit {dataset}", lambda dataset=dataset, files=files: _submit(settings, dataset, files)
                )
            _measure(settings, arguments.rounds)


def _submit(settings: Settings, dataset: str, files: list[Path]) -> None:
    state._statewide(settings, [dataset, "submit"], files)


def _measure(settings: Settings, rounds: int) -> None:
    with psycopg.connect(settings.require_database_url(), autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE addresses.address_point")
        owner.execute("VACUUM ANALYZE cadastral.parcel")
        for _ in range(rounds):
            peer = _seconds("plain join", lambda: _join(settings))
            owner.execute(f"TRUNCATE {_LINKS}, addresses.parcel_location".encode())
            read = _seconds("link --full, locations to be read", lambda: _link(settings))
            owner.execute(f"TRUNCATE {_LINKS}".encode())
            full = _seconds("link --full from nothing", lambda: _link(settings))
            again = _seconds("link --full, nothing differs", lambda: _link(settings))
            print(f"locations to be read / join  {read / peer:.2f}")
            print(f"from nothing / join          {full / peer:.2f}")
            print(f"nothing differs / join       {again / peer:.2f}", flush=True)


def _join(settings: Settings) -> str:
    with connect(settings, OWNER) as connection:
        connection.execute("DROP TABLE IF EXISTS plain_join")
        count = connection.execute(
            "CREATE TABLE plain_join AS SELECT address_uid, parcel_uid FROM addresses.address_point AS point"
            " JOIN cadastral.parcel AS parcel ON ST_Covers(parcel.geom, point.geom)"
        ).rowcount
    return f"{count:,} pairs"


def _link(settings: Settings) -> str:
    with connect(settings) as connection:
        towns = linkable_towns(connection)
    done = link_towns(settings, towns, full=True).values()
    return (
        f"{sum(each.addresses for each in done):,} points, {sum(each.with_parcel for each in done):,} with a parcel,"
        f" {sum(each.made for each in done):,} links made"
    )


def _seconds(what: str, work: Callable[[], str]) -> float:
    started = time.perf_counter()
    said = work()
    seconds = time.perf_counter() - started
    print(f"{what:34} {seconds:8.2f} s  {said}", flush=True)
    return seconds


if __name__ == "__main__":
    main()
