"""The real parcels and polygon layers beside the checkout, in feet, repaired."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely

from resilience.overlay import Geometries
from statewide.geometry import repair

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CONNECTICUT, MASSACHUSETTS = 6434, 2249
BOUNDARIES = "ct-town-boundaries/2016/01/political_ads/town_shapes/nad83/townct_37800_0000_2010_s100_census_1_shp_nad83"
FLOOD = "ma-cambridge/Hydro/FEMA_Floodplain"

PARCELS = {
    "New London": ("deliveries/new_london_parcels_2025.zip", CONNECTICUT),
    "Woodstock": ("deliveries/woodstock_parcels_2025.gdb.zip", CONNECTICUT),
    "Chester": ("deliveries/chester_parcels_2025.gpkg", CONNECTICUT),
    "Franklin": ("deliveries/franklin_parcels_2025.geojson", CONNECTICUT),
    "six towns": ("ct-parcels-2025-sample/ct_parcels_6_towns_wgs84.parquet", CONNECTICUT),
    "Hamden": ("ct-west-hartford-hamden-parcels/hamden/geojson/*0*s.geojson", CONNECTICUT),
    "West Hartford": ("ct-west-hartford-hamden-parcels/geojson/[!w]*.geojson", CONNECTICUT),
    "Cambridge, 500 years": (FLOOD + "_Parcels_500_Year/FEMA_FloodPlainParcels500Year.geojson", MASSACHUSETTS),
    "Cambridge, 100 years": (FLOOD + "_Parcels_100_Year/FEMA_FloodPlainParcels100Year.geojson", MASSACHUSETTS),
}
LAYERS = PARCELS | {
    "zoning of the 1950s": ("ct-zoning-1950s/geojson/combined-zoning-1950s.geojson", CONNECTICUT),
    "towns, 2000 outline": ("ct-zoning-1950s/georeference/ct-towns.geojson", CONNECTICUT),
    "towns, census": (BOUNDARIES + "_feet.shp", CONNECTICUT),
    "towns, census in metres": (BOUNDARIES + "_meters.shp", CONNECTICUT),
    "towns, map": ("ct-town-boundaries/2015/12/ct-drug-zones/townsmap/towns.shp", CONNECTICUT),
    "towns, State": ("standards/authority/ct_towns_boundary_dataCTgov_evyv-fqzg.geojson", CONNECTICUT),
    "Cambridge, 500-year floodplain": (FLOOD + "s_500_Year/FEMA_FloodPlains500Year.geojson", MASSACHUSETTS),
    "Cambridge, 100-year floodplain": (FLOOD + "s_100_Year/FEMA_FloodPlains100Year.geojson", MASSACHUSETTS),
    "Cambridge, city": ("ma-cambridge/Boundary/City_Boundary/BOUNDARY_CityBoundary.geojson", MASSACHUSETTS),
}


@functools.cache
def shapes(path: str, epsg: int) -> Geometries:
    """The polygons of one file, or of all that the pattern names; others are None."""
    return np.concatenate([_read(file, epsg) for file in sorted(DATA.glob(path))])


def _read(file: Path, epsg: int) -> Geometries:
    if file.suffix == ".parquet":
        wkb, crs = pq.read_table(file, columns=["geometry"]).column(0).to_numpy(), "EPSG:4326"
    else:
        meta, _, wkb, _ = pyogrio.raw.read(f"/vsizip/{file}" if file.suffix == ".zip" else file, columns=[])
        crs = meta["crs"]
    found = shapely.force_2d(shapely.from_wkb(wkb))
    if not pyproj.CRS(crs).equals(pyproj.CRS(epsg)):
        move = pyproj.Transformer.from_crs(crs, epsg, always_xy=True)
        found = shapely.transform(found, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1])))
    return repair(found).shapes
