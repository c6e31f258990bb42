"""Files that can be read and must not be believed (reliability study 2f, step 7): the invented town's parcels, wrong.

The reading takes each of them wholly or with a finding; the walk after it (``statewide.intake``) must refuse the
delivery, hold the rows, or name what it saw.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyproj
import shapely

from tests.hostile.corpus import Delivered, Entry
from tests.hostile.ingredients import changed, patched, zip_of
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, write

_SQUARE = shapely.box(WEST, SOUTH, WEST + LOT, SOUTH + LOT)


def entries() -> Iterator[Entry]:
    yield Entry("plain.gpkg", _written(alder()), Delivered(None, "ok"))
    yield from _places()
    yield from _shapes()
    yield from _bombs()
    yield from _records()
    yield from _columns()


def _written(fabric: Fabric, kind: str = "geopackage", epsg: int | None = 6434) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(fabric, Path(folder), kind=kind, epsg=epsg).read_bytes()


def _parts(fabric: Fabric, epsg: int | None = 6434) -> dict[str, bytes]:
    """The parts of the fabric as a shapefile."""
    with zipfile.ZipFile(io.BytesIO(_written(fabric, "shapefile", epsg))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _moved(how: Callable[[np.ndarray[tuple[int, int], np.dtype[np.float64]]], object]) -> Fabric:
    fabric = alder()
    fabric.shapes = list(shapely.transform(np.array(fabric.shapes, dtype=object), how))
    return fabric


def _geojson(change: Callable[[float, float], tuple[float, float]]) -> bytes:
    """The fabric in degrees, each corner changed."""
    to_degrees = pyproj.Transformer.from_crs(6434, 4326, always_xy=True).transform
    fabric = alder()
    features = []
    for at, shape in enumerate(fabric.shapes):
        assert shape is not None
        corners = [change(*to_degrees(x, y)) for x, y in shapely.get_coordinates(shape)]
        properties = {name: values[at] for name, values in fabric.columns.items()}
        features.append(
            {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [corners]}}
        )
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _places() -> Iterator[Entry]:
    wrong = Delivered("WRONG_PLACE", "refused")
    degrees = _parts(alder(), epsg=4326)
    feet = _parts(alder())
    prj = {"parcels.prj": degrees["parcels.prj"]}
    yield Entry("feet called degrees.zip", zip_of(feet | prj), Delivered("WRONG_PLACE|CRS_UNKNOWN", "refused"))
    yield Entry(
        "degrees called feet.zip",
        zip_of(degrees | {"parcels.prj": feet["parcels.prj"]}),
        Delivered("WRONG_PLACE|CRS_UNKNOWN", "refused"),
    )
    yield Entry("a hundred miles east.gpkg", _written(_moved(lambda xy: xy + np.array([528_000, 0]))), wrong)
    yield Entry("metres called feet.gpkg", _written(_moved(lambda xy: xy * 0.3048)), wrong)
    yield Entry("on its side.gpkg", _written(_moved(lambda xy: xy[:, ::-1])), wrong)
    yield Entry(
        "latitude first.geojson", _geojson(lambda x, y: (y, x)), Delivered("WRONG_PLACE|CRS_UNKNOWN", "refused")
    )
    yield Entry(
        "out of range.geojson",
        _geojson(lambda x, y: (x + 500, y + 50)),
        Delivered("WRONG_PLACE|CRS_UNKNOWN|NOTHING_TO_PUBLISH", "refused"),
    )
    yield Entry("at zero.gpkg", _written(_moved(lambda xy: (xy - [WEST, SOUTH]) / 1e6)), wrong)
    yield Entry(
        "no system and nowhere.zip",
        zip_of(_parts(_moved(lambda xy: xy + 5e7), epsg=None)),
        Delivered("CRS_UNKNOWN", "refused"),
    )
    yield Entry("no system in its place.zip", zip_of(_parts(alder(), epsg=None)), Delivered("CRS_ASSUMED", "ok"))
    other = changed(
        _written(alder()), "UPDATE gpkg_geometry_columns SET srs_id = 4326", "UPDATE gpkg_contents SET srs_id = 4326"
    )
    yield Entry("called degrees in its catalogue.gpkg", other, Delivered("WRONG_PLACE|CRS_UNKNOWN", "refused"))


def _with(shape: shapely.Geometry | None, at: int = 0) -> Fabric:
    fabric = alder()
    fabric.shapes[at] = shape
    return fabric


def _shapes() -> Iterator[Entry]:
    x, y = WEST, SOUTH
    unusable = Delivered("GEOMETRY_UNUSABLE", "ok")
    bow = shapely.Polygon([(x, y), (x + LOT, y + LOT), (x + LOT, y), (x, y + LOT)])
    yield Entry(
        "a bow tie.gpkg",
        _written(_with(bow)),
        Delivered("GEOMETRY_REPAIRED|GEOMETRY_REPAIR_LARGE|GEOMETRY_UNUSABLE", "ok"),
    )
    yield Entry("a point.gpkg", _written(_with(shapely.Point(x, y))), unusable)
    yield Entry("a line.gpkg", _written(_with(_SQUARE.exterior)), unusable)
    yield Entry("no shape.gpkg", _written(_with(None)), Delivered("GEOMETRY_MISSING", "ok"))
    yield Entry("a corner at 1e300.gpkg", _written(_with(shapely.Polygon([(x, y), (1e300, y), (x, 1e300)]))), unusable)
    yield Entry(
        "a corner at the origin.gpkg",
        _written(_with(shapely.Polygon([(x, y), (x + LOT, y), (0, 0), (x, y + LOT)]))),
        unusable,
    )
    yield Entry("a lot of no width.gpkg", _written(_with(shapely.Polygon([(x, y), (x + 5, y), (x + 9, y)]))), unusable)
    parts = _parts(alder())
    for how, number in (("NaN", float("nan")), ("infinite", float("inf"))):
        spoiled = parts | {"parcels.shp": patched(parts["parcels.shp"], (156, struct.pack("<d", number)))}
        codes = "GEOMETRY_UNUSABLE|GEOMETRY_MISSING|SHORT_READ"
        yield Entry(f"a corner that is {how}.zip", zip_of(spoiled), Delivered(codes, "any"))
    line = parts | {"parcels.shp": patched(parts["parcels.shp"], (108, struct.pack("<L", 3)))}
    yield Entry("a record of lines.zip", zip_of(line), unusable)
    strange = parts | {"parcels.shp": patched(parts["parcels.shp"], (108, struct.pack("<L", 99)))}
    yield Entry("a record of type 99.zip", zip_of(strange), Delivered("SHORT_READ", "refused"))
    stack = alder()
    stack.shapes = [_SQUARE] * len(stack)
    yield Entry("all lots on one spot.gpkg", _written(stack), Delivered("STACKED|DUPLICATE", "any"))
    points = alder()
    points.shapes = [shapely.centroid(shape) for shape in points.shapes]
    yield Entry("points and no lots.gpkg", _written(points), Delivered("NOTHING_TO_PUBLISH|NO_ROWS", "refused"))
    empty = alder()
    empty.shapes = [None] * len(empty)
    yield Entry("no shapes at all.gpkg", _written(empty), Delivered("NO_ROWS", "refused"))


def _bombs() -> Iterator[Entry]:
    """What is quick to read and takes minutes to prove valid."""
    centre = shapely.Point(WEST + LOT / 2, SOUTH + LOT / 2)
    any_finding = Delivered("GEOMETRY_UNUSABLE|GEOMETRY_REPAIRED|GEOMETRY_REPAIR_LARGE", "ok")
    circles = [centre.buffer(radius, quad_segs=2).exterior for radius in np.linspace(1, 99, 5000)]
    yield Entry(
        "5000 rings within one another.gpkg", _written(_with(shapely.Polygon(circles[-1], circles[:-1]))), any_finding
    )
    steps = np.arange(20_000)
    comb = np.column_stack([WEST + steps % 2 * LOT, SOUTH + steps * LOT / 20_000])
    yield Entry("a comb that crosses itself.gpkg", _written(_with(shapely.Polygon(comb))), any_finding)
    angles = np.linspace(0, 2 * np.pi, 400_000)
    star = np.column_stack([np.cos(angles), np.sin(angles)]) * np.tile([1.0, 0.5], 200_000)[:, None] * LOT / 2
    yield Entry(
        "400000 corners.gpkg",
        _written(_with(shapely.Polygon(star + np.array([centre.x, centre.y])))),
        Delivered("GEOMETRY_UNUSABLE", "ok"),
    )
    crossing = np.random.default_rng(7).random((3000, 2)) * LOT + [WEST, SOUTH]
    yield Entry("a scribble.gpkg", _written(_with(shapely.Polygon(crossing))), any_finding)


def _records() -> Iterator[Entry]:
    parts = _parts(alder())
    short = Delivered("SHORT_READ", "refused")
    shp, dbf = parts["parcels.shp"], parts["parcels.dbf"]
    yield Entry("shp cut in half.zip", zip_of(parts | {"parcels.shp": shp[: len(shp) // 2]}), short)
    yield Entry("dbf cut in half.zip", zip_of(parts | {"parcels.dbf": dbf[: len(dbf) // 2]}), short)
    fewer = patched(dbf, (4, struct.pack("<L", 30)))
    yield Entry("dbf says thirty.zip", zip_of(parts | {"parcels.dbf": fewer}), short)
    nul = bytearray(dbf)
    nul[nul.index(b"MAIN ST") + 4] = 0
    yield Entry(
        "NUL in an address.zip", zip_of(parts | {"parcels.dbf": bytes(nul)}), Delivered("RECORD_UNREADABLE", "ok")
    )
    doubled = alder()
    for at in range(3):
        doubled.append(doubled.shapes[at], **{name: values[at] for name, values in doubled.columns.items()})
    yield Entry("three rows twice.gpkg", _written(doubled), Delivered("DUPLICATE_ROW", "ok"))
    same = alder()
    same.columns["Parcel_ID"] = ["1-1"] * len(same)
    same.columns["Link"] = ["1-1"] * len(same)
    same.columns["CAMA_Link"] = ["1-1"] * len(same)
    yield Entry("one id for all.gpkg", _written(same), Delivered("DUPLICATE_ID|TOWN_LOADED_TWICE", "any"))
    wkt = [
        ",".join(f'"{cell}"' for cell in (*cells, shape.wkt if shape is not None else ""))
        for *cells, shape in zip(*alder().columns.values(), alder().shapes, strict=True)
    ]
    wkt[7] = wkt[7].replace('"', "", 1).partition(",")[2]
    header = ",".join((*alder().columns, "wkt"))
    yield Entry("a ragged line.csv", "\n".join((header, *wkt, "")).encode(), Delivered("SHORT_READ", "any"))


def _columns() -> Iterator[Entry]:
    village = alder()
    village.columns["Town_Name"] = ["Birch"] * len(village)
    yield Entry("another town.gpkg", _written(village), Delivered("TOWN_MISMATCH", "refused"))
    nameless = alder()
    nameless.columns = {"Shape_Area": nameless.columns["Shape_Area"]}
    yield Entry("no id.gpkg", _written(nameless), Delivered("KEY_COLUMN_MISSING", "refused"))
    owners = alder()
    owners.columns["OWNER_1"] = ["O'BRIEN JANE"] * len(owners)
    yield Entry("owners.gpkg", _written(owners), Delivered("COLUMN_WITHHELD", "ok"))
    odd = alder()
    odd.columns["Location"] = [
        '=HYPERLINK("http://x")',
        "\x1b[31mMAIN ST",
        "<script>alert(1)</script>",
        "'; DROP TABLE x; --",
    ] * 16
    yield Entry("addresses that are programs.gpkg", _written(odd), Delivered("", "ok"))
    huge = alder()
    huge.columns["Location"] = ["x" * 100_000] * len(huge)
    yield Entry("addresses of 100 KB.gpkg", _written(huge), Delivered("", "any"))
    years = alder()
    years.columns["Collection_year"] = ["9" * 40] * len(years)
    yield Entry("a year of forty digits.gpkg", _written(years), Delivered("VALUE_INVALID|CODE_UNKNOWN", "ok"))
    areas = alder()
    areas.columns["Shape_Area"] = [float("inf"), float("nan"), -1.0, 1e308] * 16
    yield Entry("areas without end.gpkg", _written(areas), Delivered("AREA_DISAGREES|VALUE_INVALID", "ok"))
