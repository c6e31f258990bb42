"""FEMA's flood zones (NFHL, S_FLD_HAZ_AR): from the delivered file to ``resilience.flood_zone``, version by version.

Zone and subtype together decide the class, by the table in ``schemas/codes/flood_zone_class.yml``. A new version
replaces the old one in one transaction; the old one goes to history. What parcels make of it is in ``parcel_hazard``.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from psycopg import sql

from statewide.conform import conform
from statewide.copying import copy_in
from statewide.crosswalk import propose
from statewide.database import Connection
from statewide.ddl import LONLAT_SRID, shape_srids, stored_columns
from statewide.errors import BadArgument, UnreadableDelivery
from statewide.files import Reading, read
from statewide.findings import FindingLog
from statewide.geometry import Shapes, published_shapes, repair, to_storage
from statewide.replace import LiveColumns, begin_for_town, transaction_time
from statewide.staging import Staged
from statewide.standard import CodeList, Standard

LAYER = "flood-zones"
ZONES_LAYER, PANELS_LAYER = "S_FLD_HAZ_AR", "S_FIRM_PAN"

_NAMESPACE = uuid.UUID("6f9c1a52-6a1e-5b0e-9d1f-0d6a3f2c7b11")
_NOT_POPULATED = -8888.0
"""FEMA writes -9999 (older files -8888) where a number is not populated; no elevation or depth goes so low."""
_FEET = {"feet": 1.0, "foot": 1.0, "ft": 1.0, "meters": 1 / 0.3048, "meter": 1 / 0.3048, "m": 1 / 0.3048}
_SFHA_ZONE = re.compile(r"[AV](E|H|O|R|\d+)?(/.*)?$")
"""The zones that make a special flood hazard area (44 CFR 64.3), for files that lack SFHA_TF."""


@dataclass(frozen=True)
class ZoneClasses:
    """The class list, ready to be asked.

    ``rank`` holds the ranked classes only: the others say that the hazard is not known.
    """

    rank: dict[str, int]
    lines: tuple[tuple[re.Pattern[str], str, str], ...]

    @classmethod
    def of(cls, code_list: CodeList) -> ZoneClasses:
        """From the law."""
        lines = tuple(
            (re.compile(fnmatch.translate(variant), re.IGNORECASE), code.code, variant)
            for code in code_list.codes
            for variant in code.variants
        )
        return cls(code_list.ranks(), lines)

    def classify(self, zone: str | None, subtype: str | None) -> tuple[str, str | None]:
        """Class of a zone and its subtype, and the line of the list that says so.

        A zone that no line fits is `undetermined`, and the line is None.
        """
        written = f"{' '.join((zone or '').split())} | {' '.join((subtype or '').split())}"
        for pattern, code, line in self.lines:
            if pattern.match(written):
                return code, line
        return "undetermined", None


def load_flood_zones(
    connection: Connection,
    standard: Standard,
    path: Path,
    *,
    version: str,
    work: Path,
    coverage: Path | None = None,
    effective_on: dt.date | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make the file the current version of the flood zones, in the caller's transaction.

    Args:
        path: file, folder or zip with the layer S_FLD_HAZ_AR.
        coverage: polygons that the study covers, such as S_FIRM_PAN. Without them only the zones count as mapped.
        work: folder for the isolated reader.

    Returns:
        ``outcome`` (``published``, or ``unchanged`` when this version is current already), counts, and what was odd.

    Raises:
        UnreadableDelivery: the file holds no flood zones that we can place.
        BadArgument: the version was loaded before from other content, or its name will not do.
    """
    longest = standard.table("hazard_layer_version").field("layer_version").max_length or 0
    if not version.strip() or len(version) > longest:
        raise BadArgument(
            f"Name the version (--version) in at most {longest} letters, for example by its effective date."
        )
    say(f"Reading {path.name}")
    reading = _read_layer(path, work, ZONES_LAYER)
    panels = _read_layer(coverage, work, PANELS_LAYER) if coverage else None
    load = _Load(version, effective_on, reading.path_name, reading.sha256, panels.sha256 if panels else None)
    begin_for_town(connection, LAYER, "statewide")
    known = _current_summary(connection, load)
    if known:
        return {"outcome": "unchanged", **known, "written": 0}

    zones, shapes, counts = _zones(standard, reading)
    covered = None if panels is None else _place(standard, panels)[0]
    summary = {
        "layer": LAYER,
        "version": version,
        "effective_on": str(effective_on) if effective_on else None,
        "file": reading.path_name,
        "coverage": _coverage_sentence(panels),
        **counts,
    }
    say(f"Writing {len(zones)} zones")
    _register(connection, standard, load, summary)
    _replace_zones(connection, standard, zones, shapes, load)
    if covered is not None:
        _write_coverage(connection, standard, covered[~shapely.is_missing(covered)], load.load_id)
    return {"outcome": "published", **summary, "written": len(zones)}


@dataclass(frozen=True)
class _Load:
    """What makes one load of a version: the same of all this is the same load."""

    version: str
    effective_on: dt.date | None
    file_name: str
    source_sha256: str
    coverage_sha256: str | None

    @property
    def load_id(self) -> uuid.UUID:
        parts = (LAYER, self.version, self.effective_on, self.source_sha256, self.coverage_sha256)
        return uuid.uuid5(_NAMESPACE, "/".join(map(str, parts)))


def _coverage_sentence(panels: Reading | None) -> str:
    if panels:
        return f"Mapped is what lies in the polygons of {panels.path_name} or in a zone; all else is `not mapped`."
    return "No coverage was given: what lies in no zone of this file is `not mapped`, not free of hazard."


def _current_summary(connection: Connection, load: _Load) -> dict[str, Any] | None:
    """The summary of this very load if it is what is current, None if it must be written."""
    row = connection.execute(
        "SELECT layer_load_id, is_current, summary FROM resilience.hazard_layer_version"
        " WHERE layer = %s AND layer_version = %s",
        [LAYER, load.version],
    ).fetchone()
    if row is None:
        return None
    if row[0] != load.load_id:
        raise BadArgument(
            f"Version {load.version} of {LAYER} was loaded before from other content or with another effective date; "
            "name a new version (--version)."
        )
    return dict(row[2]) if row[1] else None


def _read_layer(path: Path, work: Path, name: str) -> Reading:
    """The layer of that name, else the file's only one.

    Raises:
        UnreadableDelivery: not a map, or a part of it is lost: half a hazard map is worse than last year's.
    """
    try:
        reading = read(path, work=work, layer=name)
    except UnreadableDelivery:
        reading = read(path, work=work)
    short = reading.rows_counted is not None and reading.rows_read < reading.rows_counted
    if short or reading.geometries_lost or reading.broken_rows:
        raise UnreadableDelivery(
            f"{reading.path_name} is damaged: {reading.rows_read:,} of {reading.rows_counted or '?'} rows could be read"
            f" and {reading.geometries_lost:,} shapes are lost; fetch it again."
        )
    return reading


def _zones(standard: Standard, reading: Reading) -> tuple[pa.Table, Shapes, dict[str, Any]]:
    """Rows in the law's columns, their shapes in the storage CRS, and what happened on the way."""
    table = standard.table("flood_zone")
    given = reading.table.drop_columns(["geometry"])
    crosswalk = propose(standard, table, given.drop_columns(["row_no"]))
    if "fld_zone" not in crosswalk.mapping:
        raise UnreadableDelivery(
            f"The layer {reading.layer.name} of {reading.path_name} lacks the column FLD_ZONE; "
            f"it is not FEMA's {ZONES_LAYER}."
        )
    log = FindingLog(standard, "flood_zone", dt.date.today().year, "", "")
    rows = conform(table, crosswalk, _without_placeholders(given), log)
    shapes, held, repaired = _place(standard, reading)
    keep = ~shapely.is_missing(shapes)
    rows, shapes = rows.filter(pa.array(keep)), shapes[keep]
    rows, odd_units = _in_feet(rows)
    rows, classes, odd_zones = _classed(standard, rows)
    counts = {
        "rows": {"read": reading.rows_read, "published": len(rows), "held": len(held)},
        "classes": classes,
        "held": held,
        "repaired": repaired,
        "columns": crosswalk.account(),
        "findings": log.counts(),
        "odd": odd_zones | odd_units,
        "crs": {"epsg": reading.layer.crs_epsg, "how": "declared"},
    }
    return rows, shapes, counts


def _without_placeholders(rows: pa.Table) -> pa.Table:
    for position, column in enumerate(rows.schema):
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = rows.column(position)
            nothing = pc.fill_null(pc.less_equal(values, _NOT_POPULATED), False)
            rows = rows.set_column(position, column.name, pc.if_else(nothing, pa.scalar(None, column.type), values))
    return rows


def _place(standard: Standard, reading: Reading) -> tuple[Shapes, list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes in the storage CRS, None where unusable; the rows held for that, and the repairs with what they moved."""
    epsg = reading.layer.crs_epsg
    if epsg is None or epsg not in {crs.epsg for crs in standard.header.accepted_crs}:
        stated = f"EPSG:{epsg}, which we do not accept" if epsg else "no coordinate system that we know"
        raise UnreadableDelivery(f"The layer {reading.layer.name} of {reading.path_name} states {stated}.")
    given = shapely.from_wkb(reading.table.column("geometry").to_numpy(zero_copy_only=False), on_invalid="ignore")
    mended = repair(to_storage(given, epsg, standard))
    if not shapely.intersects(_state(standard), mended.shapes).any():
        raise UnreadableDelivery(f"No polygon of {reading.path_name} lies in {standard.header.state}.")
    row_no = reading.table.column("row_no").to_numpy()
    lost = shapely.is_missing(mended.shapes)
    held = [{"row": int(row_no[at]), "why": mended.why.get(int(at), "it has no shape")} for at in np.flatnonzero(lost)]
    repaired = [
        {"row": int(row_no[at]), "why": mended.why[int(at)], "moved_sqft": float(mended.moved_sqft[at])}
        for at in np.flatnonzero(mended.repaired)
    ]
    return mended.shapes, held, repaired


def _state(standard: Standard) -> shapely.Polygon:
    """The State's extent in the storage CRS, near enough to tell another state or another unit."""
    in_degrees = np.array([shapely.box(*standard.header.extent.bbox)], dtype=object)
    return to_storage(in_degrees, LONLAT_SRID, standard)[0]


def _in_feet(rows: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Lengths in feet, by the unit beside them; empty, and counted, where the unit is none that we know.

    A length without a unit is in feet, as all of FEMA's of this country are.
    """
    units = rows.column("len_unit").to_pylist()
    factor = np.array([1.0 if unit is None else _FEET.get(unit.casefold(), np.nan) for unit in units])
    unknown = 0
    for name in ("static_bfe_ft", "depth_ft", "bfe_revert_ft", "depth_revert_ft"):
        values = rows.column(name).to_numpy(zero_copy_only=False).astype(float)
        feet = values * factor
        unknown += int((np.isnan(feet) & ~np.isnan(values)).sum())
        rows = rows.set_column(
            rows.column_names.index(name), name, pa.array(np.round(feet, 4), pa.float64(), from_pandas=True)
        )
    return rows, {"lengths in a unit that we do not know, left empty": unknown} if unknown else {}


def _classed(standard: Standard, rows: pa.Table) -> tuple[pa.Table, dict[str, int], dict[str, int]]:
    """The rows with class, rank and, where missing, SFHA; rows per class; and zones that the list does not foresee."""
    known = ZoneClasses.of(standard.code_lists["flood_zone_class"])
    classes, sfha = [], []
    odd: Counter[str] = Counter()
    for zone, subtype, delivered in zip(
        *(rows.column(name).to_pylist() for name in ("fld_zone", "zone_subtype", "is_sfha")), strict=True
    ):
        code, line = known.classify(zone, subtype)
        by_zone = bool(_SFHA_ZONE.match(zone or ""))
        if line is None:
            odd[f"zone {zone or '(empty)'}, none that FEMA defines, classed as {code}"] += 1
        elif line == "X | *":
            odd[f"zone X with the subtype {subtype}, not in our list, classed as {code}"] += 1
        if delivered is not None and delivered != by_zone:
            odd[f"zone {zone} with SFHA_TF {'T' if delivered else 'F'}, taken as delivered"] += 1
        classes.append(code)
        sfha.append(by_zone if delivered is None else delivered)
    rows = rows.set_column(rows.column_names.index("is_sfha"), "is_sfha", pa.array(sfha, pa.bool_()))
    rows = rows.append_column("zone_class", pa.array(classes, pa.string()))
    rows = rows.append_column("zone_class_rank", pa.array([known.rank.get(code) for code in classes], pa.int64()))
    return rows, dict(Counter(classes).most_common()), dict(odd)


def _register(connection: Connection, standard: Standard, load: _Load, summary: dict[str, Any]) -> None:
    connection.execute("UPDATE resilience.hazard_layer_version SET is_current = false WHERE layer = %s", [LAYER])
    connection.execute(
        """
        INSERT INTO resilience.hazard_layer_version
            (layer_load_id, layer, layer_version, is_current, effective_on, loaded_at, source_file, source_sha256,
             coverage_sha256, class_list_version, summary)
        VALUES (%s, %s, %s, true, %s, now(), %s, %s, %s, %s, %s)
        ON CONFLICT (layer_load_id) DO UPDATE
        SET is_current = true, loaded_at = excluded.loaded_at, class_list_version = excluded.class_list_version,
            summary = excluded.summary
        """,
        [
            load.load_id,
            LAYER,
            load.version,
            load.effective_on,
            load.file_name,
            load.source_sha256,
            load.coverage_sha256,
            standard.code_lists["flood_zone_class"].version,
            json.dumps(summary),
        ],
    )


def _replace_zones(connection: Connection, standard: Standard, zones: pa.Table, shapes: Shapes, load: _Load) -> None:
    """The current version to history, this one in its place."""
    table = standard.table("flood_zone")
    constants = {
        "layer_version": pa.repeat(load.version, len(zones)),
        "effective_on": pa.repeat(pa.scalar(load.effective_on, pa.date32()), len(zones)),
        "source_sha256": pa.repeat(load.source_sha256, len(zones)),
    }
    for name, values in constants.items():
        zones = zones.append_column(name, values)
    everything = sql.SQL(", ").join(sql.Identifier(name) for name in stored_columns(table))
    connection.execute(
        sql.SQL(
            "INSERT INTO resilience.flood_zone_history ({0}, valid_to, ended_by)"
            " SELECT {0}, now(), %s FROM resilience.flood_zone"
        ).format(everything),
        [load.load_id],
    )
    connection.execute("DELETE FROM resilience.flood_zone")
    row_no = zones.column("row_no").to_pylist()
    uids = np.frombuffer(b"".join(uuid.uuid5(load.load_id, str(row)).bytes for row in row_no), dtype="V16")
    columns = LiveColumns(standard, Staged(table, zones, shapes), {}, str(load.load_id), transaction_time(connection))
    target = sql.Identifier(table.schema_name, table.name)
    copy_in(connection, target, stored_columns(table), columns.chunks(np.arange(len(zones)), uids))


def _write_coverage(connection: Connection, standard: Standard, shapes: Shapes, load_id: uuid.UUID) -> None:
    connection.execute("DELETE FROM resilience.hazard_coverage WHERE layer_load_id = %s", [load_id])
    lonlat, mercator = published_shapes(shapes, standard)
    srids = shape_srids(standard)
    statement = sql.SQL(
        "INSERT INTO resilience.hazard_coverage (hazard_coverage_uid, layer_load_id, {}) VALUES"
        " (%s, %s, ST_GeomFromWKB(%s, {}), ST_GeomFromWKB(%s, {}), ST_GeomFromWKB(%s, {}))"
    ).format(sql.SQL(", ").join(map(sql.Identifier, srids)), *map(sql.Literal, srids.values()))
    with connection.cursor() as cursor:
        cursor.executemany(
            statement,
            [
                (uuid.uuid5(load_id, f"coverage/{at}"), load_id, plain, degrees, metres)
                for at, (plain, degrees, metres) in enumerate(
                    zip(*(shapely.to_wkb(array) for array in (shapes, lonlat, mercator)), strict=True)
                )
            ],
        )
