"""Staging: what goes into the database is to the letter what was conformed, and the hashes tell rows apart."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from statewide.copying import copy_in
from statewide.database import Connection, connect
from statewide.ddl import stored_columns
from statewide.replace import LiveColumns, transaction_time
from statewide.settings import Settings
from statewide.staging import Staged, attribute_hashes, new_uid, new_uids, shape_hashes
from statewide.standard import load_standard

STANDARD = load_standard()
PARCEL = STANDARD.table("parcel")
TYPES = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "date": pa.date32(), "boolean": pa.bool_()}
COLUMNS = [field for field in PARCEL.base_fields if field.name != PARCEL.key and field.type in TYPES]
TEXTS = [field.name for field in COLUMNS if field.filled_by == "town" and field.type == "text"]

# Conform lets no control character through but tab and the ends of lines.
letters = st.characters(exclude_characters="".join(map(chr, (*range(9), 11, 12, *range(14, 32), 127))), codec="utf-8")
nasty = st.sampled_from(
    [
        "",
        '"',
        '""',
        "'",
        "\\",
        "\\.",
        "\n\\.\n",
        "a\\.\nb",
        "\\N",
        "\\x00",
        ",",
        ";",
        "\t",
        "\r\n",
        "\r",
        " ",
        "NULL",
        "%s",
    ]
)
text = st.none() | nasty | st.text(letters, max_size=12) | st.lists(nasty, max_size=5).map("".join)


def staged(columns: dict[str, list[Any]], shapes: list[Any] | None = None) -> Staged:
    count = len(next(iter(columns.values())))
    arrays = {field.name: pa.array(columns.get(field.name, [None] * count), TYPES[field.type]) for field in COLUMNS}
    given_shapes = np.empty(count, dtype=object)
    given_shapes[:] = shapes or [
        shapely.MultiPolygon([shapely.box(1e6 + i, 7e5, 1e6 + i + 1, 7e5 + 2)]) for i in range(count)
    ]
    return Staged(PARCEL, pa.table({"row_no": pa.array(range(1, count + 1)), **arrays}), given_shapes)


def land(connection: Connection, given_: Staged) -> None:
    """COPY the rows into a table like the live one."""
    connection.execute("CREATE TEMPORARY TABLE landed ON COMMIT DROP AS SELECT * FROM cadastral.parcel LIMIT 0")
    columns = LiveColumns(STANDARD, given_, {}, new_uid(), transaction_time(connection))
    chunks = columns.chunks(np.arange(len(given_.shapes)), new_uids(len(given_.shapes)))
    copy_in(connection, sql.Identifier("landed"), stored_columns(PARCEL), chunks)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(text, text), min_size=1, max_size=20))
def test_every_text_comes_back_to_the_letter(
    shared_settings: Settings, values: list[tuple[str | None, str | None]]
) -> None:
    given_ = staged({"location": [one for one, _ in values], "editor_comment": [other for _, other in values]})
    with connect(shared_settings) as connection:
        land(connection, given_)
        found = connection.execute("SELECT location, editor_comment FROM landed ORDER BY row_no").fetchall()
        connection.rollback()
    assert found == values


def test_numbers_days_and_shapes_come_back_to_the_bit(shared_settings: Settings) -> None:
    corner = 1_177_300.123456789
    shape = shapely.MultiPolygon(
        [
            shapely.Polygon([(corner, 7e5 + 1 / 3), (corner + 9, 7e5), (corner, 7e5 + 9)]),
            shapely.box(0.1, 0.2, 0.3, 0.4),
        ]
    )
    day = dt.date(1783, 9, 3)
    given_ = staged(
        {"collection_year": [2025], "edited_on": [day], "area_sqft": [0.1 + 0.2], "crs_assumed": [True]}, [shape]
    )
    with connect(shared_settings) as connection:
        land(connection, given_)
        row = connection.execute(
            "SELECT collection_year, edited_on, area_sqft, crs_assumed, ST_AsBinary(geom), ST_SRID(geom),"
            " ST_SRID(geom_lonlat), ST_SRID(geom_mercator), ST_Distance(geom_lonlat, ST_Transform(geom, 4326))"
            " FROM landed"
        ).fetchone()
        connection.rollback()
    assert row is not None
    assert row[:4] == (2025, day, 0.1 + 0.2, True)
    assert shapely.from_wkb(bytes(row[4])).equals_exact(shape, 0)
    assert row[5:8] == (6434, 4326, 3857)
    assert row[8] < 1e-9


def test_no_rows_land_as_no_rows(shared_settings: Settings) -> None:
    with connect(shared_settings) as connection:
        land(connection, staged({"location": ["x"]}).without({1}))
        assert connection.execute("SELECT count(*) FROM landed").fetchone() == (0,)
        connection.rollback()


def test_without_takes_out_the_rows_of_these_numbers_only() -> None:
    rows = staged({"location": ["a", "b", "c", "d"]}).without({2, 4, 99})
    assert rows.row_no.tolist() == [1, 3]
    assert rows.rows.column("location").to_pylist() == ["a", "c"]
    assert [shape.bounds[0] for shape in rows.shapes] == [1e6, 1e6 + 2]


def hashes(columns: dict[str, list[Any]]) -> list[str]:
    return [found.hex() for found in attribute_hashes(PARCEL, staged(columns).rows).tolist()]


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(TEXTS[:4], text)), min_size=2, max_size=8))
def test_two_rows_have_one_hash_exactly_when_every_decided_column_is_equal(rows: list[dict[str, str | None]]) -> None:
    found = hashes({name: [row[name] for row in rows] for name in TEXTS[:4]})
    for one, hash_ in zip(rows, found, strict=True):
        for other, other_hash in zip(rows, found, strict=True):
            assert (hash_ == other_hash) == (one == other)


def test_a_value_in_another_column_is_another_row() -> None:
    one, other = hashes({"parcel_id": ["7", None], "link": [None, "7"]})
    assert one != other
    assert hashes({"location": [""]}) != hashes({"location": [None]})
    assert len(set(hashes({"location": ["a=b", "a", "=b", "b"]}))) == 4


def test_what_the_platform_measures_does_not_make_a_row_new() -> None:
    assert hashes({"location": ["x"], "area_sqft": [1.0]}) == hashes({"location": ["x"], "area_sqft": [2.0]})
    assert hashes({"location": ["x"], "crs_assumed": [True]}) == hashes({"location": ["x"], "crs_assumed": [False]})
    assert hashes({"location": ["x"], "cousub_fips": ["1"]}) == hashes({"location": ["x"], "cousub_fips": ["2"]})


def test_a_shape_has_one_hash_however_its_rings_run() -> None:
    ring, hole = [(0, 0), (9, 0), (9, 9), (0, 9)], [(1, 1), (1, 2), (2, 2), (2, 1)]
    other = shapely.box(20, 0, 30, 10)
    variants = [
        shapely.MultiPolygon([shapely.Polygon(ring, [hole]), other]),
        shapely.MultiPolygon([other, shapely.Polygon(ring[::-1], [hole[::-1]])]),
        shapely.MultiPolygon([shapely.Polygon(ring[2:] + ring[:2], [hole[1:] + hole[:1]]), shapely.reverse(other)]),
    ]
    changed = shapely.MultiPolygon([shapely.Polygon([*ring[:3], (0, np.nextafter(9, 10))], [hole]), other])
    found = shape_hashes(np.array([*variants, changed], dtype=object)).tolist()
    assert len(set(found[:3])) == 1
    assert found[3] != found[0]
