"""The register of aerial imagery: which cloud-optimized GeoTIFFs belong to which program, and where each has a picture.

Files stay where they are and are known by path, size, time and SHA-256; only what had to be converted is kept by us.
What a file says of itself is read in ``picture``; which parcels it shows is in ``parcel_imagery``.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from psycopg import sql
from psycopg.rows import namedtuple_row

from resilience.parcel_imagery import refresh_parcel_imagery
from resilience.picture import (
    METRES_PER_FOOT,
    NotCloudOptimized,
    Picture,
    convert,
    read_picture,
    require_cloud_optimized,
    sha256,
)
from statewide.database import Connection, connect
from statewide.errors import BadArgument, InputError, UnreadableDelivery
from statewide.geometry import published_shapes
from statewide.settings import Settings
from statewide.standard import Standard

_NAMESPACE = uuid.UUID("0c6a6a0e-7b53-5d0e-9a0c-5d9f0a3b8c21")
_REFUSALS_SHOWN = 20


class Flight(NamedTuple):
    """First and last day on which a program's pictures were taken."""

    start: dt.date
    end: dt.date

    @classmethod
    def parse(cls, text: str) -> Flight:
        """From `2023-03-10/2023-04-20`, or from one day.

        Raises:
            BadArgument: it is no such interval, runs backwards or lies in the future.
        """
        try:
            days = [dt.date.fromisoformat(part) for part in text.split("/")]
        except ValueError:
            days = []
        if len(days) not in (1, 2) or days[0] > days[-1] or days[-1] > dt.datetime.now(dt.UTC).date():
            raise BadArgument(
                f"--flown {text}: give the first and the last day of the flights, as 2023-03-10/2023-04-20."
            )
        return cls(days[0], days[-1])


def parse_bands(text: str, standard: Standard) -> tuple[str, ...]:
    """Codes of bands from `red,green,blue,nir`.

    Raises:
        BadArgument: a band is not in the list `imagery_band`, or is named twice.
    """
    known = standard.code_lists["imagery_band"].lookup()
    given = [part.strip().casefold() for part in text.split(",")]
    names = tuple(known.get(part, "") for part in given)
    if "" in names or len(set(names)) < len(names):
        raise BadArgument(f"--bands {text}: name each band once, of {', '.join(sorted(set(known.values())))}.")
    return names


@dataclass(frozen=True)
class _Entry:
    """One file as it is to stand in the register."""

    delivered: Path
    delivered_state: str
    file: Path
    delivered_sha256: str
    file_sha256: str
    picture: Picture


def add_imagery(
    settings: Settings,
    standard: Standard,
    given: Sequence[Path],
    *,
    program: str,
    flown: Flight,
    bands: tuple[str, ...] | None = None,
    converting: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Register files, or all ``.tif`` of a folder, under a program; all of them or none.

    Args:
        converting: write what is not cloud-optimized anew, into the platform's own folder, instead of refusing it.

    Returns:
        ``outcome`` (``published`` or ``unchanged``), counts of pictures, and what became of the parcels' rows.

    Raises:
        BadArgument, UnreadableDelivery: a file cannot be used; the sentences say why, and nothing was registered.
    """
    pattern = standard.table("imagery").field("program").pattern or ""
    longest = standard.table("imagery").field("program").max_length or 0
    if not re.match(pattern, program) or len(program) > longest:
        raise BadArgument(
            f"--program {program!r}: at most {longest} letters, digits, dots and dashes, for example a year."
        )
    files = _files(given)
    with connect(settings) as connection:
        known = _registered(connection, program)
    is_same = [_is_same(known.get(str(path)), path, bands) for path in files]
    same = [path for path, unchanged in zip(files, is_same, strict=True) if unchanged]
    fresh = [path for path, unchanged in zip(files, is_same, strict=True) if not unchanged]
    entries = _entries(settings, standard, fresh, bands, converting, say)
    with connect(settings) as connection:
        connection.execute("SET LOCAL lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('imagery', 7100))")
        there = {row.imagery_uid for row in _registered(connection, program).values()}
        reflown = _set_flight(connection, program, same, flown)
        uids, replaced = _write(connection, standard, program, flown, entries)
        connection.commit()
        _drop_copies(connection, replaced)
        added = len(set(uids) - there)
        updated = len(set(uids) & there) + reflown
        parcels = refresh_parcel_imagery(connection, standard, say=say)
    return {
        "outcome": "published" if added or updated else "unchanged",
        "program": program,
        "flown": [str(flown.start), str(flown.end)],
        "pictures": {"added": added, "updated": updated, "unchanged": len(same) - reflown},
        "converted": sum(entry.file != entry.delivered for entry in entries),
        "parcels": parcels,
    }


def list_imagery(settings: Settings, program: str | None = None) -> list[dict[str, Any]]:
    """Each program with its flight window, resolution, bands, and the files that are gone or are not what they were."""
    with connect(settings) as connection, connection.cursor(row_factory=namedtuple_row) as cursor:
        programs: list[Any] = cursor.execute(
            """
            SELECT program, count(*) AS pictures, min(flown_from) AS start, max(flown_to) AS end_,
                min(gsd_ft) AS finest, max(gsd_ft) AS coarsest, array_agg(DISTINCT bands) AS bands,
                array_agg(DISTINCT epsg) AS epsg, sum(file_bytes) AS bytes, sum(ST_Area(geom)) AS sqft
            FROM resilience.imagery WHERE program = coalesce(%s, program) GROUP BY program ORDER BY end_, program
            """,
            [program],
        ).fetchall()
        files: list[Any] = cursor.execute(
            "SELECT program, file_path, file_bytes FROM resilience.imagery"
            " WHERE program = coalesce(%s, program) ORDER BY file_path",
            [program],
        ).fetchall()
    if program and not programs:
        raise BadArgument(f"No imagery of a program {program!r} is registered.")
    states = [(row.program, row.file_path, _state_of_file(Path(row.file_path), row.file_bytes)) for row in files]
    return [
        {
            "program": row.program,
            "pictures": row.pictures,
            "flown": [str(row.start), str(row.end_)],
            "gsd_ft": [row.finest, row.coarsest],
            "gsd_m": [round(side * METRES_PER_FOOT, 4) for side in (row.finest, row.coarsest)],
            "bands": row.bands,
            "epsg": row.epsg,
            "bytes": int(row.bytes),
            "square_miles": round(row.sqft / 5280**2, 3),
            "missing": [path for name, path, state in states if name == row.program and state == "missing"],
            "changed": [path for name, path, state in states if name == row.program and state == "changed"],
        }
        for row in programs
    ]


def remove_imagery(
    settings: Settings,
    standard: Standard,
    program: str,
    files: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Take pictures off the register, all of the program unless files are named; the delivered files stay on disk.

    Args:
        files: names, or paths as they were given.

    Raises:
        BadArgument: no such picture is registered.
    """
    with connect(settings) as connection:
        rows = _registered(connection, program).values()
        wanted = {str(Path(name).absolute()) for name in files} | set(files)
        gone = [row for row in rows if not files or row.delivered_path in wanted or row.file_name in wanted]
        named = {row.file_name for row in gone} | {row.delivered_path for row in gone}
        unknown = [name for name in files if not {name, str(Path(name).absolute())} & named]
        if unknown or not gone:
            what = f"{unknown[0]} of " if unknown else ""
            raise BadArgument(f"No imagery: {what}program {program!r} is not registered; nothing was removed.")
        connection.execute(
            "DELETE FROM resilience.imagery WHERE imagery_uid = ANY(%s)", [[row.imagery_uid for row in gone]]
        )
        connection.commit()
        _drop_copies(connection, [row.file_path for row in gone if row.file_path != row.delivered_path])
        parcels = refresh_parcel_imagery(connection, standard, say=say)
    return {"outcome": "ok", "program": program, "removed": len(gone), "parcels": parcels}


def _drop_copies(connection: Connection, copies: Sequence[str]) -> None:
    """Delete files that we converted and that no row names any more; a delivered file is nobody's to delete."""
    still = connection.execute(
        "SELECT file_path FROM resilience.imagery WHERE file_path = ANY(%s)", [copies]
    ).fetchall()
    for path in set(copies) - {path for (path,) in still}:
        Path(path).unlink(missing_ok=True)


def _files(given: Sequence[Path]) -> list[Path]:
    """The files, and those of the folders, each once and by its whole path."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in (".tif", ".tiff"))
            if not inside:
                raise BadArgument(f"The folder {path} holds no .tif.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise BadArgument(f"There is no file {path}.")
    return list(dict.fromkeys(path.absolute() for path in found))


def _registered(connection: Connection, program: str) -> dict[str, Any]:
    """Rows of a program by the path that was given."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        rows: list[Any] = cursor.execute(
            "SELECT imagery_uid, delivered_path, delivered_state, bands, file_path, file_name FROM resilience.imagery"
            " WHERE program = %s",
            [program],
        ).fetchall()
    return {row.delivered_path: row for row in rows}


def _state(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _state_of_file(path: Path, size: float) -> str:
    try:
        return "there" if path.stat().st_size == size else "changed"
    except OSError:
        return "missing"


def _is_same(row: Any, path: Path, bands: tuple[str, ...] | None) -> bool:
    if row is None or row.delivered_state != _state(path):
        return False
    return Path(row.file_path).exists() and (bands is None or row.bands == ",".join(bands))


def _entries(
    settings: Settings,
    standard: Standard,
    files: list[Path],
    bands: tuple[str, ...] | None,
    converting: bool,
    say: Callable[[str], None],
) -> list[_Entry]:
    """Look into all files before any is hashed or converted, for one that is refused refuses all."""
    pictures: dict[Path, Picture] = {}
    to_convert: set[Path] = set()
    refusals: list[str] = []
    for number, path in enumerate(files, start=1):
        say(f"Looking into {path.name} ({number} of {len(files)})")
        try:
            pictures[path] = read_picture(path, standard, bands)
            try:
                require_cloud_optimized(path)
            except NotCloudOptimized:
                if not converting:
                    raise
                to_convert.add(path)
        except InputError as error:
            refusals.append(str(error))
    if refusals:
        raise UnreadableDelivery(_refused(refusals, len(files)))
    entries = []
    for path in files:
        state = _state(path)
        say(f"Checksum of {path.name}")
        digest = sha256(path, say)
        file, file_digest, picture = path, digest, pictures[path]
        if path in to_convert:
            file = settings.home / "imagery" / f"{digest}.tif"
            if not file.exists():
                say(f"Converting {path.name}")
                convert(path, file)
            # A mask that lay beside the delivered file is inside of the copy.
            picture, file_digest = read_picture(file, standard, picture.bands), sha256(file, say)
        entries.append(_Entry(path, state, file, digest, file_digest, picture))
    return entries


def _refused(refusals: list[str], files: int) -> str:
    if files == 1:
        return refusals[0]
    more = [f"and {len(refusals) - _REFUSALS_SHOWN:,} more"] if len(refusals) > _REFUSALS_SHOWN else []
    listed = "".join(f"\n  {line}" for line in refusals[:_REFUSALS_SHOWN] + more)
    return f"{len(refusals):,} of {files:,} files cannot be used; nothing was registered.{listed}"


def _set_flight(connection: Connection, program: str, files: list[Path], flown: Flight) -> int:
    """Correct the flight window of files that are otherwise unchanged."""
    return connection.execute(
        "UPDATE resilience.imagery SET flown_from = %s, flown_to = %s"
        " WHERE program = %s AND delivered_path = ANY(%s) AND (flown_from, flown_to) <> (%s, %s)",
        [*flown, program, [str(path) for path in files], *flown],
    ).rowcount


_SHAPE_NAMES = ("geom", "geom_lonlat", "geom_mercator")


def _write(
    connection: Connection, standard: Standard, program: str, flown: Flight, entries: list[_Entry]
) -> tuple[list[uuid.UUID], list[str]]:
    """Rows of the entries; what stood at the same path before goes. Identifiers, and the copies whose rows went."""
    uids = [uuid.uuid5(_NAMESPACE, f"{program}/{entry.file_sha256}") for entry in entries]
    replaced = connection.execute(
        "DELETE FROM resilience.imagery WHERE program = %s AND (delivered_path = ANY(%s) OR imagery_uid = ANY(%s))"
        " RETURNING file_path, delivered_path",
        [program, [str(entry.delivered) for entry in entries], uids],
    ).fetchall()
    shapes = np.array([entry.picture.outline for entry in entries], dtype=object)
    srid = standard.header.storage_crs
    lonlat, mercator = published_shapes(shapes, standard) if entries else (shapes, shapes)
    wkb = [shapely.to_wkb(shapely.set_srid(each, code), include_srid=True) for each, code in
           zip((shapes, lonlat, mercator), (srid, 4326, 3857), strict=True)]  # fmt: skip
    rows = {}
    for at, (uid, entry) in enumerate(zip(uids, entries, strict=True)):
        picture = entry.picture
        rows[uid] = {
            "imagery_uid": uid,
            "program": program,
            "flown_from": flown.start,
            "flown_to": flown.end,
            "grid_cell": picture.grid_cell,
            "gsd_ft": picture.gsd_ft,
            "gsd_m": round(picture.gsd_ft * METRES_PER_FOOT, 6),
            "bands": ",".join(picture.bands),
            "epsg": picture.epsg,
            "width_px": picture.width_px,
            "height_px": picture.height_px,
            "pixel_to_ground": json.dumps(picture.pixel_to_ground),
            "picture_share_pct": picture.picture_share_pct,
            "file_name": entry.delivered.name,
            "file_bytes": entry.file.stat().st_size,
            "file_sha256": entry.file_sha256,
            "delivered_sha256": entry.delivered_sha256,
            "file_path": str(entry.file),
            "delivered_path": str(entry.delivered),
            "delivered_state": entry.delivered_state,
            "added_at": dt.datetime.now(dt.UTC),
            **{name: wkb[shape][at] for shape, name in enumerate(_SHAPE_NAMES)},
        }
    if rows:
        names = list(next(iter(rows.values())))
        statement = sql.SQL("INSERT INTO resilience.imagery ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(
                sql.SQL("{}::bytea::geometry" if name in _SHAPE_NAMES else "{}").format(sql.Placeholder(name))
                for name in names
            ),
        )
        with connection.cursor() as cursor:
            cursor.executemany(statement, list(rows.values()))
    return list(rows), [file for file, delivered in replaced if file != delivered]
