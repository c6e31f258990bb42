"""The parcels of ``statewide demo`` as deliveries: each invented town hands in a file as real towns do.

The files rotate through the formats and dialects seen in the wild; a dirty town's file has the faults of ``DIRT``.
The parcels themselves are drawn by ``cadastral.demo_fabric``.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import Polygon

from cadastral.demo_fabric import BEACH, LOT, ROAD, WATER, Fabric, draw_fabric
from cadastral.meeting import submit
from statewide.demo import CRS, DemoContext, InventedTown, World
from statewide.intake import Request
from statewide.settings import Settings
from statewide.standard import load_standard

YEAR = 2025

DIRT = {
    "null-geometry": 3,
    "bow-tie": 1,
    "duplicate-id": 2,
    "blank-link": 4,
    "other-town": 3,
    "null-string": 6,
    "area-disagrees": 3,
    "outside-town": 2,
    "overlap": 1,
}
"""The faults of a dirty town and how many rows have each. Its shapefile also lacks the ``.prj``."""

CANARY = "CANARY"
"""Stands in every value of an owner or mailing column: wherever it turns up later, a person leaked."""

_FULL_ROTATION = 50_000
"""Up to so many parcels in all each town comes in another format; beyond, in the one that is written fastest."""

_STREETS = (
    "Main Shore Elm Maple Church School Mill Harbor Orchard Spring Pleasant Prospect Cedar Meadow Pond Chestnut "
    "Walnut Highland Lincoln Grove Summit Park Willow Beach Hillside Valley Ridge Bridge Union Pine Oak Laurel"
)
_ODD_STREETS = (
    "North Street",
    "Broadway",
    "Route 6",
    "East Wharf Street",
    "Mill Road Extension",
    "Avenue of the Pines",
    "Old Post Road",
    "O'Neill Drive",
    "Saint Johns Court",
    "The Green",
    "US Highway 1",
    "River Road South",
)
_PLAIN_STREETS = [
    f"{name} {kind}"
    for kind in ("Street", "Road", "Lane", "Avenue", "Drive", "Way", "Terrace", "Place")
    for name in _STREETS.split()
]
_SIDES = ("North", "South", "East", "West", "Old", "Upper", "Lower")
_STREET_NAMES = [
    # One odd name after each four plain ones, for a small town shall have them too.
    *(name for i, odd in enumerate(_ODD_STREETS) for name in (*_PLAIN_STREETS[4 * i : 4 * i + 4], odd)),
    *_PLAIN_STREETS[4 * len(_ODD_STREETS) :],
    *(f"{side} {name}" for side in _SIDES for name in _PLAIN_STREETS),
]

# The State's names, as Esri cuts them off for a shapefile, and as one town's own database has them.
_SHAPEFILE_NAMES = {
    "Editor_Comment": "Editor_Com",
    "Parcel_Type": "Parcel_Typ",
    "Collection_year": "Collection",
    "Shape_Length": "Shape_Leng",
}
_TOWN_NAMES = {
    "Parcel_ID": "MBL",
    "Link": "GIS_LINK",
    "Location": "SITE_ADDR",
    "Parcel_Type": "POLY_TYPE",
    "Edit_Date": "LAST_EDIT",
    "Shape_Area": "GIS_SQFT",
}


@dataclass(frozen=True)
class Format:
    """How a file is written."""

    title: str
    driver: str
    suffix: str
    crs: str
    zipped: bool


GEODATABASE = Format("zipped FileGDB", "OpenFileGDB", ".gdb", "EPSG:6434", True)
GEOPACKAGE = Format("GeoPackage", "GPKG", ".gpkg", "EPSG:2234", False)
GEOJSON = Format("GeoJSON", "GeoJSON", ".geojson", "EPSG:4326", False)  # in longitude, latitude as the format has it
SHAPEFILE = Format("zipped shapefile", "ESRI Shapefile", ".shp", "EPSG:2234", True)
_ROTATION = (GEODATABASE, GEOPACKAGE, GEOJSON, SHAPEFILE)


@dataclass(frozen=True)
class Delivery:
    """One file that a town hands in."""

    file: Path
    town: InventedTown
    year: int
    format: Format


def write_deliveries(world: World, folder: Path, progress: Callable[[str], None] = lambda _: None) -> list[Delivery]:
    """One file for each town, in the order of the towns. A file that is there already is kept."""
    deliveries = []
    clean = 0
    for town in world.towns:
        kind = SHAPEFILE if town.dirty else _ROTATION[clean % 4] if world.parcels <= _FULL_ROTATION else GEOPACKAGE
        own_names = not town.dirty and clean % 4 == 1
        clean += not town.dirty
        file = folder / f"{_layer(town)}_{YEAR}{kind.suffix}{'.zip' if kind.zipped else ''}"
        if not file.exists():
            progress(f"drawing {town.parcels:,} parcels of {town.name} ({kind.title})")
            _write(parcel_rows(world, town), file, town, kind, own_names)
        deliveries.append(Delivery(file, town, YEAR, kind))
    return deliveries


def parcel_rows(world: World, town: InventedTown) -> pa.Table:
    """The rows of the town's file, faults and all: the State's published columns, and ``geometry`` as WKB in feet."""
    fabric = draw_fabric(world, town)
    geometry, columns = fabric.geometry, attributes(world, town, fabric)
    if town.dirty:
        geometry, columns = _plant_faults(world, town, fabric, columns)
    return pa.table({**columns, "geometry": pa.array(shapely.to_wkb(geometry), pa.binary())})


def attributes(world: World, town: InventedTown, fabric: Fabric) -> dict[str, pa.Array]:
    """The State's columns of the town's parcels, without a fault."""
    rng = np.random.default_rng([world.seed, town.town_no, 2])
    rows = len(fabric)
    kinds = np.array(["SINGLE", "ROW", "WATER", "OPEN SPACE", "OPEN SPACE"])[fabric.kind]
    other = (fabric.kind == LOT) & (fabric.street == 0) & (rng.random(rows) < 0.35)
    several = (fabric.kind == LOT) & (rng.random(rows) < 0.07)
    kinds = np.select([fabric.site, fabric.unit > 0, other, several], ["CONDO MAIN", "CONDO", "PARCEL", "MULTI"], kinds)
    uses = np.select(
        [kinds == "CONDO", kinds == "PARCEL", kinds == "SINGLE", kinds == "MULTI"],
        ["Condominium", "Commercial", "Single Family", "Multi Family"],
        "",
    )
    link, parcel_id = _identifiers(fabric)
    days = rng.integers(0, 5 * 365, rows)
    edited = np.datetime64("2020-01-06") + days
    year, month = edited.astype("datetime64[Y]"), edited.astype("datetime64[M]")
    date = joined(
        "/",
        month.astype(np.int64) % 12 + 1,
        (edited - month.astype("datetime64[D]")).astype(np.int64) + 1,
        year.astype(np.int64) + 1970,
    )
    text = pa.string()
    return {
        "Editor": pa.array(np.where(days < 900, "Town GIS", "Demo Mapping"), text),
        "Editor_Comment": pa.array(np.where(days % 11 == 0, "LINEWORK ADJUSTED", ""), text),
        "Edit_Date": date,
        "Location": _locations(town, fabric),
        "Link": link,
        "Parcel_Type": pa.array(kinds, text),
        "Town_Name": pa.repeat(pa.scalar(town.name), rows),
        "Unit_Type": pa.array(uses, text),
        "Parcel_ID": parcel_id,
        "CAMA_Link": pc.binary_join_element_wise(town.cousub, link, "-"),
        "Collection_year": pa.repeat(pa.scalar(str(YEAR)), rows),
        "Shape_Length": pa.array(np.round(shapely.length(fabric.geometry), 3)),
        "Shape_Area": pa.array(np.round(shapely.area(fabric.geometry), 3)),
    }


def _identifiers(fabric: Fabric) -> tuple[pa.Array, pa.Array]:
    """Link and Parcel_ID: map, block and lot. Units have a link each; those that are one shape share the number."""
    prefix = np.array(["", "ROW", "WATER", "BEACH", ""])[fabric.kind]
    named = prefix != ""
    nth = np.zeros(len(fabric), dtype=np.int64)
    for kind in (ROAD, WATER, BEACH):
        members = fabric.kind == kind
        nth[members] = np.arange(1, members.sum() + 1)
    named_link = joined("-", prefix, nth)
    lot_link = joined("-", fabric.block // 8 + 1, fabric.block, fabric.lot)
    unit_link = joined("-U", lot_link, fabric.unit)
    link = pc.if_else(named, named_link, pc.if_else(fabric.unit > 0, unit_link, lot_link))
    padded = [
        pc.utf8_lpad(_text(part), width=width, padding="0")
        for part, width in ((fabric.block // 8 + 1, 3), (fabric.block, 4), (fabric.lot, 3))
    ]
    lot_id = pc.binary_join_element_wise(*padded, "-")
    return link, pc.if_else(named, named_link, pc.if_else(fabric.stamp, joined("-U", lot_id, fabric.unit), lot_id))


def _locations(town: InventedTown, fabric: Fabric) -> pa.Array:
    streets = pa.array([*_STREET_NAMES, ""], pa.string())
    # Main Street is number 0 everywhere; a town with more streets than names starts over with numbered ones.
    number = np.where(fabric.street < 0, len(_STREET_NAMES), fabric.street % len(_STREET_NAMES))
    again = fabric.street // len(_STREET_NAMES)
    street = streets.take(pa.array(number))
    street = pc.if_else(again > 0, joined(" ", street, again + 1), street)
    address = pc.if_else((fabric.number > 0) & (fabric.street >= 0), joined(" ", fabric.number, street), street)
    return pc.if_else(fabric.unit > 0, joined(" UNIT ", address, fabric.unit), address)


def _text(values: pa.Array | NDArray[np.generic]) -> pa.Array:
    return pc.cast(pa.array(values) if isinstance(values, np.ndarray) else values, pa.string())


def joined(separator: str, *parts: pa.Array | NDArray[np.generic]) -> pa.Array:
    """The parts of each row in one text."""
    return pc.binary_join_element_wise(*(_text(part) for part in parts), separator)


def _plant_faults(
    world: World, town: InventedTown, fabric: Fabric, columns: dict[str, pa.Array]
) -> tuple[NDArray[np.object_], dict[str, pa.Array]]:
    """Spoil rows, each in one way only and none beside another, so that every finding stands for itself."""
    rng = np.random.default_rng([world.seed, town.town_no, 3])
    geometry = fabric.geometry.copy()
    cells = {name: column.to_pylist() for name, column in columns.items()}
    spoiled = iter(rng.choice(_neighbours(fabric), sum(DIRT.values()), replace=False).tolist())
    rows = {fault: [next(spoiled) for _ in range(count)] for fault, count in DIRT.items()}

    for row in rows["null-geometry"]:
        geometry[row] = None
    for row in rows["bow-tie"]:
        west, south, east, north = fabric.plan[row].tolist()
        geometry[row] = Polygon(
            world.ground.locate(np.array([west, east, west, east]), np.array([south, north, north, south]))
        )
    for row, other in zip(rows["duplicate-id"], rows["area-disagrees"], strict=False):
        for name in ("Link", "Parcel_ID", "CAMA_Link"):
            cells[name][row] = cells[name][other]
    for row in rows["blank-link"]:
        cells["Link"][row] = ""
        cells["CAMA_Link"][row] = f"{town.cousub}-"
    neighbour = next(other for other in world.towns if other is not town)
    for row in rows["other-town"]:
        cells["Town_Name"][row] = neighbour.name
        cells["CAMA_Link"][row] = f"{neighbour.cousub}-{cells['Link'][row]}"
    for row in rows["null-string"]:
        cells["Location"][row] = cells["Unit_Type"][row] = "<Null>"
    for row in rows["area-disagrees"]:
        cells["Shape_Area"][row] = round(cells["Shape_Area"][row] * 1.5, 3)
    for row in rows["outside-town"]:
        geometry[row] = shapely.transform(geometry[row], lambda xy: xy - (0, town.plan[3] + 2_500))
    for row in rows["overlap"]:  # the lot was split, and the old boundary left standing over its other half
        geometry[row] = shapely.union(geometry[row], geometry[row - 1])
        cells["Shape_Area"][row] = round(shapely.area(geometry[row]), 3)
    return geometry, {name: pa.array(cells[name], column.type) for name, column in columns.items()}


def _neighbours(fabric: Fabric) -> NDArray[np.int64]:
    """Simple lots that share a side with the lot in the row before, no two of them in neighbouring rows."""
    simple = (fabric.kind == LOT) & (fabric.unit == 0) & (shapely.get_num_geometries(fabric.geometry) == 1)
    west, south, east, north = fabric.plan.T
    beside = (east[:-1] == west[1:]) & (south[:-1] == south[1:]) & (north[:-1] == north[1:])
    above = (north[:-1] == south[1:]) & (west[:-1] == west[1:]) & (east[:-1] == east[1:])
    rows = 1 + np.flatnonzero(simple[:-1] & simple[1:] & (beside | above))
    even: NDArray[np.int64] = rows[rows % 2 == 0]
    return even


def _layer(town: InventedTown) -> str:
    return f"{town.name.replace(' ', '_')}_Parcels"


def _write(rows: pa.Table, file: Path, town: InventedTown, kind: Format, own_names: bool) -> None:
    """Write the file, whole or not at all."""
    shapes = _as_multipolygons(shapely.from_wkb(rows["geometry"].to_numpy()))
    if kind is GEOJSON:
        to_degrees = Transformer.from_crs(CRS, kind.crs, always_xy=True)
        shapes = shapely.transform(shapes, to_degrees.transform, interleaved=False)
    # In feet nothing changes: without its grids PROJ takes EPSG:2234 and EPSG:6434 for the same, and so do we.
    columns = rows.drop_columns(["geometry"])
    if own_names:
        columns = _as_the_town_names_them(columns)
    elif kind is SHAPEFILE:
        columns = columns.rename_columns([_SHAPEFILE_NAMES.get(name, name) for name in columns.column_names])
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as scratch:
        written = Path(scratch) / f"{_layer(town)}{kind.suffix}"
        pyogrio.raw.write_arrow(
            columns.append_column("geometry", pa.array(shapely.to_wkb(shapes), pa.binary())),
            written,
            layer=_layer(town),
            driver=kind.driver,
            geometry_name="geometry",
            geometry_type="MultiPolygon",
            crs=kind.crs,
            **({"COORDINATE_PRECISION": "9"} if kind is GEOJSON else {}),  # a third of a thousandth of a foot
        )
        if town.dirty:
            written.with_suffix(".prj").unlink()
        (_zip(Path(scratch), written) if kind.zipped else written).replace(file)


def _as_multipolygons(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    owners, index = np.unique(owner, return_inverse=True)
    multi = np.full(len(shapes), None, dtype=object)
    multi[owners] = shapely.multipolygons(parts, indices=index)
    return multi


def _as_the_town_names_them(columns: pa.Table) -> pa.Table:
    """A town's own export: other names, fewer columns, one that nobody knows, and the persons who own the land."""
    columns = columns.select(list(_TOWN_NAMES)).rename_columns(list(_TOWN_NAMES.values()))
    nth = np.arange(1, len(columns) + 1)
    for name, words in (
        ("OWNER", "OWNER"),
        ("CO_OWNER", "CO-OWNER"),
        ("MAIL_ADDR", "MAIL LANE"),
        ("MAIL_CITY", "CITY"),
    ):
        columns = columns.append_column(name, joined(" ", np.full(len(nth), f"{CANARY} {words}"), nth))
    return columns.append_column("TAX_SHEET", joined(" ", np.full(len(nth), "SHEET"), nth // 200 + 1))


def _zip(folder: Path, written: Path) -> Path:
    """The shapefile's or geodatabase's files as one archive, beside them."""
    files = sorted(written.rglob("*")) if written.is_dir() else sorted(folder.glob(f"{written.stem}.*"))
    archive = folder / "archive"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files:
            target.write(file, file.relative_to(folder))
    return archive


def load(context: DemoContext) -> dict[str, object]:
    """The parcels' part of the demo, the assessor's files with them: write the deliveries and, unless only files are
    wanted, submit each."""
    from cadastral.demo_cama import write_cama  # it stands on this module

    deliveries = write_deliveries(context.world, context.folder, context.progress)
    cama = [write_cama(context.world, delivery.town, context.folder) for delivery in deliveries]
    if context.settings is None:
        return {"files": [file.name for pair in zip(deliveries, cama, strict=True) for file in (pair[0].file, pair[1])]}
    towns = {}
    for delivery, file in zip(deliveries, cama, strict=True):
        context.progress(f"submitting {delivery.file.name} for {delivery.town.name}")
        summary = _submit(context.settings, delivery, file, context.progress)
        towns[delivery.town.name] = {name: summary[name] for name in ("outcome", "rows", "findings", "report")}
    return {"towns": towns}


def _submit(settings: Settings, delivery: Delivery, cama: Path, say: Callable[[str], None]) -> dict[str, Any]:
    request = Request(delivery.file, delivery.town.cousub, delivery.year, beside={"assessment": cama})
    summary = submit(settings, request, say).summary
    # The town of another invented world may be live under this number; that it changed wholesale is no mistake then.
    checks = load_standard().checks
    wholesale = {
        code: "The demo invented the town anew." for code in summary["blocked_by"] if checks[code].level == "history"
    }
    return submit(settings, replace(request, accept=wholesale), say).summary if wholesale else summary
