"""A town's file in, Arrow and facts out; no file of a stranger is opened in this process by a map library.

``inspect`` lists what a delivery holds, ``read`` also brings the rows of one layer. Here the bytes are looked at,
unzipped, copied to a private folder and counted; GDAL runs in ``reading_child``. What the reader gave is held against
what was counted without it: a short reading is no exception but shows in ``Reading``, for the caller to judge.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from statewide.errors import StorageFull, UnreadableDelivery, no_room
from statewide.reading_limits import MIB, Limits, Unusable
from statewide.sandbox import ENVIRONMENT
from statewide.shapefile_bytes import ShapefileFacts, survey
from statewide.sniff import DRIVERS, GDB_FIRST_TABLE, READABLE, sniff
from statewide.unpack import Member, check_sizes, is_junk, safe_gdb_name, unpack

__all__ = ["Inspection", "Layer", "Limits", "Reading", "SourceField", "inspect", "read"]

_LOG_BYTES = MIB
_MOST_TAPPED = 20
_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_CRS_TEXT = re.compile(
    r"\s*(PROJCS|GEOGCS|GEOCCS|COMPD_CS|LOCAL_CS|(PROJ|GEOG|GEOD|COMPOUND|BOUND|ENG)CRS)\s*[\[(]", re.I
)


@dataclass(frozen=True)
class SourceField:
    """A column as the table has it; ``type`` in Arrow's words: int64, double, string, bool, date32[day] …"""

    name: str
    type: str


@dataclass(frozen=True)
class Layer:
    """``geometry_type`` as OGR says it ("MultiPolygon Z"), None for a plain table. ``crs_wkt`` is None when the file
    does not say; ``crs_epsg`` also when PROJ knows no code for what it says."""

    name: str
    geometry_type: str | None
    rows: int | None
    fields: tuple[SourceField, ...]
    crs_wkt: str | None
    crs_epsg: int | None


@dataclass(frozen=True)
class Inspection:
    """``sha256`` is of the file's bytes; for a folder or a bare shapefile, of the lines ``sha256  name`` of its files.

    ``path_name`` is the file's name as text, whatever its bytes. ``originals`` are the sender's own files: the one
    that was named (or the folder), and the other parts of a bare shapefile.
    ``why`` says why ``layer`` was picked; ``isolation`` what the sandbox enforced and what it could not.
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
    isolation: tuple[str, ...]
    members: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Reading(Inspection):
    """``table``: row_no (1-based, file order), the source's columns, geometry (ISO WKB, null if absent or empty).

    ``rows_counted`` is the number of rows the file must give, found without GDAL (None: see ``counted_how``).
    ``geometries_lost`` counts shapes that the file has and the reading lacks. ``broken_rows`` are the records that
    could not be read although others could, by the number that the sender sees (OBJECTID, fid; a shapefile's from 1).
    """

    table: pa.Table
    rows_declared: int | None
    rows_read: int
    rows_counted: int | None
    counted_how: str | None
    geometries_lost: int
    broken_rows: tuple[int, ...]


@dataclass
class _Map:
    """One map of the delivery: where its parts are, by suffix (a geodatabase: by file name)."""

    kind: str
    name: str
    parts: dict[str, Path]
    staged: Path | None = None
    facts: ShapefileFacts | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Delivery:
    originals: tuple[Path, ...]
    sha256: str
    size_bytes: int
    members: list[Member]
    maps: list[_Map]


def inspect(path: Path, *, work: Path, layer: str | None = None, limits: Limits | None = None) -> Inspection:
    """What the delivery holds, without its rows. ``work`` is a folder of the caller's, who also removes it.

    Raises UnreadableDelivery (the sender must act) and StorageFull.
    """
    limits = limits or Limits()
    with _named(path), _folders(work) as (room, inside):
        delivery = _receive(path, room, inside, limits)
        result = _run_child(delivery, room, inside, layer, limits, rows=False)
        return Inspection(**_facts(path, delivery, result, room))


def read(path: Path, *, work: Path, layer: str | None = None, limits: Limits | None = None) -> Reading:
    """The rows of one layer. The table is mapped from a file in ``work``, which must outlive it on other systems than
    Linux. Raises as ``inspect`` does."""
    limits = limits or Limits()
    with _named(path), _folders(work) as (room, inside):
        delivery = _receive(path, room, inside, limits)
        result = _run_child(delivery, room, inside, layer, limits, rows=True)
        result = _read_again_if_short(delivery, result, room, inside, layer, limits)
        table = _map_table(Path(result["out"]) / "table.arrow")
        facts = _facts(path, delivery, result, room)
        picked = result["layers"][result["picked"]]
        rows, how = _counted(delivery, result)
        lost = _lost(delivery, result, table)
        if lost > result["rows"]["lost"]:
            facts["warnings"] += (f"Rows that came back without the shape that the file holds for them: {lost:,}.",)
        return Reading(
            **facts,
            table=table,
            rows_declared=picked["rows"],
            rows_read=table.num_rows,
            rows_counted=rows,
            counted_how=how,
            geometries_lost=lost,
            broken_rows=tuple(result["broken_rows"]),
        )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what went wrong with the file into the sentence for its sender."""
    try:
        yield
    except Unusable as unusable:
        raise UnreadableDelivery(f"{_printable(path.name)} {unusable}.") from unusable.__cause__
    except FileNotFoundError as error:
        if path.exists():
            raise
        raise UnreadableDelivery(f"{_printable(path.name)} does not exist; check the path.") from error
    except PermissionError as error:
        raise UnreadableDelivery(f"{_printable(path.name)} may not be read by this user.") from error
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


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:120]


# Receiving: hash, unpack, find the maps, stage them under names of ours


def _receive(path: Path, room: Path, inside: Path, limits: Limits) -> _Delivery:
    packed = room / "unpacked"
    packed.mkdir()
    try:
        delivery = _open_delivery(path, packed, limits)
        if not delivery.maps:
            raise Unusable(_nothing_inside(delivery.members))
        if len(delivery.maps) > limits.datasets:
            raise Unusable(f"holds more than {limits.datasets} maps; send the parcels alone")
        for number, found in enumerate(delivery.maps):
            _stage(found, inside / str(number), packed, limits)
        return delivery
    finally:
        shutil.rmtree(packed, ignore_errors=True)


def _open_delivery(path: Path, packed: Path, limits: Limits) -> _Delivery:
    if path.is_dir():
        return _open_folder(path, limits)
    size = path.stat().st_size
    if size > limits.delivery_bytes:
        raise Unusable(f"is larger than {limits.delivery_bytes // MIB} MB; send the parcels alone")
    if path.suffix.lower() in (".dbf", ".shx", ".prj", ".cpg", ".gdbtable"):
        raise Unusable("is one part of a map; send all its parts together in a zip")
    kind = sniff(path)
    if kind == "zip":
        members = _unpack_twice(path, packed, limits)
        return _Delivery((path,), _sha256(path), size, members, _find_maps(members))
    if kind == "shapefile":
        same = [other for other in path.parent.iterdir() if other.stem.casefold() == path.stem.casefold()]
        parts = [Member(other.name, other) for other in sorted(same) if other.suffix.lower() in _SHAPEFILE_PARTS]
        originals = tuple(path.with_name(part.name) for part in parts)
        return _Delivery(originals, *_sha256_of_all(parts), parts, _find_maps(parts))
    single = _Map(kind, path.stem, {"": path})
    return _Delivery((path,), _sha256(path), size, [Member(path.name, path)], [single])


def _open_folder(folder: Path, limits: Limits) -> _Delivery:
    members: list[Member] = []
    inner = f"{folder.name}/" if folder.suffix.lower() == ".gdb" else ""
    for found in folder.rglob("*"):
        name = inner + found.relative_to(folder).as_posix()
        if found.is_symlink():
            raise Unusable("holds a link to another file; send the files themselves")
        if found.is_file() and not is_junk(name):
            members.append(Member(name, found))
        if len(members) > limits.archive_entries:
            break
    members.sort(key=lambda member: member.name)
    check_sizes([(member.name, _size(member)) for member in members], limits)
    return _Delivery((folder,), *_sha256_of_all(members), members, _find_maps(members))


def _unpack_twice(path: Path, packed: Path, limits: Limits) -> list[Member]:
    """Unpack; where there is nothing but zips inside, unpack those too, and no deeper."""
    outer = packed / "outer"
    outer.mkdir()
    members = unpack(path, outer, limits)
    zips = [member for member in members if member.path is not None and member.name.lower().endswith(".zip")]
    if not zips or _find_maps(members):
        return members
    everything = [member for member in members if member not in zips]
    for number, inner in enumerate(zips):
        assert inner.path is not None
        into = packed / f"inner{number}"
        into.mkdir()
        if sniff(inner.path) != "zip":
            raise Unusable(f"holds {_printable(inner.name)}, which is not a zip; send it again")
        try:
            found = unpack(inner.path, into, limits)
        except Unusable as unusable:
            raise Unusable(f"holds {_printable(inner.name)}, which {unusable}") from unusable
        everything += [Member(f"{inner.name}/{member.name}", member.path) for member in found]
        check_sizes([(member.name, _size(member)) for member in everything], limits)
    return everything


def _size(member: Member) -> int:
    return member.path.stat().st_size if member.path is not None else 0


def _find_maps(members: list[Member]) -> list[_Map]:
    """Group the files of a delivery into maps by folder and stem; letters' case does not matter."""
    here = {member.name: member.path for member in members if member.path is not None}
    maps = []
    gdb_folders = {PurePosixPath(name).parent for name in here if PurePosixPath(name).name.lower() == GDB_FIRST_TABLE}
    for folder in sorted(gdb_folders):
        parts = {PurePosixPath(name).name: path for name, path in here.items() if PurePosixPath(name).parent == folder}
        maps.append(_Map("filegdb", folder.stem or "geodatabase", parts))
    loose = {name: path for name, path in here.items() if PurePosixPath(name).parent not in gdb_folders}
    shapefiles: dict[str, _Map] = {}
    for name, path in sorted(loose.items()):
        pure = PurePosixPath(name)
        suffix = pure.suffix.lower()
        if suffix in _SHAPEFILE_PARTS:
            stem = str(pure.with_suffix("")).casefold()
            shapefiles.setdefault(stem, _Map("shapefile", pure.stem, {})).parts[suffix] = path
        elif suffix in (".gpkg", ".geojson", ".json"):
            try:
                maps.append(_Map(sniff(path), pure.stem, {"": path}))
            except Unusable as unusable:
                if suffix != ".json":  # a .json beside a map may be anything
                    raise Unusable(f"holds {_printable(pure.name)}, which {unusable}") from unusable
    maps += [found for found in shapefiles.values() if ".shp" in found.parts]
    without = [found.name for found in shapefiles.values() if ".shp" not in found.parts and ".dbf" in found.parts]
    if without and not maps:
        name = _printable(without[0])
        raise Unusable(f"comes without {name}.shp, which holds the shapes of {name}.dbf; send all the parts")
    return maps


def _nothing_inside(members: list[Member]) -> str:
    names = [_printable(PurePosixPath(member.name).name) for member in members]
    if not names:
        return f"is empty; send {READABLE}"
    if "[Content_Types].xml" in names:
        return f"is an office document, such as an Excel workbook, and not a map; send {READABLE}"
    more = " and more" if len(names) > 3 else ""
    return f"holds no map that can be read, only {', '.join(sorted(names)[:3])}{more}; send {READABLE}"


def _stage(found: _Map, folder: Path, packed: Path, limits: Limits) -> None:
    """Put the parts together under names of ours: GDAL never sees a name that a stranger chose."""
    folder.mkdir()
    if found.kind == "filegdb":
        found.staged = folder / "delivery.gdb"
        found.staged.mkdir()
        for name, path in found.parts.items():
            if safe_gdb_name(name):
                _place(path, found.staged / name, packed)
        return
    if found.kind != "shapefile":
        found.staged = folder / ("delivery.gpkg" if found.kind == "geopackage" else "delivery.geojson")
        _place(found.parts[""], found.staged, packed)
        return
    label = _printable(found.name)
    if sniff(found.parts[".shp"]) != "shapefile":
        raise Unusable(f"holds {label}.shp, which is not a shapefile; export it again")
    if ".dbf" not in found.parts:
        raise Unusable(f"comes without {label}.dbf, which holds the columns of {label}.shp; send all the parts")
    for suffix in (".shp", ".shx", ".dbf"):
        if suffix in found.parts:
            _place(found.parts[suffix], folder / f"delivery{suffix}", packed)
    if ".prj" in found.parts:
        text = _sidecar(found.parts[".prj"], limits).strip()
        if _CRS_TEXT.match(text):
            (folder / "delivery.prj").write_text(text, encoding="utf-8")
        else:
            found.warnings.append("The .prj does not hold a coordinate system and was left out.")
    found.staged = folder / "delivery.shp"
    cpg = _sidecar(found.parts[".cpg"], limits) if ".cpg" in found.parts else None
    found.facts = survey(found.staged, cpg, limits.records)
    found.warnings += found.facts.warnings


def _sidecar(path: Path, limits: Limits) -> str:
    with path.open("rb") as file:
        return file.read(limits.sidecar_bytes).decode("utf-8-sig", "replace")


def _place(source: Path, target: Path, packed: Path) -> None:
    """Move what we unpacked ourselves; copy what is the sender's."""
    if source.is_relative_to(packed):
        source.rename(target)
    else:
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_all(members: list[Member]) -> tuple[str, int]:
    lines = [f"{_sha256(member.path)}  {member.name}\n" for member in members if member.path is not None]
    size = sum(_size(member) for member in members)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(), size


# The throwaway process


def _run_child(
    delivery: _Delivery,
    room: Path,
    inside: Path,
    layer: str | None,
    limits: Limits,
    *,
    rows: bool,
    careful: bool = False,
) -> dict[str, Any]:
    out = Path(tempfile.mkdtemp(prefix="out-", dir=room))
    request = room / f"{out.name}.json"
    request.write_text(
        json.dumps(
            {
                "input": str(inside),
                "out": str(out),
                "layer": layer,
                "read": rows,
                "careful": careful,
                "limits": asdict(limits),
                "datasets": [
                    {
                        "kind": found.kind,
                        "path": str(found.staged),
                        "name": found.name,
                        "encoding": found.facts.encoding if found.facts else None,
                    }
                    for found in delivery.maps
                ],
            }
        ),
        encoding="utf-8",
    )
    environment = ENVIRONMENT | {
        "CPL_LOG": str(out / "gdal.log"),
        "HOME": str(out),
        "TMPDIR": str(out),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    said = out / "stderr.txt"
    with said.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "statewide.reading_child", str(request)],
            cwd=out,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            code = child.wait(limits.wall_seconds)
        except subprocess.TimeoutExpired as expired:
            raise Unusable(
                f"took longer than {limits.wall_seconds} seconds to read and was given up; export it again"
            ) from expired
        finally:
            _end_group(child)
    written = out / "result.json"
    if code != 0 or not written.is_file():
        unusable = Unusable(_died(code))
        unusable.__cause__ = RuntimeError(said.read_text(encoding="utf-8", errors="replace")[-2000:])
        raise unusable
    result: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    if "refused" in result:
        raise Unusable(result["refused"])
    return result | {"out": str(out)}


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Nothing that the child may have started outlives it; the group is its own (start_new_session)."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _died(code: int) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return "took more computing time or memory than a delivery may and was given up; export it again"
    if code < 0:
        return f"crashed its reader ({signal.Signals(-code).name}): it is damaged or unsafe; export it again"
    return "could not be read: it is damaged in a way that its reader does not know; export it again"


def _read_again_if_short(
    delivery: _Delivery, result: dict[str, Any], room: Path, inside: Path, layer: str | None, limits: Limits
) -> dict[str, Any]:
    """Where the bulk reading failed or fell short, ask for each record by its id and keep the better of the two."""
    counted, _ = _counted(delivery, result)
    promised = counted if counted is not None else result["layers"][result["picked"]]["rows"]
    failed = result.get("failed")
    short = not failed and promised is not None and result["rows"]["read"] < promised
    kind = _picked(delivery, result).kind
    if not failed and not (short and kind in ("geopackage", "filegdb")):
        return result
    if kind != "geojson":
        try:
            again = _run_child(delivery, room, inside, layer, limits, rows=True, careful=True)
            if failed or again["rows"]["read"] > result["rows"]["read"]:
                return again
            result["broken_rows"] = again["broken_rows"]
        except Unusable:
            if failed:
                raise
    if failed:
        raise Unusable("could not be read: it is damaged; export it again") from RuntimeError(failed)
    return result


# Facts


def _picked(delivery: _Delivery, result: dict[str, Any]) -> _Map:
    number: int = result["layers"][result["picked"]]["dataset"]
    return delivery.maps[number]


def _facts(path: Path, delivery: _Delivery, result: dict[str, Any], room: Path) -> dict[str, Any]:
    found = _picked(delivery, result)
    layers = tuple(_layer(listed) for listed in result["layers"])
    warnings = [*found.warnings, *result["warnings"], *_tapped(room, layers)]
    return {
        "path_name": os.fsencode(path.name).decode(errors="replace"),
        "originals": delivery.originals,
        "sha256": delivery.sha256,
        "size_bytes": delivery.size_bytes,
        "kind": found.kind,
        "driver": DRIVERS[found.kind],
        "layers": layers,
        "layer": layers[result["picked"]],
        "why": result["why"],
        "encoding": found.facts.encoding if found.facts else "UTF-8",
        "encoding_how": found.facts.encoding_how if found.facts else "the format is always UTF-8",
        "isolation": tuple(result["isolation"]),
        "members": tuple(member.name for member in delivery.members),
        "warnings": tuple(dict.fromkeys(warnings)),
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
        if "Non closed ring" not in said:  # said by the reader itself, with the number of them
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


def _counted(delivery: _Delivery, result: dict[str, Any]) -> tuple[int | None, str]:
    facts = _picked(delivery, result).facts
    if facts is not None:
        return facts.rows, facts.how
    return result["count"]["rows"], result["count"]["how"]


def _lost(delivery: _Delivery, result: dict[str, Any], table: pa.Table) -> int:
    """Shapes that the file promises and the table has not. Known row by row for a shapefile, else by their number."""
    facts = _picked(delivery, result).facts
    rows = result["rows"]
    present = _present(table.column("geometry"))
    if facts is not None and len(facts.has_shape) == len(present):
        return int((facts.has_shape & ~present).sum())
    promised = int(facts.has_shape[: len(present)].sum()) if facts is not None else result["count"]["shapes"]
    if promised is None:
        return int(rows["lost"])
    return max(int(rows["lost"]), promised - int(present.sum()) - int(rows["emptied"]))


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
