"""Invented towns: a small fabric of parcels in the Sound, and ways to write it as a town would deliver it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.database import connect
from statewide.register import Town, add_invented_towns
from statewide.settings import Settings
from statewide.standard import load_standard

WEST, SOUTH, LOT = 950_000.0, 600_000.0, 200.0
ALDER = Town("99901", 901, "Alder", shapely.box(WEST - 500, SOUTH - 500, WEST + 6000, SOUTH + 6000))

FORMATS = {
    "shapefile": ("ESRI Shapefile", ".shp"),
    "geopackage": ("GPKG", ".gpkg"),
    "geojson": ("GeoJSON", ".geojson"),
    "filegdb": ("OpenFileGDB", ".gdb"),
}


@dataclass
class Fabric:
    """Parcels as a town would deliver them: the State's published column names, shapes in EPSG:6434."""

    shapes: list[BaseGeometry | None]
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.shapes)

    def copy(self) -> Fabric:
        return Fabric(list(self.shapes), {name: list(values) for name, values in self.columns.items()})

    def append(self, shape: BaseGeometry | None, **values: Any) -> None:
        """Add a row; columns not named are empty."""
        self.shapes.append(shape)
        for name, column in self.columns.items():
            column.append(values.get(name))

    def drop(self, rows: Sequence[int]) -> None:
        """Take rows out, by index."""
        keep = [index for index in range(len(self.shapes)) if index not in set(rows)]
        self.shapes = [self.shapes[index] for index in keep]
        self.columns = {name: [values[index] for index in keep] for name, values in self.columns.items()}


def alder(rows: int = 8, columns: int = 8, year: int = 2025) -> Fabric:
    """A clean fabric of rows × columns lots of 200 × 200 ft, each with a mid-edge vertex."""
    shapes: list[BaseGeometry | None] = []
    numbers = []
    for row in range(rows):
        for column in range(columns):
            x, y = WEST + column * LOT, SOUTH + row * LOT
            ring = [(x, y), (x + LOT / 2, y), (x + LOT, y), (x + LOT, y + LOT), (x, y + LOT)]
            shapes.append(shapely.Polygon(ring))
            numbers.append(f"{row + 1}-{column + 1}")
    count = len(shapes)
    return Fabric(
        shapes,
        {
            "Location": [f"{index + 1} MAIN ST" for index in range(count)],
            "Link": list(numbers),
            "Parcel_Type": ["PARCEL"] * count,
            "Town_Name": ["Alder"] * count,
            "Parcel_ID": list(numbers),
            "CAMA_Link": [f"{ALDER.cousub_fips}-{number}" for number in numbers],
            "Collection_year": [str(year)] * count,
            "Shape_Area": [LOT * LOT] * count,
        },
    )


def append_lot(fabric: Fabric, number: str, shape: BaseGeometry, **values: Any) -> None:
    """Add a lot of Alder with its number; columns not named are empty."""
    fabric.append(
        shape,
        Link=number,
        Parcel_Type="PARCEL",
        Town_Name="Alder",
        Parcel_ID=number,
        CAMA_Link=f"{ALDER.cousub_fips}-{number}",
        Collection_year="2025",
        Shape_Area=shape.area,
        **values,
    )


def write(
    fabric: Fabric, path: Path, *, epsg: int | None = 6434, kind: str = "geopackage", layer: str = "parcels"
) -> Path:
    """Write a delivery; shapefiles and geodatabases come zipped, as towns send them. `epsg` None leaves the CRS out.

    Shapes are reprojected to `epsg` (2234 shares the digits of 6434).
    """
    driver, suffix = FORMATS[kind]
    target = 2234 if epsg is None else epsg
    shapes = np.array(fabric.shapes, dtype=object)
    if target not in (2234, 6434):
        transformer = pyproj.Transformer.from_crs(6434, target, always_xy=True)
        shapes = shapely.transform(shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
    if kind == "filegdb":
        shapes = np.array(
            [None if shape is None else shapely.MultiPolygon(shapely.get_parts(shape)) for shape in shapes],
            dtype=object,
        )
    names = list(fabric.columns)
    file = path / f"{layer}{suffix}"
    path.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a shapefile cuts names after ten characters; that is the point of it
        pyogrio.raw.write(
            file,
            np.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], dtype=object),
            [np.array(fabric.columns[name], dtype=_dtype(fabric.columns[name])) for name in names],
            names,
            geometry_type="MultiPolygon" if kind == "filegdb" else "Unknown" if kind == "geopackage" else "Polygon",
            crs=f"EPSG:{target}",
            driver=driver,
            layer=layer,
        )
    return zipped_files(file, kind, epsg)


def zipped_files(file: Path, kind: str, epsg: int | None) -> Path:
    """The file as a town sends it: a shapefile and a geodatabase as one archive, without .prj where `epsg` is None."""
    if kind == "shapefile":
        if epsg is None:
            file.with_suffix(".prj").unlink()
        return _zipped(
            file.with_suffix(".zip"), [file.with_suffix(end) for end in (".shp", ".shx", ".dbf", ".prj", ".cpg")]
        )
    if kind == "filegdb":
        return _zipped(file.with_suffix(".gdb.zip"), sorted(file.iterdir()), file.name)
    return file


def found_alder(settings: Settings) -> Town:
    """Register the invented town."""
    with connect(settings) as connection:
        add_invented_towns(connection, load_standard(), [ALDER])
    return ALDER


def _dtype(values: list[Any]) -> type:
    return float if all(isinstance(value, float) for value in values) else object


def _zipped(target: Path, members: list[Path], folder: str | None = None) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            if member.exists():
                archive.write(member, f"{folder}/{member.name}" if folder else member.name)
    return target
