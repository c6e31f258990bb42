"""Deliveries at the edge of sense: each ends in an outcome that one can explain, and the books close."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from cadastral.meeting import submit
from statewide.database import OWNER, connect
from statewide.intake import Outcome, Request
from statewide.settings import Settings
from tests.towns import LOT, SOUTH, WEST, Fabric, alder, found_alder, write

Deliver = Callable[..., Outcome]


@pytest.fixture
def settings(shared_settings: Settings) -> Iterator[Settings]:
    """One database for the module, emptied after each test: a clone for each would take longer than the test."""
    yield shared_settings
    with connect(shared_settings, OWNER) as connection:
        connection.execute(
            "TRUNCATE cadastral.parcel, cadastral.parcel_history, statewide.submission, statewide.publication,"
            " statewide.crosswalk CASCADE"
        )


@pytest.fixture
def deliver(settings: Settings, tmp_path: Path) -> Deliver:
    """Deliver a fabric, or a file, as Alder's; every outcome's books must close."""
    found_alder(settings)
    count = 0

    def go(delivery: Fabric | Path, *, publish: bool = True, **options: Any) -> Outcome:
        nonlocal count
        count += 1
        file = delivery if isinstance(delivery, Path) else write(delivery, tmp_path / str(count), **options)
        outcome = submit(settings, Request(file, "Alder", 2025, publish=publish), lambda message: None)
        rows, area = outcome.summary["rows"], outcome.summary["area_sqft"]
        assert rows["read"] == rows["published"] + rows["held"] + rows["ignored"]
        assert area["read"] == pytest.approx(area["published"] + area["held"] + area["repaired"], abs=0.01)
        return outcome

    return go


def rows_of(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings) as connection:
        return connection.execute(query.encode()).fetchall()


PARCELS = "SELECT parcel_id, location, ST_AsBinary(geom), xmin::text, ctid::text FROM cadastral.parcel ORDER BY 1, 2"


def geojson(path: Path, fabric: Fabric) -> Path:
    """The fabric as GeoJSON in degrees, written by hand: values of any JSON type."""
    move = pyproj.Transformer.from_crs(2234, 4326, always_xy=True)
    features = []
    for index, shape in enumerate(fabric.shapes):
        moved = None if shape is None else shapely.transform(shape, move.transform, interleaved=False)
        features.append(
            {
                "type": "Feature",
                "geometry": None if moved is None else shapely.geometry.mapping(moved),
                "properties": {name: values[index] for name, values in fabric.columns.items()},
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


# ── few rows, or none that can be used ───────────────────────────────────────────────────────────────────────────────


def test_a_delivery_of_one_row(deliver: Deliver) -> None:
    outcome = deliver(alder(rows=1, columns=1))
    assert (outcome.summary["outcome"], outcome.summary["rows"]["added"]) == ("published", 1)
    assert deliver(alder(rows=1, columns=1)).summary["outcome"] == "unchanged"


@pytest.mark.parametrize(("kind", "epsg"), [("geopackage", 6434), ("shapefile", None)])
def test_a_file_without_a_single_shape_is_refused(deliver: Deliver, kind: str, epsg: int | None) -> None:
    empty = alder()
    empty.shapes = [None] * 64
    outcome = deliver(empty, kind=kind, epsg=epsg)
    assert outcome.summary["blocked_by"] == ["NO_ROWS"]
    assert outcome.summary["rows"]["held"] == 64


def test_a_delivery_of_which_every_row_is_held_is_refused_and_not_called_unchanged(deliver: Deliver) -> None:
    village = alder()
    village.columns["Town_Name"] = ["Alder Village"] * 64
    outcome = deliver(village)
    assert outcome.summary["outcome"] == "refused"
    assert outcome.summary["blocked_by"] == ["NOTHING_TO_PUBLISH"]
    assert outcome.summary["findings"]["TOWN_MISMATCH"] == 64


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_shapes_that_are_no_land_are_held_and_the_rest_is_published(deliver: Deliver, settings: Settings) -> None:
    odd = alder()
    x, y = WEST, SOUTH
    square = shapely.box(x, y, x + LOT, y + LOT)
    odd.shapes[:8] = [
        shapely.Point(x, y),
        shapely.LineString([(x, y), (x + 9, y), (x + 9, y + 9)]),
        shapely.GeometryCollection([square, shapely.Point(x, y)]),
        shapely.Polygon(),
        shapely.Polygon([(x, y), (x + 5, y), (x + 9, y)]),
        shapely.Polygon([(x, y), (x + 1e300, y), (x + 9, y + 1e300)]),
        shapely.Polygon([(x, y), (x + 1e9, y), (x, y + 1e9)]),
        shapely.Polygon([(x, y), (x + LOT, y), (0, 0), (x, y + LOT)]),
    ]
    outcome = deliver(odd)
    assert outcome.summary["outcome"] == "published"
    held = rows_of(settings, "SELECT row_no, reasons FROM statewide.held_row ORDER BY 1")
    unusable = ["GEOMETRY_UNUSABLE"]
    assert held[:3] == [(1, unusable), (2, unusable), (3, unusable)]
    assert held[3][1] in (["GEOMETRY_MISSING"], unusable)  # a GeoPackage may keep an empty shape or drop it
    assert held[4:] == [(5, unusable), (6, unusable), (7, unusable), (8, unusable)]


def test_a_layer_of_lines_is_refused(deliver: Deliver) -> None:
    lines = alder(rows=2, columns=2)
    lines.shapes = [shape.exterior for shape in lines.shapes if shape is not None]
    outcome = deliver(lines)
    assert outcome.summary["findings"] == {"NOTHING_TO_PUBLISH": 1, "GEOMETRY_UNUSABLE": 4}


def test_heights_parts_and_holes(deliver: Deliver, settings: Settings) -> None:
    high = alder()
    high.shapes = [shapely.force_3d(shape, 12.5) for shape in high.shapes]
    x, y = WEST, SOUTH
    holed = shapely.Polygon(
        shapely.box(x, y, x + LOT, y + LOT).exterior, [shapely.box(x + 50, y + 50, x + 90, y + 90).exterior]
    )
    high.shapes[0] = shapely.force_3d(shapely.MultiPolygon([holed, shapely.box(x + 60, y + 60, x + 80, y + 80)]))
    high.columns["Shape_Area"][0] = high.shapes[0].area
    outcome = deliver(high)
    assert outcome.summary["findings"] == {"Z_DROPPED": 1, "GAP_LAND": 1}
    ((area, parts, dimensions),) = rows_of(
        settings,
        "SELECT ST_Area(geom), ST_NumGeometries(geom), ST_NDims(geom) FROM cadastral.parcel WHERE parcel_id = '1-1'",
    )
    assert (area, parts, dimensions) == (LOT * LOT - 1600 + 400, 2, 2)
    # Without heights it is the same delivery.
    high.shapes = [shapely.force_2d(shape) for shape in high.shapes]
    assert deliver(high).summary["outcome"] == "unchanged"


# ── the same delivery in another dress ───────────────────────────────────────────────────────────────────────────────


def jittered(by: float) -> Fabric:
    fabric = alder()
    chance = random.Random(7)
    fabric.shapes = [
        shapely.transform(shape, lambda xy: xy + np.array(chance.choices((-by, by), k=2))) for shape in fabric.shapes
    ]
    return fabric


def shuffled() -> Fabric:
    fabric = alder()
    order = list(range(64))
    random.Random(7).shuffle(order)
    return Fabric(
        [fabric.shapes[index] for index in order],
        {name: [values[index] for index in order] for name, values in fabric.columns.items()},
    )


def reversed_rings() -> Fabric:
    fabric = alder()
    fabric.shapes = [shapely.reverse(shape) for shape in fabric.shapes]
    return fabric


def padded() -> Fabric:
    fabric = alder()
    fabric.columns = {
        "OBJECTID": [str(number) for number in range(900, 964)],
        **dict(reversed(fabric.columns.items())),
    }
    fabric.columns["Location"] = [f"  {value} " for value in fabric.columns["Location"]]
    fabric.columns["Collection_year"] = ["2025.0"] * 64
    return fabric


@pytest.mark.parametrize(
    "again",
    [shuffled(), reversed_rings(), padded(), jittered(0.03)],
    ids=["rows in another order", "rings reversed", "blanks, columns in another order, 2025.0", "moved by a hair"],
)
def test_the_same_content_writes_no_row(deliver: Deliver, settings: Settings, again: Fabric) -> None:
    deliver(alder())
    before = rows_of(settings, PARCELS)
    outcome = deliver(again)
    assert outcome.summary["outcome"] == "unchanged"
    assert outcome.summary["rows"]["unchanged"] == 64
    assert rows_of(settings, PARCELS) == before
    assert rows_of(settings, "SELECT count(*) FROM cadastral.parcel_history") == [(0,)]


def test_a_shift_above_the_tolerance_is_a_change(deliver: Deliver) -> None:
    deliver(alder())
    outcome = deliver(jittered(0.06))
    assert (outcome.summary["outcome"], outcome.summary["rows"]["changed"]) == ("published", 64)


# ── columns and values ───────────────────────────────────────────────────────────────────────────────────────────────


def test_columns_of_any_name_are_taken_in_or_reported(deliver: Deliver, settings: Settings, tmp_path: Path) -> None:
    odd = alder()
    strange = ["row_no", "geometry", "geom", "parcel_uid", 'a"b', "100%", "ñ %s {x}", "東京", "select", "x" * 200, ""]
    for name in strange:
        odd.columns[name] = ["value of a strange column"] * 64
    odd.shapes[3] = None
    outcome = deliver(geojson(tmp_path / "odd.geojson", odd))
    assert outcome.summary["outcome"] == "published"
    assert outcome.summary["findings"]["COLUMN_UNMAPPED"] == len(strange)
    ((columns,),) = rows_of(settings, "SELECT source_columns FROM statewide.ledger")
    assert len(columns) == len(odd.columns)
    # A held row keeps what was recognised; a column that nobody knows may hold a person.
    ((kept,),) = rows_of(settings, "SELECT attributes FROM statewide.held_row")
    known = {name: values[3] for name, values in odd.columns.items() if name not in strange}
    assert kept == known


STRANGE_TEXTS = [
    'O\'Brien "the" Great',
    "back\\slash \\. \\N \\u0000 \\x00",
    "first line\nsecond line\n\\.\nlast",
    "comma, semicolon; tab\tend",
    "é ñ ß 東京 😀 \u202e",
    "%s {town} {0} $1 <b>&amp;</b>",
    "=HYPERLINK(1)",
]


@pytest.mark.parametrize("held", [False, True], ids=["published", "held"])
def test_text_of_any_kind_comes_through_to_the_letter(
    deliver: Deliver, settings: Settings, tmp_path: Path, held: bool
) -> None:
    odd = alder()
    odd.columns["Location"][: len(STRANGE_TEXTS)] = STRANGE_TEXTS
    odd.columns["Location"][8:10] = ["x" * 5_000_000, "nul\x00byte"]
    if held:
        odd.shapes[:8] = [None] * 8
    outcome = deliver(geojson(tmp_path / "odd.geojson", odd))
    assert outcome.summary["outcome"] == "published"
    query = (
        "SELECT attributes->>'Location' FROM statewide.held_row ORDER BY row_no LIMIT 7"
        if held
        else "SELECT location FROM cadastral.parcel ORDER BY row_no LIMIT 7"
    )
    assert [text for (text,) in rows_of(settings, query)] == STRANGE_TEXTS
    assert outcome.summary["findings"]["VALUE_INVALID"] == 1  # the five million letters


def test_latin_letters_of_an_old_shapefile_come_through(deliver: Deliver, settings: Settings) -> None:
    old = alder()
    old.columns["Location"][0] = "1 RUE DE L'ÉGLISE"
    deliver(old, kind="shapefile")
    assert rows_of(settings, "SELECT location FROM cadastral.parcel WHERE parcel_id = '1-1'") == [
        ("1 RUE DE L'ÉGLISE",)
    ]


def test_columns_of_the_wrong_type_are_findings_and_no_crash(deliver: Deliver, tmp_path: Path) -> None:
    odd = alder()
    odd.columns["Parcel_ID"] = [index + 1.0 for index in range(64)]
    odd.columns["Collection_year"] = [99_999_999_999] * 64
    odd.columns["Location"] = [{"street": index} for index in range(64)]
    odd.columns["Town_Name"] = ["Alder"] * 64
    odd.columns["Edit_Date"] = ["12:30:00"] * 32 + ["1/1/1900"] * 32
    odd.columns["Parcel_Type"] = [["PARCEL", "LOT"]] * 64
    odd.columns["Shape_Area"] = [True] * 64
    outcome = deliver(geojson(tmp_path / "odd.geojson", odd))
    assert outcome.summary["outcome"] == "published"
    assert {finding.column for finding in outcome.log.findings if finding.code == "VALUE_INVALID"} >= {
        "Collection_year"
    }


def test_numbers_that_json_does_not_know_are_kept_with_a_held_row(deliver: Deliver, settings: Settings) -> None:
    odd = alder()
    odd.columns["Shape_Area"][0] = float("inf")
    odd.shapes[0] = None
    deliver(odd)
    ((kept,),) = rows_of(settings, "SELECT attributes->'Shape_Area' FROM statewide.held_row")
    assert kept in ("inf", None)


@pytest.mark.parametrize("layer", ["select pärcels 'of' \"Alder\"", "100% {x}"])
def test_a_layer_of_any_name_is_read(deliver: Deliver, layer: str) -> None:
    outcome = deliver(alder(rows=2, columns=2), layer=layer, publish=False)
    assert (outcome.summary["outcome"], outcome.summary["file"]["layer"]) == ("ok", layer)
