"""A delivered file of a hazard layer → rows in the law's columns and valid shapes in the storage CRS, with classes.

By the layer's file in ``resilience/sources`` alone. What is odd is counted here and said by ``layers``; nothing here
knows the database.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from resilience.flood import ZoneClasses, oddities, with_sfha
from resilience.layer_sources import ClassRule, LayerSource, class_codes
from statewide.conform import ARROW_TYPES, conform, listed, with_column
from statewide.crosswalk import Crosswalk, propose
from statewide.crs import settle_crs
from statewide.ddl import LONLAT_SRID
from statewide.errors import UnreadableDelivery
from statewide.files import Layer, Limits, Reading, read, read_layers
from statewide.findings import FindingLog, plain_count, plain_share
from statewide.geometry import Booleans, Repaired, Shapes, accepted_title, repair, to_storage
from statewide.reading_limits import MIB
from statewide.receiving import printable
from statewide.standard import Code, Standard, Table

LIMITS = Limits(
    delivery_bytes=8192 * MIB,
    unpacked_bytes=32768 * MIB,
    memory_bytes=6144 * MIB,
    address_bytes=16384 * MIB,
    output_bytes=32768 * MIB,
    cpu_seconds=1800,
    wall_seconds=3600,
)
"""A layer of the whole State is larger than any town's file, and its maker is no stranger."""
_FEET = {"feet": 1.0, "foot": 1.0, "ft": 1.0, "meters": 1 / 0.3048, "meter": 1 / 0.3048, "m": 1 / 0.3048}


@dataclass
class Noticed:
    """What is odd in the rows: counts by what there is to say."""

    placeholders: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Column and value."""
    without_class: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Field and value."""
    odd: Counter[str] = field(default_factory=Counter)
    datums: Counter[str | None] = field(default_factory=Counter)
    """Of rows with a height."""

    def add(self, other: Noticed) -> None:
        """Count the other's too."""
        for name in vars(self):
            getattr(self, name).update(getattr(other, name))


@dataclass(frozen=True)
class Placed:
    """The shapes of a reading in the storage CRS, None where unusable. `held` says why, `repaired` what was moved."""

    shapes: Shapes
    held: list[dict[str, Any]]
    repaired: list[dict[str, Any]]
    crs: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One layer of one file. `rows` and `shapes` are what would be published, with `row_no` counted from 1."""

    file: str
    sha256: str
    layer: str
    read: int
    rows: pa.Table
    shapes: Shapes
    placed: Placed
    held: list[dict[str, Any]]
    columns: dict[str, dict[str, str]]
    noticed: Noticed


@dataclass(frozen=True)
class Delivered:
    """What one file holds of the layer: its rows by delivered layer, and the polygons that say what is mapped."""

    readings: list[Reading]
    coverage: list[Reading]


def read_delivery(standard: Standard, source: LayerSource, path: Path, work: Path) -> Delivered:
    """The layers of a file that go by the source's names, else those that have its columns, else its only one.

    Raises:
        UnreadableDelivery: not a map, or a part of it is lost: half a hazard map is worse than last year's.
    """

    def pick(layers: Sequence[Layer]) -> list[str]:
        covering = [layer for layer in layers if _covers(source, layer)]
        others = [layer for layer in layers if layer.geometry_type and layer not in covering]
        ours = [layer for layer in others if _said_by_name(source, layer.name) is not None]
        ours = ours or [layer for layer in others if _has_columns(standard, source, layer)]
        if not ours and len(others) > 1:
            names = ", ".join(layer.name for layer in others)
            raise UnreadableDelivery(f"No layer of {printable(path.name)} is known as {source.title}; it has: {names}.")
        return [layer.name for layer in (*(ours or others), *covering)] if others else []

    readings = read_layers(path, work=work, pick=pick, limits=LIMITS)
    for reading in readings:
        _require_whole(reading)
    covering = [reading for reading in readings if _covers(source, reading.layer)]
    zones = [reading for reading in readings if not _covers(source, reading.layer)]
    return Delivered(zones, covering) if zones else Delivered(readings, [])


def read_coverage(source: LayerSource, path: Path, work: Path) -> Reading:
    """The polygons of a file that say what is mapped: the layer of that name, else the file's only one.

    Raises:
        UnreadableDelivery: as `read_delivery`.
    """

    def pick(layers: Sequence[Layer]) -> list[str]:
        found = [layer for layer in layers if _covers(source, layer)] or [it for it in layers if it.geometry_type]
        if len(found) > 1:
            names = ", ".join(layer.name for layer in found)
            raise UnreadableDelivery(f"Several layers of {printable(path.name)} could say what is mapped: {names}.")
        return [layer.name for layer in found]

    [reading] = read_layers(path, work=work, pick=pick, limits=LIMITS)
    _require_whole(reading)
    return reading


def read_points(path: Path, work: Path) -> Reading:
    """The points of a file.

    Raises:
        UnreadableDelivery: there are none, or a part of it is lost.
    """
    reading = read(path, work=work, geometry="Point")
    _require_whole(reading)
    return reading


def place(
    log: FindingLog,
    reading: Reading,
    live: Callable[[], Shapes | None] = lambda: None,
    mend: Callable[[Shapes, float], Repaired] = repair,
) -> Placed | None:
    """The shapes where they belong, or None, with a finding, where nobody can tell where that is.

    Args:
        live: boxes of the live version, in the storage CRS; asked only where there is something to compare.
        mend: how shapes are made usable, and how wide one may be.
    """
    standard = log.standard
    given = shapely.from_wkb(reading.table.column("geometry").to_numpy(zero_copy_only=False), on_invalid="ignore")
    state = state_box(standard)
    if not (~shapely.is_missing(given)).any():
        return Placed(given, _without_shape(reading), [], {"epsg": reading.layer.crs_epsg, "how": "declared"})
    crs = settle_crs(
        given,
        reading.layer.crs_epsg,
        reading.layer.crs_wkt,
        state,
        standard,
        live=live(),
        by_name=reading.layer.crs_by_name,
    )
    what = f"{reading.path_name}, layer {reading.layer.name},"
    if crs.epsg is None:
        log.add("LAYER_CRS_UNKNOWN", file=what, why=crs.why)
        return None
    if crs.how == "assumed":
        rivals = "".join(f" It may as well be EPSG:{it.epsg}, {it.feet:,.0f} ft away." for it in crs.rivals)
        why = (
            f"the file does not say its coordinate system. In EPSG:{crs.epsg} ({accepted_title(crs.epsg, standard)})"
            f" {plain_share(crs.share_in_town)} of its shapes lie in {standard.header.state}.{rivals}"
        )
        log.add("LAYER_CRS_DOUBTFUL", file=what, why=why)
    if crs.shift and crs.shift.feet >= log.check("LAYER_CRS_DOUBTFUL").limits["feet_min"]:
        why = f"{plain_share(crs.shift.share)} of its shapes lie {crs.shift} of where they are live.{crs.shift_hint}"
        log.add("LAYER_CRS_DOUBTFUL", file=what, why=why)
    mended = mend(to_storage(given, crs.epsg, standard), log.check("LAYER_SHAPES_LOST").limits["width_ft_max"])
    row_no = reading.table.column("row_no").to_numpy()
    held = [
        {"layer": reading.layer.name, "row": int(row_no[at]), "why": mended.why.get(int(at), "it has no shape")}
        for at in np.flatnonzero(shapely.is_missing(mended.shapes))
    ]
    repaired = [
        {
            "layer": reading.layer.name,
            "row": int(row_no[at]),
            "why": mended.why[int(at)],
            "moved_sqft": float(mended.moved_sqft[at]),
        }
        for at in np.flatnonzero(mended.repaired)
    ]
    # Land that a zone covers and nobody can draw; a line or a point covers none.
    with np.errstate(all="ignore"):
        lost = np.flatnonzero(mended.unusable & (shapely.get_dimensions(given) == 2) & ~(shapely.area(given) == 0))
    if len(lost) and mend is repair:
        why = mended.why.get(int(lost[0]), "")
        log.add("LAYER_SHAPES_LOST", rows=plain_count(len(lost), "row"), file=what, row=int(row_no[lost[0]]), why=why)
    usable = mended.shapes[~shapely.is_missing(mended.shapes)]
    if len(usable) and not shapely.intersects(state, usable).any():
        log.add("LAYER_OUTSIDE_STATE", file=what, state=standard.header.state, epsg=crs.epsg, hint=crs.hint)
    return Placed(mended.shapes, held, repaired, {"epsg": crs.epsg, "how": crs.how})


def _without_shape(reading: Reading) -> list[dict[str, Any]]:
    rows = reading.table.column("row_no").to_pylist()
    return [{"layer": reading.layer.name, "row": row, "why": "it has no shape"} for row in rows]


def state_box(standard: Standard) -> shapely.Polygon:
    """The State's extent in the storage CRS, near enough to tell another state or another unit."""
    in_degrees = np.array([shapely.box(*standard.header.extent.bbox)], dtype=object)
    return to_storage(in_degrees, LONLAT_SRID, standard)[0]


def to_part(
    log: FindingLog, source: LayerSource, reading: Reading, datum: str | None, live: Callable[[], Shapes | None]
) -> Part | None:
    """A delivered layer's rows under the law's names with their classes; None, with a finding, if it lies nowhere.

    Args:
        datum: what heights are above where a row does not say.
        live: as in `place`.

    Raises:
        UnreadableDelivery: the layer lacks what makes it this one.
    """
    standard, table = log.standard, log.standard.table(source.table)
    given = reading.table.drop_columns(["geometry"])
    crosswalk = propose(standard, table, given.drop_columns(["row_no"]))
    by_name = _said_by_name(source, reading.layer.name) or {}
    missing = [name for name in source.required if name not in crosswalk.mapping and name not in by_name]
    if missing:
        spellings = (table.field(name).synonyms[:1] or (name,) for name in missing)
        names = ", ".join(spelling for (spelling,) in spellings)
        raise UnreadableDelivery(
            f"The layer {reading.layer.name} of {reading.path_name} lacks the column {names}; it is not {source.title}."
        )
    noticed = Noticed()
    rows = conform(table, crosswalk, _without_placeholders(source, crosswalk, given, noticed), log)
    rows = _with_codes(standard, table, _with_values(table, rows, by_name))
    placed = place(log, reading, live)
    if placed is None:
        return None
    rows = _in_feet(source, rows, noticed)
    rows = _with_datum(source, rows, datum, noticed)
    rows, without = _with_classes(standard, source, rows, noticed)
    usable = ~shapely.is_missing(placed.shapes)
    row_no = rows.column("row_no").to_numpy()
    why = "it has no class of the layer"
    held = [
        {"layer": reading.layer.name, "row": int(row_no[at]), "why": why} for at in np.flatnonzero(usable & without)
    ]
    keep = usable & ~without
    return Part(
        file=reading.path_name,
        sha256=reading.sha256,
        layer=reading.layer.name,
        read=reading.rows_read,
        rows=rows.filter(pa.array(keep)),
        shapes=placed.shapes[keep],
        placed=placed,
        held=[*placed.held, *held],
        columns=crosswalk.account(),
        noticed=noticed,
    )


def file_date(source: LayerSource, name: str) -> dt.date | None:
    """The date in a file's name, where the layer's maker writes one there."""
    found = re.search(source.file_date, name) if source.file_date else None
    try:
        return dt.datetime.strptime(found[1], "%Y%m%d").date() if found else None
    except ValueError:
        return None


def _said_by_name(source: LayerSource, name: str) -> dict[str, str] | None:
    """Field → value as the name of a delivered layer says, None if it is none of the source's."""
    said = (known.read(name.rpartition(".")[2]) for known in source.names)
    return next((values for values in said if values is not None), None)


def _covers(source: LayerSource, layer: Layer) -> bool:
    return layer.name.casefold() in {name.casefold() for name in source.coverage_names}


def _has_columns(standard: Standard, source: LayerSource, layer: Layer) -> bool:
    """Whether a delivered layer has columns for all that makes it this one."""
    empty = pa.table({column.name: pa.nulls(0, pa.string()) for column in layer.fields})
    return set(source.required) <= set(propose(standard, standard.table(source.table), empty).mapping)


def _require_whole(reading: Reading) -> None:
    short = reading.rows_counted is not None and reading.rows_read < reading.rows_counted
    if short or reading.geometries_lost or reading.broken_rows:
        raise UnreadableDelivery(
            f"{reading.path_name} is damaged: {reading.rows_read:,} of {reading.rows_counted or '?'} rows could be read"
            f" and {reading.geometries_lost:,} shapes are lost; fetch it again."
        )


def _without_placeholders(source: LayerSource, crosswalk: Crosswalk, rows: pa.Table, noticed: Noticed) -> pa.Table:
    """Rows with nothing where the maker wrote a number or a word for nothing."""
    texts = {text.casefold() for text in source.nothing}
    lowest = source.nothing_at_or_below
    for name in crosswalk.mapping.values():
        encoded = rows.column(name).combine_chunks().dictionary_encode()
        kept = []
        counts = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=len(encoded.dictionary))
        for value, count in zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True):
            nothing = _stands_for_nothing(value, texts, lowest)
            kept.append(None if nothing else value)
            if nothing:
                noticed.placeholders[name, str(value)] += count
        if None in kept:
            rows = with_column(rows, name, pa.array(kept, encoded.dictionary.type).take(encoded.indices))
    return rows


def _stands_for_nothing(value: object, texts: set[str], lowest: float | None) -> bool:
    if isinstance(value, str):
        text = value.strip().casefold()
        if text in texts:
            return True
        value = float(text) if re.fullmatch(r"-\d+(\.\d*)?", text) else None
    return lowest is not None and isinstance(value, int | float) and value <= lowest


def _with_values(table: Table, rows: pa.Table, said: dict[str, str]) -> pa.Table:
    """The rows with what the name of their layer says of them all."""
    for name, text in said.items():
        kind = table.field(name).type
        value = float(text.replace("_", ".")) if kind in ("number", "integer") else text
        rows = with_column(rows, name, pa.repeat(pa.scalar(value).cast(ARROW_TYPES[kind]), len(rows)))
    return rows


def _with_codes(standard: Standard, table: Table, rows: pa.Table) -> pa.Table:
    """The rows with the words of a code list as its codes."""
    for each in table.town_fields:
        if each.codes:
            words = rows.column(each.name).combine_chunks()
            rows = with_column(rows, each.name, listed(standard.code_lists[each.codes], words))
    return rows


def _in_feet(source: LayerSource, rows: pa.Table, noticed: Noticed) -> pa.Table:
    """Lengths in feet, by the unit beside them; empty, and counted, where the unit is none that we know.

    A length without a unit is in feet, as all of FEMA's of this country are.
    """
    if source.lengths is None:
        return rows
    units = rows.column(source.lengths.unit_field).to_pylist()
    factor = np.array([1.0 if unit is None else _FEET.get(unit.casefold(), np.nan) for unit in units])
    for name in source.lengths.fields:
        values = rows.column(name).to_numpy(zero_copy_only=False).astype(float)
        feet = values * factor
        noticed.odd["lengths in a unit that we do not know, left empty"] += int(
            (np.isnan(feet) & ~np.isnan(values)).sum()
        )
        rows = with_column(rows, name, pa.array(np.round(feet, 4), pa.float64(), from_pandas=True))
    noticed.odd = +noticed.odd
    return rows


def _with_datum(source: LayerSource, rows: pa.Table, datum: str | None, noticed: Noticed) -> pa.Table:
    """The rows with the stated datum where they have a height and do not say above what; counts of all that have one.

    Where all of the layer is above one datum, so is every row that does not say otherwise.
    """
    if source.datum.field is None:
        return rows
    said = rows.column(source.datum.field).combine_chunks()
    if source.datum.heights:
        high = np.any([rows.column(name).is_valid().to_numpy() for name in source.datum.heights], axis=0)
    else:
        high = np.ones(len(rows), dtype=bool)
    stated = pa.scalar(datum or source.datum.maker, pa.string())
    if stated.is_valid:
        said = pc.if_else(pa.array(high), pc.coalesce(said, stated), said)
    noticed.datums.update(said.filter(pa.array(high)).to_pylist())
    return with_column(rows, source.datum.field, said)


def _with_classes(
    standard: Standard, source: LayerSource, rows: pa.Table, noticed: Noticed
) -> tuple[pa.Table, Booleans]:
    """The rows with class, rank and what is derived, and which of them have no class."""
    class_of = classifier(standard, source)
    named = source.classes[0].fields[0]
    names = list(dict.fromkeys(name for rule in source.classes for name in (*rule.when, *rule.fields)))
    known: dict[tuple[Any, ...], str | None] = {}
    classes = []
    for values in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        if values not in known:
            known[values] = class_of(dict(zip(names, values, strict=True)))
        found = known[values]
        if found is None:
            value = values[names.index(named)]
            noticed.without_class[named, "nothing" if value is None else str(value)] += 1
        classes.append(found)
    if source.rules == "nfhl":
        zones = ZoneClasses.of(class_codes(standard.code_lists["hazard_class"], source.layer))
        noticed.odd.update(oddities(rows, zones, source.otherwise))
        rows = with_sfha(rows)
    ranks = standard.code_lists["hazard_class"].ranks()
    rows = with_column(rows, "zone_class", pa.array(classes, pa.string()))
    rows = with_column(rows, "zone_class_rank", pa.array([ranks.get(code or "") for code in classes], pa.int64()))
    return rows, np.array([code is None for code in classes], dtype=bool)


def classifier(standard: Standard, source: LayerSource) -> Callable[[Mapping[str, Any]], str | None]:
    """What gives a row (field → value) its class, None for none."""
    codes = class_codes(standard.code_lists["hazard_class"], source.layer)
    rules = [(rule, _reader(rule, codes)) for rule in source.classes]

    def class_of(row: Mapping[str, Any]) -> str | None:
        for rule, read_class in rules:
            if all(row[name] == value for name, value in rule.when.items()):
                return read_class(*(row[name] for name in rule.fields)) or source.otherwise
        return source.otherwise

    return class_of


def _reader(rule: ClassRule, codes: Sequence[Code]) -> Callable[..., str | None]:
    fitting = [code for code in codes if fnmatch.fnmatchcase(code.code, rule.codes)]
    if rule.by == "variants":
        zones = ZoneClasses.of(fitting)
        return lambda *values: zones.classify(*values)[0]
    if rule.by == "value":
        by_value = {code.value: code.code for code in fitting}
        return lambda value: None if value is None else by_value.get(float(value))
    by_word = {_plain(word): code for word, code in rule.words.items()}
    return lambda value: by_word.get(_plain(str(value)))


def _plain(word: str) -> str:
    return " ".join(word.casefold().split())
