"""Invented address points for the invented town Alder, and ways to write them as towns deliver them.

The columns bear NENA-STA-006.3's names; `write_points` translates them for other kinds of files.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyogrio.raw
import pyproj
import shapely
from shapely import Point
from shapely.geometry.base import BaseGeometry

from tests.towns import ALDER, FORMATS, SOUTH, WEST, Fabric, alder, zipped_files

Names = Literal["nena3", "nena2", "full", "openaddresses", "nad"]

UPDATED = dt.date(2025, 3, 14)
AGENCY = "gis.alder.example"

_DIRECTIONS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_TYPES = {"ST": "Street", "RD": "Road", "AVE": "Avenue", "LN": "Lane", "CT": "Court", "DR": "Drive", "PL": "Place"}
_LOCATION = re.compile(r"(?P<number>\d+)(?P<suffix>[A-Z]?) (?P<street>.+?)(?: (?:UNIT |#)(?P<unit>\w+))?")

_NUMBER = ("AddNum_Pre", "Add_Number", "AddNum_Suf")
_STREET = ("St_PreMod", "St_PreDir", "St_PreTyp", "St_PreSep", "St_Name", "St_PosTyp", "St_PosDir", "St_PosMod")
_PARTS = (*_NUMBER, *_STREET, "UnitPreTyp", "UnitValue")

_NENA2 = {
    "A1": "State",
    "A2": "County",
    "A3": "Inc_Muni",
    "A4": "Uninc_Comm",
    "A5": "Nbrhd_Comm",
    "Structure": "Building",
    "Site": "LandmkName",
}
_NAD = _NENA2 | {
    "SITEADDID": "UUID",
    "AddNum_Cmp": "AddNo_Full",
    "Post_Comm": "Post_City",
    "Post_Code": "Zip_Code",
    "PostCodeEx": "Plus_4",
    "Place_Type": "Addr_Type",
}
_NAD_PLACEMENTS = {"Structure": "Structure - Rooftop", "Parcel": "Parcel - Centroid", "Geocoding": "Linear Geocode"}


@dataclass
class Points(Fabric):
    """Address points as a town would deliver them: NENA-STA-006.3's column names, shapes in EPSG:6434."""

    def copy(self) -> Points:
        return Points(list(self.shapes), {name: list(values) for name, values in self.columns.items()})

    def append(self, shape: BaseGeometry | None, **values: Any) -> None:
        """Add a point of Alder; a column not named has what every row has, or is empty. Columns may be new ones."""
        nth = 1 + max((int(number) for number in self.columns.get("SITEADDID", []) if number), default=0)
        every = _common() | {"SITEADDID": str(nth), "NGUID": f"urn:emergency:uid:gis:SSAP:{nth}:{AGENCY}"}
        for name in every | values:
            self.columns.setdefault(name, [None] * len(self.shapes))
        super().append(shape, **(every | values))

    def change(self, rows: int | Iterable[int], shape: BaseGeometry | None = None, **values: Any) -> None:
        """Set columns, also new ones, and with `shape` the point, of one row or several."""
        for row in [rows] if isinstance(rows, int) else rows:
            if shape is not None:
                self.shapes[row] = shape
            for name, value in values.items():
                self.columns.setdefault(name, [None] * len(self.shapes))[row] = value

    def reorder(self, rows: Sequence[int]) -> None:
        """Put the rows in this order."""
        self.shapes = [self.shapes[row] for row in rows]
        self.columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}

    def on_street(self, name: str) -> list[int]:
        """The rows of a street by its St_Name, such as Main."""
        return [row for row, given in enumerate(self.columns["St_Name"]) if given == name]

    def renumber(self, street: str, new: Callable[[int], int]) -> list[int]:
        """Give every number of a street another one; returns the rows."""
        rows = self.on_street(street)
        for row in rows:
            self.columns["Add_Number"][row] = new(self.columns["Add_Number"][row])
        return rows


def alder_streets(rows: int = 8, columns: int = 8, year: int = 2025) -> Fabric:
    """`alder` with streets as real ones are: along each pair of rows one, even numbers below and odd ones above it."""
    fabric = alder(rows, columns, year)
    streets = ("MAIN ST", "ELM ST", "N SHORE RD", "OAK CT", "SCHOOL LN", "MILL RD", "POND AVE", "PARK PL")
    fabric.columns["Location"] = [
        f"{2 * column + (2 if row % 2 == 0 else 1)} {streets[row // 2]}"
        for row in range(rows)
        for column in range(columns)
    ]
    return fabric


def addresses_of(fabric: Fabric) -> Points:
    """A clean point in the middle of each parcel whose Location has a number: 36 MAIN ST is 36, Main, Street."""
    points = Points([], {name: [] for name in _PARTS})
    for shape, location, link in zip(fabric.shapes, fabric.columns["Location"], fabric.columns["Link"], strict=True):
        found = _LOCATION.fullmatch(location or "")
        if shape is None or found is None:
            continue
        name, kind = found["street"].rsplit(" ", 1)
        first, _, rest = name.partition(" ")
        points.append(
            shapely.point_on_surface(shape) if shapely.get_num_geometries(shape) > 1 else shape.centroid,
            Add_Number=int(found["number"]),
            AddNum_Suf=found["suffix"] or None,
            St_PreDir=_DIRECTIONS[first] if rest and first in _DIRECTIONS else None,
            St_Name=(rest if rest and first in _DIRECTIONS else name).title(),
            St_PosTyp=_TYPES[kind],
            UnitPreTyp="Unit" if found["unit"] else None,
            UnitValue=found["unit"],
            Parcel_ID=link,
        )
    return points


def written_address(points: Points, row: int) -> str:
    """Number, street and unit in one line: 12 1/2 North Shore Road Unit 3."""
    return " ".join(filter(None, (_number(points, row), _street(points, row), _unit(points, row))))


def write_points(
    points: Points,
    path: Path,
    *,
    kind: str = "geopackage",
    names: Names = "nena3",
    epsg: int | None = 6434,
    layer: str = "addresses",
) -> Path:
    """Write a delivery in the folder `path`: `kind` is one of tests.towns.FORMATS or csv.

    Shapes are reprojected to `epsg`; None is EPSG:2234 and leaves it unsaid. A CSV has longitude and latitude in
    columns instead. `full` has the whole address in one column, `openaddresses` number and street in one each.
    """
    path.mkdir(parents=True, exist_ok=True)
    shapes = np.array(points.shapes, dtype=object)
    columns = _translated(points, names)
    if kind == "csv":
        degrees = _moved(shapes, 4326)
        x, y = ("LON", "LAT") if names in ("full", "openaddresses") else ("Longitude", "Latitude")
        columns = {
            x: [None if point is None else round(point.x, 9) for point in degrees],
            y: [None if point is None else round(point.y, 9) for point in degrees],
        } | columns
        file = path / f"{layer}.csv"
        pa.csv.write_csv(_table(columns), file)
        return file
    target = 2234 if epsg is None else epsg
    driver, suffix = FORMATS[kind]
    file = path / f"{layer}{suffix}"
    wkb = shapely.to_wkb(_moved(shapes, target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a shapefile cuts names after ten characters, a geodatabase has no plain dates
        pyogrio.raw.write_arrow(
            _table(columns).append_column("geometry", pa.array(wkb, pa.binary())),
            file,
            layer=layer,
            driver=driver,
            geometry_name="geometry",
            geometry_type="Point",
            crs=f"EPSG:{target}",
            **({"COORDINATE_PRECISION": "9"} if kind == "geojson" else {}),
        )
    return zipped_files(file, kind, epsg)


def _common() -> dict[str, Any]:
    return {
        "DiscrpAgID": AGENCY,
        "DateUpdate": UPDATED,
        "Country": "US",
        "A1": "CT",
        "A2": "Southeastern Connecticut Planning Region",
        "A3": ALDER.town_name,
        "Post_Comm": ALDER.town_name,
        "Post_Code": "06999",
        "Place_Type": "residence",
        "Placement": "Structure",
    }


def _parts(points: Points, row: int, names: Sequence[str]) -> list[str]:
    values = (points.columns[name][row] for name in names if name in points.columns)
    return [str(value) for value in values if value is not None]


def _number(points: Points, row: int) -> str:
    """Prefix, number and suffix: 12A, 12 1/2."""
    return "".join(f" {part}" if "/" in part else part for part in _parts(points, row, _NUMBER))


def _street(points: Points, row: int) -> str:
    return " ".join(_parts(points, row, _STREET))


def _unit(points: Points, row: int) -> str:
    return " ".join(_parts(points, row, ("UnitPreTyp", "UnitValue")))


def _translated(points: Points, names: Names) -> dict[str, list[Any]]:
    """The columns of a kind of file."""
    given, rows = points.columns, range(len(points))

    def values(name: str) -> list[Any]:
        return given.get(name, [None] * len(points))

    streets, units = [_street(points, row) for row in rows], [_unit(points, row) or None for row in rows]
    addresses = [written_address(points, row) for row in rows]
    if names == "full":
        known = {"SITEADDID", "A3", "Post_Comm", "Post_Code", "Parcel_ID", "DateUpdate", *_PARTS}
        more = {name: column for name, column in given.items() if name not in known | _common().keys() | {"NGUID"}}
        return {
            "SITEADDID": values("SITEADDID"),
            "FULL_ADDRESS": addresses,
            "TOWN": values("A3"),
            "ZIP": values("Post_Code"),
            "PARCEL_NO": values("Parcel_ID"),
        } | more
    if names == "openaddresses":
        return {
            "NUMBER": [_number(points, row) for row in rows],
            "STREET": streets,
            "UNIT": units,
            "CITY": values("A3"),
            "DISTRICT": [None] * len(points),
            "REGION": values("A1"),
            "POSTCODE": values("Post_Code"),
            "ID": values("SITEADDID"),
            "HASH": [None] * len(points),
        }
    if names == "nena3":
        return dict(given)
    apart = {name: column for name, column in given.items() if name not in ("UnitPreTyp", "UnitValue")}
    renamed = _NENA2 if names == "nena2" else _NAD
    columns = {renamed.get(name, name): column for name, column in apart.items()} | {"Unit": units}
    if names == "nad":
        columns |= {"StNam_Full": streets, "NAD_Source": ["Town of Alder"] * len(points)}
        columns["Placement"] = [_NAD_PLACEMENTS.get(name, name) for name in values("Placement")]
        columns["Addr_Type"] = [name.title() if name else None for name in values("Place_Type")]
    return columns


def _table(columns: dict[str, list[Any]]) -> pa.Table:
    return pa.table({name: _array(values) for name, values in columns.items()})


def _array(values: list[Any]) -> pa.Array:
    found = pa.array(values)
    if found.type == pa.null():
        return found.cast(pa.string())
    return found.cast(pa.int32()) if found.type == pa.int64() else found  # NENA's LONG is of 32 bits


def _moved(shapes: np.ndarray, epsg: int) -> np.ndarray:
    if epsg in (2234, 6434):
        return shapes
    transformer = pyproj.Transformer.from_crs(6434, epsg, always_xy=True)
    moved: np.ndarray = shapely.transform(shapes, transformer.transform, interleaved=False)
    return moved


def points_at(*places: tuple[float, float]) -> list[Point]:
    """Points at these places, in feet east and north of Alder's first lot's corner."""
    return [Point(WEST + east, SOUTH + north) for east, north in places]
