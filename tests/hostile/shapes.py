"""Shapes that are bombs: many rings, many points, many parts; reading them must stay quick and small."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import shapely

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import changed, geopackage, gpkg_blob, shapefile, table, written, zip_of


def entries(bait: Bait) -> Iterator[Entry]:
    def packed(shape: shapely.Geometry) -> bytes:
        return zip_of(written(table(shapes=[shape]), "ESRI Shapefile", ".shp"))

    circle = shapely.Point(0, 0)
    concentric = [shapely.Polygon(circle.buffer(radius, quad_segs=2).exterior) for radius in range(1, 3001)]
    rings = shapely.Polygon(concentric[-1].exterior, [one.exterior for one in concentric[:-1]])
    yield Entry("3000 rings within one another.zip", packed(rings), Read(1))
    holes = shapely.box(*np.array(np.meshgrid(np.arange(150), np.arange(150))).reshape(2, -1), *(
        np.array(np.meshgrid(np.arange(150), np.arange(150))).reshape(2, -1) + 0.5))  # fmt: skip
    plate = shapely.Polygon(shapely.box(-1, -1, 151, 151).exterior, [hole.exterior for hole in holes])
    yield Entry("22500 holes.zip", packed(plate), Read(1))
    yield Entry("22500 parts.zip", packed(shapely.MultiPolygon(list(holes))), Read(1))
    angles = np.linspace(0, 2 * np.pi, 500_001)
    star = np.column_stack([np.cos(angles), np.sin(angles)]) * np.tile([1.0, 0.5], 250_001)[:500_001, None]
    blob = shapely.to_wkb(shapely.Polygon(np.vstack([star[:-1], star[:1]])))
    yield Entry("half a million corners.gpkg", _with_blob(blob), Read(empty=0))
    spiral = np.column_stack([angles[:20_000] * 0 + np.arange(20_000) % 2, np.arange(20_000) // 2])
    comb = shapely.to_wkb(shapely.Polygon(np.vstack([spiral, spiral[:1]])))
    yield Entry("a ring that crosses itself ten thousand times.gpkg", _with_blob(comb), Read(empty=0))
    same = shapely.to_wkb(shapely.Polygon([(1, 1)] * 50_000))
    yield Entry("a ring of one point.gpkg", _with_blob(same), Read(empty=0))
    tiny = shapely.to_wkb(shapely.Polygon([(0, 0), (5e-324, 0), (0, 5e-324), (0, 0)]))
    yield Entry("a ring of no width.gpkg", _with_blob(tiny), Read(empty=0))
    far = shapely.to_wkb(shapely.box(1e300, 1e300, 1.7e308, 1.7e308))
    yield Entry("a square beyond the stars.gpkg", _with_blob(far), Read(empty=0))
    stacked = [shapely.box(0, 0, 1, 1)] * 5000
    yield Entry(
        "5000 lots on one spot.zip", zip_of(written(table(shapes=stacked), "ESRI Shapefile", ".shp")), Read(5000)
    )
    too_many = Refused("more than 5,000,000 records")
    yield Entry("6 million null records.shp", partial(_null_records, 6_000_000), too_many)


def _with_blob(wkb: bytes) -> bytes:
    return changed(geopackage(), ("UPDATE parcels SET geom = ? WHERE fid = 2", [gpkg_blob(wkb)]))


def _null_records(count: int, path: Path) -> None:
    head = shapefile()["parcels.shp"][:100]
    record = struct.pack(">LL", 1, 2) + bytes(4)
    shp = head[:24] + struct.pack(">L", (100 + 12 * count) // 2) + head[28:] + record * count
    path.write_bytes(shp)
    path.with_suffix(".dbf").write_bytes(shapefile()["parcels.dbf"])
