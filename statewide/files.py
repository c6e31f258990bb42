"""A town's file in, Arrow and facts out; no file of a stranger is opened in this process by a map library.

``inspect`` lists what a delivery holds, ``read`` also brings the rows of one layer, ``read_layers`` of several. Here
the bytes are looked at, unzipped, copied to a private folder and counted; GDAL runs in ``reading_child``. What the
reader gave is held against what was counted without it: a short reading is no exception but shows in ``Reading``, for
the caller to judge.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from statewide import reading_process
from statewide.errors import StorageFull, UnreadableDelivery, no_room
from statewide.reading_limits import MIB, Limits, Unusable
from statewide.receiving import Delivery, Map, printable, receive
from statewide.sniff import BY_RECORD, DRIVERS, READERS

__all__ = ["Inspection", "Layer", "Limits", "Reading", "SourceField", "inspect", "read", "read_layers"]

_LOG_BYTES = MIB
_MOST_TAPPED = 20
# Said by the reader itself, or of no matter: a lone .dbf has no .shp, nothing is written beside a GML, and the usual
# address of a code is known without a look.
_ELSEWHERE = re.compile(r"Non closed ring|Unable to open shp or SHP|GFS file saving|Cannot import http:/epsg\.xml#\d+ ")


@dataclass(frozen=True)
class SourceField:
    """A column as the table has it; ``type`` in Arrow's words: int64, double, string, bool, date32[day] …"""

    name: str
    type: str


@dataclass(frozen=True)
class Layer:
    """``geometry_type`` as OGR says it ("MultiPolygon Z"), None for a plain table. ``crs_wkt`` is None when the file
    does not say; ``crs_epsg`` also when PROJ knows no code for what it says. ``crs_by_name``: only columns named for
    longitude and latitude say so."""

    name: str
    geometry_type: str | None
    rows: int | None
    fields: tuple[SourceField, ...]
    crs_wkt: str | None
    crs_epsg: int | None
    crs_by_name: bool


@dataclass(frozen=True)
class Inspection:
    """``sha256`` is of the file's bytes; for a folder or a bare shapefile, of the lines ``sha256  name`` of its files.

    ``path_name`` is the file's name as text, whatever its bytes. ``originals`` are the sender's own files: the one
    that was named (or the folder), and the other parts of a bare shapefile.
    ``why`` says why ``layer`` was picked; ``isolation`` what the sandbox enforced and what it could not. ``warnings``
    are complaints about the file; ``notes`` say what was done knowingly (heights left aside, lines above a header).
    ``delimiter`` is of text tables only.
    """

    path_name: str
    originals: tuple[Path, ...]
    sha256: str
    size_bytes: int
    kind: str
    driver: str
    layers: tuple[Layer, ...]
    layer: Layer
    why: str
    encoding: str | None
    encoding_how: str | None
    delimiter: str | None
    isolation: tuple[str, ...]
    members: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reading(Inspection):
    """``table``: row_no (1-based, file order), the source's columns, geometry (ISO WKB, null if absent or empty).

    ``rows_counted`` is the number of rows the file must give, found without GDAL (None: see ``counted_how``).
    ``geometries_lost`` counts shapes that the file has and the reading lacks. ``broken_rows`` are the records that
    could not be read although others could, by the number that the sender sees (OBJECTID, fid; a shapefile's from 1;
    a line of a text table). ``lost_rows``: the ``row_no`` of the rows whose shapes are lost, where that is known.
    """

    table: pa.Table
    rows_declared: int | None
    rows_read: int
    rows_counted: int | None
    counted_how: str | None
    geometries_lost: int
    broken_rows: tuple[int, ...]
    lost_rows: tuple[int, ...]


def inspect(
    path: Path,
    *,
    work: Path,
    layer: str | None = None,
    shapes: bool = True,
    geometry: str = "MultiPolygon",
    limits: Limits | None = None,
) -> Inspection:
    """What the delivery holds, without its rows. ``work`` is a folder of the caller's, who also removes it.

    ``shapes``: a map is wanted, and a table without shapes is refused; else a table is wanted, with shapes or without.
    ``geometry``: the kind of the table's shapes in the law, MultiPolygon or Point, by which the layer is picked; a
    layer that has no points at all is refused where points are wanted.
    Raises UnreadableDelivery (the sender must act) and StorageFull.
    """
    with _named(path), _folders(work) as (room, inside):
        job = _Job(path, room, inside, shapes, geometry, limits or Limits())
        return Inspection(**_facts(job, _run_child(job, [layer], rows=False)[0]))


def read(
    path: Path,
    *,
    work: Path,
    layer: str | None = None,
    shapes: bool = True,
    geometry: str = "MultiPolygon",
    limits: Limits | None = None,
) -> Reading:
    """The rows of one layer; with ``shapes=False`` its geometry column is all null. The table is mapped from a file
    in ``work``, which must outlive it on other systems than Linux. Takes and raises what ``inspect`` does."""
    with _named(path), _folders(work) as (room, inside):
        job = _Job(path, room, inside, shapes, geometry, limits or Limits())
        return _reading(job, layer, _run_child(job, [layer], rows=True)[0])


def read_layers(
    path: Path,
    *,
    work: Path,
    pick: Callable[[Sequence[Layer]], Sequence[str]],
    geometry: str = "MultiPolygon",
    limits: Limits | None = None,
) -> list[Reading]:
    """The rows of all layers that ``pick`` names once it has seen which there are; the delivery is received once.

    Takes and raises what ``read`` does; where ``pick`` names none, it is ``read`` of a layer that nobody named.
    """
    with _named(path), _folders(work) as (room, inside):
        job = _Job(path, room, inside, True, geometry, limits or Limits())
        there = tuple(_layer(listed) for listed in _run_child(job, [], rows=False)[0]["layers"])
        names: list[str | None] = [*pick(there)] or [None]
        return [
            _reading(job, name, result) for name, result in zip(names, _run_child(job, names, rows=True), strict=True)
        ]


def _reading(job: _Job, layer: str | None, result: dict[str, Any]) -> Reading:
    result = _read_again_if_short(job, layer, result)
    table = _map_table(Path(result["out"]) / "table.arrow")
    facts = _facts(job, result)
    rows, how = _counted(job.delivery, result)
    lost, lost_rows = _lost(job.delivery, result, table) if job.shapes else (0, [])
    if lost > result["rows"]["lost"]:
        facts["warnings"] += (f"Rows that came back without the shape that the file holds for them: {lost:,}.",)
    return Reading(
        **facts,
        table=table,
        rows_declared=result["layers"][result["picked"]]["rows"],
        rows_read=table.num_rows,
        rows_counted=rows,
        counted_how=how,
        geometries_lost=lost,
        broken_rows=tuple(result["broken_rows"]),
        lost_rows=tuple(lost_rows),
    )


class _Job:
    """One delivery, received, and what is wanted of it."""

    def __init__(
        self,
        path: Path,
        room: Path,
        inside: Path,
        shapes: bool,
        geometry: str,
        limits: Limits,
    ) -> None:
        self.path = path
        self.room = room
        self.inside = inside
        self.shapes = shapes
        self.geometry = geometry
        self.limits = limits
        self.delivery = receive(path, room, inside, limits, shapes=shapes)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what went wrong with the file into the sentence for its sender."""
    try:
        yield
    except Unusable as unusable:
        raise UnreadableDelivery(f"{printable(path.name)} {unusable}.") from unusable.__cause__
    except FileNotFoundError as error:
        if path.exists():
            raise
        raise UnreadableDelivery(f"{printable(path.name)} does not exist; check the path.") from error
    except PermissionError as error:
        raise UnreadableDelivery(f"{printable(path.name)} may not be read by this user.") from error
    except OSError as error:
        if no_room(error):
            raise StorageFull("There is no room on the disk to unpack and read the delivery.") from error
        raise


@contextmanager
def _folders(work: Path) -> Iterator[tuple[Path, Path]]:
    """A room of our own in ``work``, and inside it the folder for the copies, which goes when the reading is done."""
    room = Path(tempfile.mkdtemp(prefix="reading-", dir=work)).resolve()
    inside = room / "delivery"
    inside.mkdir()
    try:
        yield room, inside
    finally:
        shutil.rmtree(inside, ignore_errors=True)


# The throwaway process


def _run_child(job: _Job, layers: Sequence[str | None], *, rows: bool, careful: bool = False) -> list[dict[str, Any]]:
    """What there is to say of each layer, and of the delivery; without a layer, of the delivery alone."""
    out = Path(tempfile.mkdtemp(prefix="out-", dir=job.room))
    for number in range(len(layers)):  # the child may make no folders
        (out / str(number)).mkdir()
    limits = job.limits
    request = job.room / f"{out.name}.json"
    request.write_text(
        json.dumps(
            {
                "input": str(job.inside),
                "out": str(out),
                "layers": list(layers),
                "shapes": job.shapes,
                "geometry": job.geometry,
                "read": rows,
                "careful": careful,
                "limits": asdict(limits),
                "datasets": [
                    {"kind": found.kind, "path": str(found.staged), "name": found.name}
                    | (
                        {"encoding": found.facts.encoding, "encoding_how": found.facts.encoding_how}
                        if found.facts
                        else {}
                    )
                    for found in job.delivery.maps
                ],
            }
        ),
        encoding="utf-8",
    )
    try:
        code = reading_process.run(request, out, limits.wall_seconds)
    except TimeoutError as late:
        raise Unusable(
            f"took longer than {limits.wall_seconds} seconds to read and was given up; export it again"
        ) from late
    written = out / "result.json"
    if code != 0 or not written.is_file():
        unusable = Unusable(_died(code))
        unusable.__cause__ = RuntimeError((out / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-2000:])
        raise unusable
    result: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    if "refused" in result:
        raise Unusable(result["refused"])
    each = result.pop("each") or [{}]
    return [{**result, **found, "out": str(out / str(number))} for number, found in enumerate(each)]


def _died(code: int) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return "took more computing time or memory than a delivery may and was given up; export it again"
    if code < 0:
        return f"crashed its reader ({signal.Signals(-code).name}): it is damaged or unsafe; export it again"
    return "could not be read: it is damaged in a way that its reader does not know; export it again"


def _read_again_if_short(job: _Job, layer: str | None, result: dict[str, Any]) -> dict[str, Any]:
    """Where the bulk reading failed or fell short, ask for each record by its id and keep the better of the two."""
    counted, _ = _counted(job.delivery, result)
    promised = counted if counted is not None else result["layers"][result["picked"]]["rows"]
    failed = result.get("failed")
    short = not failed and promised is not None and result["rows"]["read"] < promised
    kind = _picked(job.delivery, result).kind
    if not failed and not (short and kind in ("geopackage", "filegdb", "mapinfo")):
        return result
    if kind in BY_RECORD:
        try:
            [again] = _run_child(job, [layer], rows=True, careful=True)
            if failed or again["rows"]["read"] > result["rows"]["read"]:
                return again
            result["broken_rows"] = again["broken_rows"]
        except Unusable:
            if failed:
                raise
    if failed:
        alone = "" if kind in BY_RECORD else ", and a file of this kind cannot be read record by record"
        raise Unusable(f"could not be read: it is damaged{alone}; export it again") from RuntimeError(failed)
    return result


# Facts


def _picked(delivery: Delivery, result: dict[str, Any]) -> Map:
    number: int = result["layers"][result["picked"]]["dataset"]
    return delivery.maps[number]


def _facts(job: _Job, result: dict[str, Any]) -> dict[str, Any]:
    delivery = job.delivery
    found = _picked(delivery, result)
    layers = tuple(_layer(listed) for listed in result["layers"])
    warnings = [*found.warnings, *result["warnings"], *_tapped(job.room, layers)]
    return {
        "path_name": os.fsencode(job.path.name).decode(errors="replace"),
        "originals": delivery.originals,
        "sha256": delivery.sha256,
        "size_bytes": delivery.size_bytes,
        "kind": found.kind,
        "driver": DRIVERS.get(found.kind) or READERS[found.kind],
        "layers": layers,
        "layer": layers[result["picked"]],
        "why": result["why"],
        "encoding": result["encoding"],
        "encoding_how": result["encoding_how"],
        "delimiter": result["delimiter"],
        "isolation": tuple(result["isolation"]),
        "members": tuple(member.name for member in delivery.members),
        "warnings": tuple(dict.fromkeys(warnings)),
        "notes": tuple(dict.fromkeys(result["notes"])),
    }


def _layer(listed: dict[str, Any]) -> Layer:
    epsg, wkt = None, listed["crs"]
    if wkt is not None and (match := re.fullmatch(r"EPSG:(\d+)", wkt)):
        epsg = int(match[1])
        wkt = _wkt(epsg)
    return Layer(
        name=listed["name"],
        geometry_type=listed["geometry_type"],
        rows=listed["rows"],
        fields=tuple(SourceField(name, kind) for name, kind in listed["fields"]),
        crs_wkt=wkt,
        crs_epsg=epsg,
        crs_by_name=listed["crs_by_name"],
    )


@lru_cache(maxsize=64)
def _wkt(epsg: int) -> str:
    from pyproj import CRS  # a tenth of a second of start that only a reading needs

    return str(CRS.from_epsg(epsg).to_wkt())


def _tapped(room: Path, layers: tuple[Layer, ...]) -> list[str]:
    """The errors and warnings that GDAL kept to itself, alike ones once, without values and paths of this machine."""
    text = ""
    for log in sorted(room.glob("out-*/gdal.log")):
        with log.open("rb") as file:
            text += file.read(_LOG_BYTES).decode("utf-8", "replace")
    known = {layer.name for layer in layers} | {column.name for layer in layers for column in layer.fields}
    alike: dict[str, list[str]] = {}
    for match in re.finditer(r"^CPLError: (.+)$", text, re.MULTILINE):
        said = re.sub(r"(?:/[^/\s:]+)+/([^/\s:]+)", r"\1", match[1]).replace(" delivery.", " ")
        said = _without_values(said, known)
        if not _ELSEWHERE.search(said):
            alike.setdefault(re.sub(r"[-\d.,]+", "#", said), []).append(said[:300])
    return [
        f"GDAL: {lines[0]}" + (f" (and {len(lines) - 1:,} more like it)" if len(lines) > 1 else "")
        for lines in list(alike.values())[:_MOST_TAPPED]
    ]


def _without_values(said: str, known: set[str]) -> str:
    """What GDAL quotes may be a person's, so only the names of layers and columns stay.

    All from the first quote left to the last goes, for a value may hold one itself: ``Value 'O'BRIEN JANE' of …``
    """
    for name in known:
        for quote in "'\"":
            said = said.replace(f"{quote}{name}{quote}", f"‘{name}’")
    said = re.sub(r"""['"].*['"]|['"].*""", "'…'", said)
    return re.sub(r"(Invalid|Non-conformant) content for record .*", r"\1 content of a cell", said)


def _counted(delivery: Delivery, result: dict[str, Any]) -> tuple[int | None, str]:
    facts = _picked(delivery, result).facts
    if facts is not None:
        return facts.rows, facts.how
    return result["count"]["rows"], result["count"]["how"]


def _lost(delivery: Delivery, result: dict[str, Any], table: pa.Table) -> tuple[int, list[int]]:
    """Shapes that the file promises and the table has not, and which rows: known row by row for a shapefile and
    where the reader itself saw them, else by their number."""
    facts = _picked(delivery, result).facts
    rows = result["rows"]
    present = _present(table.column("geometry"))
    if facts is not None and len(facts.has_shape) == len(present):
        gone = np.flatnonzero(facts.has_shape & ~present)
        return len(gone), (gone + 1).tolist()
    promised = int(facts.has_shape[: len(present)].sum()) if facts is not None else result["count"]["shapes"]
    if promised is None:
        return int(rows["lost"]), rows["lost_rows"]
    # An empty shape may be meant; in XML it is what the reader makes of one that it cannot understand.
    emptied = 0 if _picked(delivery, result).kind in ("kml", "gml") else int(rows["emptied"])
    return max(int(rows["lost"]), promised - int(present.sum()) - emptied), rows["lost_rows"]


def _present(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which rows are not null; read from Arrow's bits, as its own way to numpy would load pandas (a second)."""
    masks = [np.zeros(0, dtype=bool)]
    for chunk in column.chunks:
        bits = chunk.buffers()[0]
        if bits is None:
            masks.append(np.ones(len(chunk), dtype=bool))
        else:
            mask = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
            masks.append(mask[chunk.offset : chunk.offset + len(chunk)].astype(bool))
    return np.concatenate(masks)


def _map_table(path: Path) -> pa.Table:
    """What a process that met a stranger's file wrote is checked before it is believed."""
    try:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise Unusable("could not be read: the reader left an incomplete table; export it again") from error
    return table
