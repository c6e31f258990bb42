"""Whatever happens to a town's file: its books balance, as the database has them, or it is refused in one sentence.

Each seed spoils an invented town a few times over, writes it in some format and system, and sends it upon an empty town
or upon a live one, with or without the assessor's records.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import shapely

from cadastral.meeting import submit
from statewide.database import OWNER, connect
from statewide.errors import InputError
from statewide.intake import Request
from statewide.settings import Settings
from tests.cama import records, write_records
from tests.towns import LOT, Fabric, alder, found_alder, write

SEEDS = range(40)
SIZE = 5
SYSTEMS = (6434, 2234, 26956, 4326, 3857, 26918)
WRITTEN = (
    "cadastral.assessment_place", "cadastral.parcel_value", "cadastral.parcel", "cadastral.parcel_history",
    "cadastral.assessment", "cadastral.assessment_history", "statewide.lineage", "statewide.held_row",
    "statewide.finding", "statewide.ledger", "statewide.crosswalk", "statewide.publication", "statewide.submission",
)  # fmt: skip
"""What a delivery writes, each table after those that refer to it."""


# ── what may happen to a file ────────────────────────────────────────────────────────────────────────────────────────


def some(fabric: Fabric, rng: random.Random) -> list[int]:
    """A few rows, often one, sometimes all."""
    if not len(fabric):
        return []
    return sorted(rng.sample(range(len(fabric)), min(len(fabric), rng.choice((1, 1, 3, 8, len(fabric))))))


def drop_rows(fabric: Fabric, rng: random.Random) -> None:
    fabric.drop(some(fabric, rng)[: max(0, len(fabric) - 1)])


def repeat_rows(fabric: Fabric, rng: random.Random) -> None:
    for row in some(fabric, rng):
        fabric.append(fabric.shapes[row], **{name: column[row] for name, column in fabric.columns.items()})


def reorder_rows(fabric: Fabric, rng: random.Random) -> None:
    order = rng.sample(range(len(fabric)), len(fabric))
    fabric.shapes = [fabric.shapes[row] for row in order]
    fabric.columns = {name: [column[row] for row in order] for name, column in fabric.columns.items()}


def blank_cells(fabric: Fabric, rng: random.Random) -> None:
    column = fabric.columns[rng.choice(list(fabric.columns))]
    for row in some(fabric, rng):
        column[row] = None if isinstance(column[row], float) else rng.choice((None, "", "  ", "<Null>"))


def swap_columns(fabric: Fabric, rng: random.Random) -> None:
    texts = [name for name in fabric.columns if name != "Shape_Area"]
    if len(texts) > 1:
        one, other = rng.sample(texts, 2)
        fabric.columns[one], fabric.columns[other] = fabric.columns[other], fabric.columns[one]


def shift_column(fabric: Fabric, rng: random.Random) -> None:
    name = rng.choice(list(fabric.columns))
    fabric.columns[name] = fabric.columns[name][1:] + fabric.columns[name][:1]


def rename_column(fabric: Fabric, rng: random.Random) -> None:
    name = rng.choice(list(fabric.columns))
    other = rng.choice(("X1", "OWNER", "Parcel", "geom2", "row_no", "Größe", name.upper()))
    if other not in fabric.columns:
        fabric.columns[other] = fabric.columns.pop(name)


def drop_column(fabric: Fabric, rng: random.Random) -> None:
    del fabric.columns[rng.choice(list(fabric.columns))]
    fabric.columns.setdefault("Remark", ["x"] * len(fabric))


def flip_bytes(fabric: Fabric, rng: random.Random) -> None:
    column = fabric.columns[rng.choice(list(fabric.columns))]
    for row in some(fabric, rng):
        text = str(column[row] or "0")
        if isinstance(column[row], float):
            column[row] = rng.choice((float("inf"), float("nan"), -1.0, 1e300, 0.0))
        else:
            at = rng.randrange(len(text))
            column[row] = (
                text[:at] + rng.choice(("\t", "\x01", "é", "漢", "'", '"', ";", "%", "{", "\\", "�")) + text[at + 1 :]
            )


def wrong_words(fabric: Fabric, rng: random.Random) -> None:
    column = fabric.columns[rng.choice(list(fabric.columns))]
    word = rng.choice(("0", "n/a", "CONFIDENTIAL", "x" * 300, "-5", "1e999", "2999", "12/31/1899", "99901-", "52350-7"))
    for row in some(fabric, rng):
        if not isinstance(column[row], float):
            column[row] = word


def wrong_years(fabric: Fabric, rng: random.Random) -> None:
    fabric.columns["Collection_year"] = [rng.choice(("2024", "2026", "1899", "25", "", None)) for _ in fabric.shapes]


def other_town(fabric: Fabric, rng: random.Random) -> None:
    column = fabric.columns.setdefault("Town_Name", ["Alder"] * len(fabric))
    for row in some(fabric, rng):
        column[row] = rng.choice(("Birch", "ALDER", "New London", None))


def reshape(change: Callable[[Any, random.Random], Any]) -> Callable[[Fabric, random.Random], None]:
    """Some shapes, changed."""

    def go(fabric: Fabric, rng: random.Random) -> None:
        for row in some(fabric, rng):
            shape = fabric.shapes[row]
            if shape is not None and not shape.is_empty:
                fabric.shapes[row] = change(shape, rng)

    go.__name__ = change.__name__
    return go


def nudged(shape: Any, rng: random.Random) -> Any:
    feet = rng.choice((1e-9, 0.01, 0.04, 0.06, 1.0, 30.0))
    return shapely.transform(shape, lambda xy: xy + feet)


def crossed(shape: Any, rng: random.Random) -> Any:
    west, south, east, north = shape.bounds
    lean = rng.uniform(0.0, 1.0) * (east - west)
    return shapely.Polygon([(west, south), (east, north), (east, south), (west + lean, north)])


def with_a_spike(shape: Any, rng: random.Random) -> Any:
    west, south, east, north = shape.bounds
    far = east + rng.choice((0.5, 50.0, 5e4))
    return shapely.Polygon([(west, south), (east, south), (far, south), (east, south), (east, north), (west, north)])


def with_a_wrong_hole(shape: Any, rng: random.Random) -> Any:
    west, south, *_ = shape.bounds
    out = rng.choice((0.0, 20.0, 3 * LOT))
    hole = shapely.box(west + 20 + out, south + 20, west + 120 + out, south + 120).exterior
    return shapely.Polygon(shapely.box(*shape.bounds).exterior, [hole])


def emptied(shape: Any, rng: random.Random) -> Any:
    return rng.choice((None, shapely.Polygon()))


def enormous(shape: Any, rng: random.Random) -> Any:
    return shapely.transform(shape, lambda xy: (xy - xy.mean(axis=0)) * rng.choice((30.0, 1e4, 1e9)) + xy.mean(axis=0))


def thin(shape: Any, rng: random.Random) -> Any:
    west, south, east, _ = shape.bounds
    return shapely.box(west, south, east, south + rng.choice((1e-12, 1e-6, 0.01, 1.0)))


def far_away(shape: Any, rng: random.Random) -> Any:
    return shapely.transform(shape, lambda xy: xy + rng.choice((3e3, 1e5, -2e6)))


def in_parts(shape: Any, rng: random.Random) -> Any:
    other = shapely.transform(shape, lambda xy: xy + rng.choice((10.0, 2 * LOT)))
    return shapely.MultiPolygon([part for each in (shape, other) for part in shapely.get_parts(each)])


def with_heights(shape: Any, rng: random.Random) -> Any:
    return shapely.force_3d(shape, rng.choice((0.0, 12.5)))


def with_axes_swapped(shape: Any, rng: random.Random) -> Any:
    return shapely.transform(shape, lambda xy: xy[:, ::-1])


def another_kind(shape: Any, rng: random.Random) -> Any:
    return rng.choice((shape.centroid, shape.boundary, shapely.GeometryCollection([shape, shape.centroid])))


SPOILS = (
    drop_rows, repeat_rows, reorder_rows, blank_cells, swap_columns, shift_column, rename_column, drop_column,
    flip_bytes, wrong_words, wrong_years, other_town,
    *map(reshape, (
        nudged, crossed, with_a_spike, with_a_wrong_hole, emptied, enormous, thin, far_away, in_parts, with_heights,
        with_axes_swapped,
    )),
)  # fmt: skip


def spoiled_records(rng: random.Random) -> list[dict[str, Any]]:
    """The assessor's records, spoiled likewise."""
    rows = clean_records()
    sheet = Fabric([None] * len(rows), {name: [row[name] for row in rows] for name in rows[0]})
    sheet.columns |= {name: [value] * len(rows) for name, value in (("Suppressed", "N"), ("Town_Name", "Alder"))}
    for _ in range(rng.randrange(3)):
        rng.choice(
            (drop_rows, repeat_rows, reorder_rows, blank_cells, swap_columns, shift_column, wrong_words, other_town)
        )(sheet, rng)
    return [{name: column[row] for name, column in sheet.columns.items()} for row in range(len(sheet))]


# ── what must be true of it ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def alders_settings(shared_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A database in which Alder is live, and a copy of all that was written for it."""
    found_alder(shared_settings)
    folder = tmp_path_factory.mktemp("alder")
    cama = write_records(records(*clean_records()), folder / "cama.csv")
    request = Request(write(alder(SIZE, SIZE), folder), "Alder", 2025, beside={"assessment": cama})
    assert submit(shared_settings, request, lambda message: None).summary["outcome"] == "published"
    with connect(shared_settings, OWNER) as connection:
        connection.execute("CREATE SCHEMA kept")
        for name in WRITTEN:
            connection.execute(f"CREATE TABLE kept.{name.partition('.')[2]} AS TABLE {name}".encode())
    return shared_settings


def clean_records() -> list[dict[str, Any]]:
    return [
        {"Link": f"{lot // SIZE + 1}-{lot % SIZE + 1}", "PID": str(lot), "Location": f"{lot + 1} MAIN ST"}
        for lot in range(SIZE * SIZE)
    ]


@pytest.fixture
def empty_or_live(alders_settings: Settings) -> Iterator[Callable[[bool], Settings]]:
    """The same database, with Alder live or with nothing in it."""

    def go(live: bool) -> Settings:
        with connect(alders_settings, OWNER) as connection:
            connection.execute(f"TRUNCATE {', '.join(WRITTEN)} CASCADE".encode())
            for name in reversed(WRITTEN) if live else ():
                connection.execute(
                    f"INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE kept.{name.partition('.')[2]}".encode()
                )
        return alders_settings

    yield go


def written(fabric: Fabric, folder: Path, kind: str, epsg: int | None) -> Path:
    """The file; as a GeoPackage where the format has no way to say what the fabric says."""
    try:
        return write(fabric, folder, kind=kind, epsg=epsg)
    except pyogrio.errors.FeatureError:
        return write(fabric, folder / "again", epsg=epsg or 6434)


def rows_of(settings: Settings, query: str) -> list[Any]:
    with connect(settings, OWNER) as connection:
        return connection.execute(query.encode()).fetchall()


def everything_live(settings: Settings) -> list[Any]:
    return [
        rows_of(settings, f"SELECT t::text FROM cadastral.{name} AS t ORDER BY 1") for name in ("parcel", "assessment")
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_file_balances_or_is_refused(seed: int, empty_or_live: Callable[[bool], Settings], tmp_path: Path) -> None:
    rng = random.Random(seed)
    settings = empty_or_live(rng.random() < 0.6)
    fabric = alder(SIZE, SIZE)
    kind = rng.choice(("geopackage", "geopackage", "shapefile", "geojson", "filegdb"))
    spoils = [rng.choice(SPOILS) for _ in range(rng.choice((1, 1, 2, 3, 4)))]
    if kind == "geopackage" and rng.random() < 0.2:  # the others refuse to be written so
        spoils.append(reshape(another_kind))
    for spoil in spoils:
        spoil(fabric, rng)
    rows = spoiled_records(rng) if rng.random() < 0.4 else None
    beside = {"assessment": write_records(records(*rows), tmp_path / "cama.csv")} if rows else {}
    file = written(fabric, tmp_path, kind, rng.choice((*SYSTEMS, None if kind == "shapefile" else 6434)))
    accept = {"COUNT_DROP": "so it is", "MOVED": "so it is", "FIELD_LOST": "so it is"} if rng.random() < 0.5 else {}
    before = everything_live(settings)
    try:
        summary = submit(
            settings, Request(file, "Alder", 2025, beside=beside, accept=accept), lambda message: None
        ).summary
    except InputError as error:
        assert "\n" not in str(error)
        assert 20 < len(str(error)) < 400
        assert everything_live(settings) == before
        return
    parts = {"parcel": summary} | ({"assessment": summary["assessment"]} if rows else {})
    delivered = {"parcel": len(fabric), "assessment": len(rows or ())}
    for name, part in parts.items():
        balances(settings, name, part, delivered[name], sum(map(len, before[:1] if name == "parcel" else before[1:])))
    if summary["blocked_by"]:
        assert everything_live(settings) == before
        sentences = rows_of(settings, "SELECT sentence FROM statewide.finding WHERE severity = 'BLOCK'")
        assert sentences
        assert all(sentence and "\n" not in sentence for (sentence,) in sentences)


def balances(settings: Settings, name: str, part: dict[str, Any], delivered: int, live_before: int) -> None:
    """The ledger as the database has it, beside the rows as the database has them."""
    ((read, published, held, ignored, area, area_published, area_held, repaired),) = rows_of(
        settings,
        "SELECT rows_read, rows_published, rows_held, rows_ignored, area_read_sqft, area_published_sqft,"
        f" area_held_sqft, area_repaired_sqft FROM statewide.ledger WHERE submission_id = '{part['submission']}'",
    )
    assert read == delivered == published + held + ignored
    assert area == pytest.approx(area_published + area_held + repaired, abs=0.01)
    if part["blocked_by"]:
        assert (published, held, area_published) == (0, read - ignored, 0.0)
        return
    rows = part["rows"]
    shape = "ST_Area(geom)" if name == "parcel" else "0"
    ((count, total),) = rows_of(
        settings,
        f"SELECT count(*), coalesce(sum({shape}), 0) FROM cadastral.{name}",
    )
    assert count == published + rows["kept_live"]
    assert published == rows["added"] + rows["changed"] + rows["unchanged"]
    assert live_before == rows["removed"] + rows["changed"] + rows["unchanged"] + rows["kept_live"]
    ended = rows_of(settings, f"SELECT count(*) FROM cadastral.{name}_history WHERE ended_by = '{part['submission']}'")
    assert ended == [(rows["removed"] + rows["changed"],)]
    query = f"SELECT count(*) FROM statewide.held_row WHERE submission_id = '{part['submission']}'"
    assert rows_of(settings, query) == [(held,)]
    if not rows["kept_live"]:  # a row within the tolerance keeps the shape that it has
        tolerance = 0.05 * 5 * LOT * rows["within_tolerance"] + 1e-9 * area + 0.01
        assert total == pytest.approx(area_published, abs=tolerance)
    if name == "parcel":
        assert rows_of(settings, "SELECT count(*) FROM cadastral.parcel WHERE NOT ST_IsValid(geom)") == [(0,)]
