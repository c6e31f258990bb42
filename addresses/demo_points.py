"""The address points of an invented town, drawn on the parcels that the town hands in: clean, in NENA's columns.

Parcels are read from the demo's own file by the law's names, as anyone's would be. How towns write the points down and
what they get wrong is in ``addresses.demo``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from addresses.parsing import STREET
from statewide.crosswalk import propose
from statewide.demo import CRS, Floats, Ints, InventedTown, World, scatter
from statewide.standard import Standard, load_standard

POINTS_PER_PARCEL = 1.2

_LOCATION = r"^(?:(?P<number>\d+) )?(?P<street>.*?)(?: UNIT (?P<unit>\d+))?$"  # as the invented assessors write it
_BUILT = ("SINGLE", "MULTI", "PARCEL", "CONDO", "CONDO MAIN")
_VACANT, _SECOND_HOUSE, _AT_THE_ROAD, _ACROSS_THE_LINE = 0.02, 0.03, 0.01, 0.005  # shares of the lots
_HOUSE, _FLAT, _REAR = range(3)

Words = dict[str, str]


@dataclass(frozen=True, eq=False)
class Lots:
    """The parcels of a town that can bear an address, one entry each, and the roads they face."""

    shapes: NDArray[np.object_]
    """One piece of land each, in EPSG:6434."""
    roads: NDArray[np.object_]
    """The road each faces, None where no parcel has its name."""
    kind: NDArray[np.str_]
    link: pa.Array
    number: Ints
    unit: Ints
    """Number of the condominium unit, 0 for none."""
    street: Ints
    """Index in ``streets``."""
    streets: list[str]

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Of which lot each point is, and what it is: the house, the nth of so many flats in it, a house behind it."""

    of: Ints
    what: Ints
    nth: Ints
    size: Ints


@dataclass(frozen=True, eq=False)
class DrawnPoints:
    """Address points, one entry each."""

    xy: Floats
    """(n, 2) feet of EPSG:6434."""
    columns: pa.Table
    """NENA-STA-006.3's columns, and ``Parcel_ID``."""


def read_lots(file: Path) -> Lots:
    """The lots with a house number in a town's parcel file. Shapes without a sound area are passed over."""
    standard = load_standard()
    path = f"/vsizip/{file}" if file.suffix == ".zip" else file
    meta, rows = pyogrio.raw.read_arrow(path)
    shape_column = meta["geometry_name"] or "wkb_geometry"
    shapes = shapely.from_wkb(rows.column(shape_column).to_numpy())
    if meta["crs"] == "EPSG:4326":
        shapes = shapely.transform(
            shapes, Transformer.from_crs(meta["crs"], CRS, always_xy=True).transform, interleaved=False
        )
    found = propose(standard, standard.table("parcel"), rows.drop_columns([shape_column])).mapping
    said = pc.extract_regex(rows.column(found["location"]).combine_chunks(), _LOCATION)
    street = pc.struct_field(said, "street").fill_null("").dictionary_encode()
    number, unit = (_whole_numbers(pc.struct_field(said, name)) for name in ("number", "unit"))
    kind = np.array(rows.column(found["parcel_type"]).fill_null("").to_pylist())
    of_street = street.indices.to_numpy().astype(np.int64)
    roads = np.full(len(street.dictionary), None, dtype=object)
    are_roads = np.flatnonzero(kind == "ROW")
    roads[of_street[are_roads]] = shapes[are_roads]
    sound = shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    lots = np.flatnonzero(sound & np.isin(kind, _BUILT) & (number > 0))
    return Lots(
        shapes=shapely.get_geometry(shapes[lots], 0),
        roads=roads[of_street[lots]],
        kind=kind[lots],
        link=rows.column(found["link"]).combine_chunks().take(pa.array(lots)),
        number=number[lots],
        unit=unit[lots],
        street=of_street[lots],
        streets=street.dictionary.to_pylist(),
    )


def _whole_numbers(texts: pa.Array) -> Ints:
    """0 where there is none."""
    found: Ints = pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), pa.int64()).fill_null(0).to_numpy()
    return found


def draw_points(world: World, town: InventedTown, lots: Lots) -> DrawnPoints:
    """The town's points, ``POINTS_PER_PARCEL`` for each of its parcels: houses, flats, some houses in the rear."""
    rng = np.random.default_rng([world.seed, town.town_no, 5])
    dwelling = np.isin(lots.kind, ("SINGLE", "MULTI", "PARCEL"))
    addressed = np.flatnonzero(~(dwelling & (rng.random(len(lots)) < _VACANT)))
    with_rear = addressed[(lots.kind[addressed] == "SINGLE") & (rng.random(len(addressed)) < _SECOND_HOUSE)]
    houses = addressed[np.isin(lots.kind[addressed], ("MULTI", "PARCEL"))]
    flats = _flats(rng, houses, round(POINTS_PER_PARCEL * town.parcels) - len(addressed) - len(with_rear))
    of = np.concatenate((addressed, np.repeat(houses, flats), with_rear))
    what = np.repeat(np.array([_HOUSE, _FLAT, _REAR]), np.array([len(addressed), flats.sum(), len(with_rear)]))
    nth, size = np.zeros_like(of), np.zeros_like(of)
    nth[what == _FLAT], size[what == _FLAT] = _count_up(flats), np.repeat(flats, flats)
    order = np.lexsort((nth, what, of))
    drawn = _Drawn(of[order], what[order], nth[order], size[order])
    (front, rear), placement = _places(world, lots)
    xy = np.round(np.where((drawn.what == _REAR)[:, None], rear[drawn.of], front[drawn.of]), 3)
    return DrawnPoints(xy, _columns(town, lots, drawn, xy, placement, rng))


def _flats(rng: np.random.Generator, houses: Ints, wanted: int) -> Ints:
    """How many flats each house has, so many in all: most a few, some dozens."""
    spare = wanted - 2 * len(houses)
    if spare < 0:
        return np.where(np.arange(len(houses)) < wanted // 2, 2, 0)
    shares = np.cumsum(rng.lognormal(0, 1.2, len(houses)))
    return 2 + np.diff(np.rint(shares / shares[-1] * spare).astype(np.int64), prepend=0) if len(houses) else houses


def _places(world: World, lots: Lots) -> tuple[tuple[Floats, Floats], NDArray[np.str_]]:
    """Where the house of each lot stands and where one behind it would, and NENA's word for how it was put there.

    A house stands between the middle of the lot and its road, a little to one side. Some points lie in the road or
    across the lot's line, as real ones do.
    """
    middle = shapely.get_coordinates(shapely.centroid(lots.shapes))
    to_road = shapely.shortest_line(shapely.points(middle), lots.roads)
    step = np.zeros_like(middle)
    faces = ~shapely.is_missing(to_road)
    step[faces] = shapely.get_coordinates(to_road[faces]).reshape(-1, 2, 2)[:, 1] - middle[faces]
    aside = np.column_stack((-step[:, 1], step[:, 0]))
    draw = [scatter(lots.number, lots.street, world.seed + nth) for nth in (31, 32, 33)]
    front = middle + (0.3 + 0.12 * draw[0])[:, None] * step + 0.18 * draw[1][:, None] * aside
    rear = middle - 0.45 * step - 0.1 * draw[1][:, None] * aside
    share = (draw[2] + 1) / 2
    conflicts = (lots.unit == 0) & faces
    road = conflicts & (share < _AT_THE_ROAD)
    across = conflicts & ~road & (share < _AT_THE_ROAD + _ACROSS_THE_LINE)
    for spot in (front, rear):
        outside = ~shapely.contains_xy(lots.shapes, spot)
        spot[outside] = shapely.get_coordinates(shapely.point_on_surface(lots.shapes[outside]))
    front[road] = (middle + step * 1.1)[road]
    front[across] = (middle + 0.75 * aside)[across]
    placement = np.select([road, across, share > 0.93], ["PropertyAccess", "Geocoding", "Parcel"], "Structure")
    return (front, rear), placement


def _columns(
    town: InventedTown,
    lots: Lots,
    drawn: _Drawn,
    xy: Floats,
    placement: NDArray[np.str_],
    rng: np.random.Generator,
) -> pa.Table:
    of, what = drawn.of, drawn.what
    rows = len(of)
    standard = load_standard()
    law = standard.table("address_point")
    streets = streets_in_parts(standard, lots.streets)
    of_street = pa.array(lots.street[of])
    kind = lots.kind[of]
    flat, condominium = what == _FLAT, lots.unit[of] > 0
    # A rear house has the next free number of its side, or the letter A.
    taken = lots.street * 1_000_000 + lots.number
    free = ~np.isin(taken[of] + 2, taken)
    moved = (what == _REAR) & free & (of % 2 == 0)
    local_id = 10_000 + np.arange(rows)
    domain = f"gis.{town.name.lower().replace(' ', '-')}.example"
    village = _in_village(town, xy)
    updated = np.datetime64("2020-01-06") + rng.integers(0, 5 * 365, rows)

    def part(name: str) -> pa.Array:
        return pa.array([words.get(name) for words in streets], pa.string()).take(of_street)

    def same(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value), rows)

    def where(condition: NDArray[np.bool_], value: str | pa.Array, other: str | pa.Array | None = None) -> pa.Array:
        return pc.if_else(pa.array(condition), value, pa.scalar(None, pa.string()) if other is None else other)

    post = where(village, village_name(town), town.name)
    return pa.table(
        {
            "DiscrpAgID": same(domain),
            "DateUpdate": pa.array(updated),
            "NGUID": pc.binary_join_element_wise("urn:emergency:uid:gis:SSAP", _text(local_id), domain, ":"),
            "SITEADDID": _text(local_id),
            "Country": same("US"),
            "A1": same("CT"),
            "A2": same("Sound County"),
            "A3": same(town.name),
            "A4": where(village, village_name(town)),
            "Add_Number": pa.array((lots.number[of] + 2 * moved).astype(np.int32)),
            "AddNum_Suf": where((what == _REAR) & ~moved, "A"),
            **{law.field(name).maps_to["nena"]: part(name) for name in STREET},
            "UnitPreTyp": where(condominium, "Unit", where(flat, where(kind == "PARCEL", "Suite", "Apartment"))),
            "UnitValue": where(condominium, _text(lots.unit[of]), where(flat, _flat_names(drawn.nth, drawn.size))),
            "MSAGComm": pc.utf8_upper(post),
            "Post_Comm": post,
            "Post_Code": where(village, f"{_zip(town) + 1:05d}", f"{_zip(town):05d}"),
            "Place_Type": where(kind == "PARCEL", "office", "residence"),
            "Placement": pa.array(np.where(what == _REAR, "Structure", placement[of])),
            "Parcel_ID": lots.link.take(pa.array(of)),
        }
    )


def streets_in_parts(standard: Standard, streets: list[str]) -> list[Words]:
    """Invented streets' names in NENA's parts. It knows what ``statewide demo`` invents and no more."""
    types, directions = (standard.code_lists[name].lookup() for name in ("street_type", "directional"))
    return [_in_parts(street, types, directions) for street in streets]


def _in_parts(street: str, types: Words, directions: Words) -> Words:
    words = street.split(" ")
    parts: Words = {}
    if words[0] in ("Old", "Upper", "Lower") and len(words) > 2:
        parts["st_premod"] = words.pop(0)
    if words[0].casefold() in directions and len(words) > 2:
        parts["st_predir"] = words.pop(0)
    if words[-1].casefold() in directions and len(words) > 2:
        parts["st_posdir"] = words.pop()
    if words[-1] == "Extension":
        parts["st_posmod"] = words.pop()
    if words[1:3] == ["of", "the"]:
        parts |= {"st_pretyp": words[0], "st_presep": "of the"}
        words = words[3:]
    elif words[-1].isdigit() and (route := types.get(" ".join(words[:-1]).casefold())):
        parts["st_pretyp"] = route
        words = words[-1:]
    elif words[-1].casefold() in types and len(words) > 1 and words[0] != "The":
        parts["st_postyp"] = words.pop()
    return parts | {"st_name": " ".join(words)}


def village_name(town: InventedTown) -> str:
    """The place in the north-east of the town that has a name of its own, and a postal city, but is no town."""
    return f"{town.name.split()[-1]} Corner"


def _in_village(town: InventedTown, xy: Floats) -> NDArray[np.bool_]:
    west, south, east, north = town.outline.bounds
    corner = (west + 0.7 * (east - west), south + 0.7 * (north - south))
    inside: NDArray[np.bool_] = (xy > corner).all(axis=1)
    return inside


def _zip(town: InventedTown) -> int:
    """ZIP codes from 06930 on are not given out."""
    return 6930 + 2 * (town.town_no % 35)


def _flat_names(nth: Ints, size: Ints) -> pa.Array:
    """Letters in a small house, numbers in a larger one, and in a large one the floor before the flat."""
    letters = pa.array(list("ABCDEF")).take(pa.array(np.minimum(nth, 5)))
    numbers = np.where(size > 12, 100 * (1 + nth // 8) + nth % 8 + 1, nth + 1)
    return pc.if_else(pa.array(size < 5), letters, _text(numbers))


def _text(values: Ints) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _count_up(lengths: Ints) -> Ints:
    """0, 1, … up to each length in turn."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
