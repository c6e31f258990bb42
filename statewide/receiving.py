"""Receiving a delivery: hash it, unpack it, find the maps and tables in it, lay them out under names of ours.

Only bytes are looked at here; nothing is opened by a map library. GDAL never sees a name that a stranger chose.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from statewide.reading_limits import MIB, Limits, Unusable
from statewide.shapefile_bytes import ShapefileFacts, survey, survey_table
from statewide.sniff import (
    ANY_FILES,
    GDB_FIRST_TABLE,
    MAP_FILES,
    MAPINFO_PARTS,
    MIF_PARTS,
    READABLE,
    READERS,
    SHAPEFILE_PARTS,
    sniff,
)
from statewide.unpack import Member, check_sizes, is_junk, is_workbook, safe_gdb_name, unpack

_PART_ALONE = frozenset({".shx", ".sbn", ".sbx", ".prj", ".cpg", ".gdbtable", ".dat", ".map", ".id", ".ind", ".mid"})
_CRS_TEXT = re.compile(
    r"\s*(PROJCS|GEOGCS|GEOCCS|COMPD_CS|LOCAL_CS|(PROJ|GEOG|GEOD|COMPOUND|BOUND|ENG)CRS)\s*[\[(]", re.I
)


@dataclass
class Map:
    """One map or table of the delivery: where its parts are, by suffix (a geodatabase: by file name)."""

    kind: str
    name: str
    parts: dict[str, Path]
    staged: Path | None = None
    facts: ShapefileFacts | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass
class Delivery:
    """What was received, unpacked and laid out."""

    originals: tuple[Path, ...]
    sha256: str
    size_bytes: int
    members: list[Member]
    maps: list[Map]


def receive(path: Path, room: Path, inside: Path, limits: Limits, *, shapes: bool) -> Delivery:
    """Lay the delivery out in ``inside``, using ``room`` meanwhile. ``shapes``: maps are wanted, tables are not.

    Raises Unusable and OSError.
    """
    packed = room / "unpacked"
    packed.mkdir()
    try:
        delivery = _open_delivery(path, packed, limits, shapes)
        if not delivery.maps:
            raise Unusable(_nothing_inside(delivery.members))
        if len(delivery.maps) > limits.datasets:
            raise Unusable(f"holds more than {limits.datasets} maps; send the one map or table alone")
        for number, found in enumerate(delivery.maps):
            _stage(found, inside / str(number), packed, limits)
        return delivery
    finally:
        shutil.rmtree(packed, ignore_errors=True)


def printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:120]


def _open_delivery(path: Path, packed: Path, limits: Limits, shapes: bool) -> Delivery:
    if path.is_dir():
        return _open_folder(path, limits, shapes)
    size = path.stat().st_size
    if size > limits.delivery_bytes:
        raise Unusable(f"is larger than {limits.delivery_bytes // MIB} MB; send the one map or table alone")
    suffix = path.suffix.lower()
    if suffix in _PART_ALONE or (suffix == ".dbf" and shapes):
        raise Unusable("is one part of a map; send all its parts together in a zip")
    kind = "dbf" if suffix == ".dbf" else sniff(path)
    if kind == "zip" and not is_workbook(path, limits):
        members = _unpack_twice(path, packed, limits)
        return Delivery((path,), file_sha256(path), size, members, _find_maps(members, limits, shapes))
    parts_of = {"shapefile": SHAPEFILE_PARTS, "mapinfo": MAPINFO_PARTS, "mif": MIF_PARTS}.get(kind)
    if parts_of:
        same = [other for other in path.parent.iterdir() if other.stem.casefold() == path.stem.casefold()]
        parts = [Member(other.name, other) for other in sorted(same) if other.suffix.lower() in parts_of]
        if not path.is_symlink() and any(other.is_symlink() for other in same):
            raise Unusable("lies beside a link to another file; send the files themselves")
        originals = tuple(path.with_name(part.name) for part in parts)
        return Delivery(originals, *_sha256_of_all(parts), parts, _find_maps(parts, limits, shapes))
    single = Map("xlsx" if kind == "zip" else kind, path.stem, {"": path})
    return Delivery((path,), file_sha256(path), size, [Member(path.name, path)], [single])


def _open_folder(folder: Path, limits: Limits, shapes: bool) -> Delivery:
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
    return Delivery((folder,), *_sha256_of_all(members), members, _find_maps(members, limits, shapes))


def _unpack_twice(path: Path, packed: Path, limits: Limits) -> list[Member]:
    """Unpack; where there is nothing but zips inside, unpack those too, and no deeper."""
    outer = packed / "outer"
    outer.mkdir()
    members = unpack(path, outer, limits)
    zips = [member for member in members if member.path is not None and member.name.lower().endswith((".zip", ".kmz"))]
    if not zips or any(_is_map(member) for member in members):
        return members
    everything = [member for member in members if member not in zips]
    for number, inner in enumerate(zips):
        assert inner.path is not None
        into = packed / f"inner{number}"
        into.mkdir()
        if sniff(inner.path) != "zip":
            raise Unusable(f"holds {printable(inner.name)}, which is not a zip; send it again")
        try:
            found = unpack(inner.path, into, limits)
        except Unusable as unusable:
            raise Unusable(f"holds {printable(inner.name)}, which {unusable}") from unusable
        everything += [Member(f"{inner.name}/{member.name}", member.path) for member in found]
        check_sizes([(member.name, _size(member)) for member in everything], limits)
    return everything


def _is_map(member: Member) -> bool:
    name = PurePosixPath(member.name)
    return member.path is not None and (
        name.suffix.lower() in MAP_FILES | {".shp", ".tab", ".mif"} or name.name.lower() == GDB_FIRST_TABLE
    )


def _size(member: Member) -> int:
    return member.path.stat().st_size if member.path is not None else 0


def _find_maps(members: list[Member], limits: Limits, shapes: bool) -> list[Map]:
    """Group the files of a delivery into maps by folder and stem; letters' case does not matter.

    Raises Unusable for a map that cannot be one, and when nothing is left and there is something to complain of.
    """
    here = {member.name: member.path for member in members if member.path is not None}
    maps = []
    gdb_folders = {PurePosixPath(name).parent for name in here if PurePosixPath(name).name.lower() == GDB_FIRST_TABLE}
    for folder in sorted(gdb_folders):
        parts = {PurePosixPath(name).name: path for name, path in here.items() if PurePosixPath(name).parent == folder}
        maps.append(Map("filegdb", folder.stem or "geodatabase", parts))
    loose = {PurePosixPath(name): here[name] for name in sorted(here) if PurePosixPath(name).parent not in gdb_folders}
    incomplete: list[Unusable] = []
    refused: list[Unusable] = []
    for suffixes, needed, kind in (
        (SHAPEFILE_PARTS, ".shp", "shapefile"),
        (MAPINFO_PARTS, ".tab", "mapinfo"),
        (MIF_PARTS, ".mif", "mif"),
    ):
        for found in _families(loose, suffixes, needed, kind):
            if needed in found.parts:
                if kind == "shapefile" or sniff(found.parts[needed]) == kind:
                    maps.append(found)
                else:  # a .tab may also be text between tabs
                    loose[PurePosixPath(found.name).with_suffix(".txt")] = found.parts[needed]
            elif ".dbf" in found.parts and not shapes:
                maps.append(Map("dbf", found.name, found.parts))
            elif ".dbf" in found.parts:
                name = printable(found.name)
                incomplete.append(
                    Unusable(f"comes without {name}.shp, which holds the shapes of {name}.dbf; send all the parts")
                )
    for inside, path in loose.items():
        if (suffix := inside.suffix.lower()) in MAP_FILES | ANY_FILES:
            try:
                maps.append(Map(_kind_inside(path, limits), inside.stem, {"": path}))
            except Unusable as unusable:
                unusable = Unusable(f"holds {printable(inside.name)}, which {unusable}")
                if suffix in MAP_FILES:
                    raise unusable from unusable.__cause__
                refused.append(unusable)
    maps = _with_pages_joined(maps)
    if shapes and (only := [found for found in maps if found.kind not in READERS or found.kind == "parquet"]):
        maps = only  # texts and workbooks beside a map are not the map
    if not maps and (incomplete or (refused and len(members) == 1)):
        raise (incomplete or refused)[0]
    return maps


def _with_pages_joined(maps: list[Map]) -> list[Map]:
    """The answers of a feature service that came together are pages of one map."""
    pages = [found for found in maps if found.kind == "esrijson"]
    if len(pages) < 2:
        return maps
    joined = Map("esrijson", pages[0].name, {str(at): page.parts[""] for at, page in enumerate(pages)})
    return [*(found for found in maps if found.kind != "esrijson"), joined]


def _families(loose: dict[PurePosixPath, Path], suffixes: tuple[str, ...], needed: str, kind: str) -> list[Map]:
    families: dict[str, Map] = {}
    for name, path in loose.items():
        if (suffix := name.suffix.lower()) in suffixes:
            stem = str(name.with_suffix("")).casefold()
            found = families.setdefault(stem, Map(kind, name.stem, {}))
            found.parts[suffix] = path
    return list(families.values())


def _kind_inside(path: Path, limits: Limits) -> str:
    kind = sniff(path)
    if kind == "zip":
        if not is_workbook(path, limits):
            raise Unusable("is a zip that goes by another name; send it again")
        return "xlsx"
    if kind in ("shapefile", "mapinfo", "mif"):
        raise Unusable("is one part of a map that goes by another name; send all its parts together in a zip")
    return kind


def _nothing_inside(members: list[Member]) -> str:
    names = [printable(PurePosixPath(member.name).name) for member in members]
    if not names:
        return f"is empty; send {READABLE}"
    if "[Content_Types].xml" in names:
        return f"is an office document, such as an Excel workbook, and not a map; send {READABLE}"
    more = " and more" if len(names) > 3 else ""
    return f"holds no map that can be read, only {', '.join(sorted(names)[:3])}{more}; send {READABLE}"


_STAGED_NAMES = {
    "geopackage": "delivery.gpkg",
    "geojson": "delivery.geojson",
    "geojsonseq": "delivery.geojsonl",
    "flatgeobuf": "delivery.fgb",
    "kml": "delivery.kml",
    "gml": "delivery.gml",
    "dxf": "delivery.dxf",
    "parquet": "delivery.parquet",
    "csv": "delivery.csv",
    "xlsx": "delivery.xlsx",
    "access": "delivery.mdb",
}


def _stage(found: Map, folder: Path, packed: Path, limits: Limits) -> None:
    """Put the parts together under names of ours."""
    folder.mkdir()
    if found.kind == "filegdb":
        found.staged = folder / "delivery.gdb"
        found.staged.mkdir()
        loud = GDB_FIRST_TABLE not in found.parts  # an old zip program wrote all names in capitals
        for name, path in found.parts.items():
            if safe_gdb_name(name):
                _place(path, found.staged / (name.lower() if loud else name), packed)
    elif found.kind in _STAGED_NAMES:
        found.staged = folder / _STAGED_NAMES[found.kind]
        _place(found.parts[""], found.staged, packed)
    elif found.kind == "esrijson":
        found.staged = folder / "pages"
        found.staged.mkdir()
        for number, path in enumerate(found.parts.values()):
            _place(path, found.staged / f"{number:05d}.json", packed)
    elif found.kind == "shapefile":
        _stage_shapefile(found, folder, packed, limits)
    elif found.kind == "dbf":
        found.staged = folder / "delivery.dbf"
        _place(found.parts.get(".dbf", found.parts.get("", folder)), found.staged, packed)
        cpg = _sidecar(found.parts[".cpg"], limits) if ".cpg" in found.parts else None
        found.facts = survey_table(found.staged, cpg, limits.records)
        found.warnings += found.facts.warnings
    else:
        _stage_mapinfo(found, folder, packed)


def _stage_mapinfo(found: Map, folder: Path, packed: Path) -> None:
    label = printable(found.name)
    needed = ((".dat", "columns"), (".map", "shapes"), (".id", "numbers of the shapes"))
    for suffix, what in needed if found.kind == "mapinfo" else ((".mid", "columns"),):
        if suffix not in found.parts:
            raise Unusable(f"comes without {label}{suffix}, which holds the {what} of {label}; send all the parts")
    for suffix, path in found.parts.items():
        _place(path, folder / f"delivery{suffix}", packed)
    found.staged = folder / ("delivery.tab" if found.kind == "mapinfo" else "delivery.mif")


def _stage_shapefile(found: Map, folder: Path, packed: Path, limits: Limits) -> None:
    label = printable(found.name)
    if sniff(found.parts[".shp"]) != "shapefile":
        raise Unusable(f"holds {label}.shp, which is not a shapefile; export it again")
    if ".dbf" not in found.parts:
        raise Unusable(f"comes without {label}.dbf, which holds the columns of {label}.shp; send all the parts")
    for suffix in (".shp", ".shx", ".dbf"):
        if suffix in found.parts:
            _place(found.parts[suffix], folder / f"delivery{suffix}", packed)
    if ".prj" in found.parts:
        text = _sidecar(found.parts[".prj"], limits).strip()
        if _CRS_TEXT.match(text) and text.count("[") == text.count("]") and text.count('"') % 2 == 0:
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


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_all(members: list[Member]) -> tuple[str, int]:
    lines = [f"{file_sha256(member.path)}  {member.name}\n" for member in members if member.path is not None]
    size = sum(_size(member) for member in members)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(), size
