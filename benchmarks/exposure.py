"""Exposure of a synthetic State: towns of square lots with five layers over them, asked as the API asks.

Rows are made by SQL in a scratch database: lots of one size, addresses on them, assessments, and answers of five layers
whose bands cross each town (flood zones, sea level rise with up to eight steps on a lot, surge, evacuation zones, heat
everywhere). What is measured is the process from its inputs to the JSON text, warm: a town, towns with a share, a drawn
10 km, a region, the whole State; then a town counted live, and how long it takes to count a town and the State anew.

    scripts/bench exposure [--towns 169 --parcels 1250000 --calls 20]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from resilience.exposure_counts import recount
from resilience.exposure_process import Exposure
from statewide.database import connect
from statewide.migrate import initialise
from statewide.publish.reading import close_pools, open_pools
from statewide.settings import Settings, load_settings

TOWN_FT = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towns", type=int, default=169)
    parser.add_argument("--parcels", type=int, default=1_250_000)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--keep", action="store_true", help="leave the database behind, for looking into it")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="statewide-bench-") as scratch,
        _database(Path(scratch) / "home", arguments) as settings,
    ):
        _run(settings, arguments.calls)


def _run(settings: Settings, calls: int) -> None:
    process = Exposure({"name": "exposure"})
    with connect(settings) as connection:
        [(parcels, addresses, towns)] = connection.execute(
            "SELECT (SELECT count(*) FROM cadastral.parcel), (SELECT count(*) FROM addresses.address_point),"
            " (SELECT count(*) FROM statewide.publication WHERE dataset = 'parcel')"
        ).fetchall()
        middle = connection.execute(
            "SELECT ST_X(c), ST_Y(c) FROM (SELECT ST_Centroid(ST_Extent(geom_lonlat)) AS c FROM cadastral.parcel) AS x"
        ).fetchone()
    print(f"{parcels:,} parcels, {addresses:,} addresses, {towns:,} towns, 5 layers")
    lon, lat = middle or (0, 0)
    ten_km = [lon - 0.06, lat - 0.045, lon + 0.06, lat + 0.045]
    open_pools(settings)
    _time("town, live", process, {"town": "90001"}, calls)
    _time("10 km drawn, live", process, {"bbox": ten_km}, calls)
    started = time.perf_counter()
    with connect(settings) as connection:
        done = recount(connection)
    seconds = time.perf_counter() - started
    print(f"{'count anew':28} {len(done):,} towns in {seconds:.1f} s, {seconds / max(1, len(done)):.2f} s each")
    _time("town", process, {"town": "90001"}, calls)
    _time("town, 10 % of flood zones", process, {"town": "90001", "layers": "flood-zones", "min_share": 10}, calls)
    _time("10 km drawn", process, {"bbox": ten_km}, calls)
    _time("ten towns", process, {"town": [str(90001 + town) for town in range(min(10, towns))]}, calls)
    _time("State", process, {"state": True}, calls)
    _time("State, surge up to 2", process, {"state": True, "layers": "storm-surge", "max_value": 2}, calls)
    close_pools()


def _time(what: str, process: Exposure, inputs: dict[str, Any], calls: int) -> None:
    process.execute(inputs)
    seconds = []
    size = 0
    for _ in range(calls):
        started = time.perf_counter()
        size = len(json.dumps(process.execute(inputs)[1]))
        seconds.append(time.perf_counter() - started)
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{what:28} p50 {statistics.median(seconds):7.3f} s  p95 {p95:7.3f} s  {size / 1000:8,.0f} kB", flush=True)


@contextmanager
def _database(home: Path, arguments: argparse.Namespace) -> Iterator[Settings]:
    """A fresh database with the synthetic State in it."""
    owner = load_settings().require_database_url()
    home.mkdir(parents=True)
    shutil.copy(load_settings().home / "secrets.json", home / "secrets.json")
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            settings = Settings(home=home, database_url=make_conninfo(owner, dbname=name))
            initialise(settings)
            started = time.perf_counter()
            _fill(settings, arguments.towns, arguments.parcels // arguments.towns)
            print(f"made in {time.perf_counter() - started:.0f} s", flush=True)
            yield settings
        finally:
            if arguments.keep:
                print(f"kept: {name}")
            else:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _fill(settings: Settings, towns: int, per_town: int) -> None:
    values = {
        "towns": towns,
        "across": max(1, round(towns**0.5)),
        "side": TOWN_FT,
        "lots": max(1, round(per_town**0.5)),
    }
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        # Neither references nor triggers: the rows are made whole.
        connection.execute("SET session_replication_role = replica")
        for statement in _ROWS:
            connection.execute(statement, values)
        connection.execute("VACUUM ANALYZE")


_ROWS = (
    "DELETE FROM statewide.municipality",
    """
    CREATE TEMPORARY TABLE town AS
    SELECT (90000 + n)::text AS fips, n, 700000 + ((n - 1) %% %(across)s) * %(side)s AS x,
        600000 + ((n - 1) / %(across)s) * %(side)s AS y
    FROM generate_series(1, %(towns)s) AS n
    """,
    """
    INSERT INTO statewide.municipality (cousub_fips, town_no, town_name, is_invented, geom, geom_lonlat, geom_mercator)
    SELECT fips, n, 'Town ' || n, true, g, ST_Transform(g, 4326), ST_Transform(g, 3857)
    FROM town, LATERAL (SELECT ST_Multi(ST_MakeEnvelope(x, y, x + %(side)s, y + %(side)s, 6434)) AS g) AS s
    """,
    """
    INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year, rows_published,
        rows_held,
        published_at)
    SELECT fips, d, gen_random_uuid(), gen_random_uuid(), 2025, 1, 0, now()
    FROM town, unnest(ARRAY['parcel', 'assessment', 'address_point']) AS d
    """,
    """
    CREATE TEMPORARY TABLE lot AS
    SELECT fips, md5(fips || '/' || i || '/' || j)::uuid AS uid, i::float8 / %(lots)s AS u, j::float8 / %(lots)s AS v,
        i * 1000 + j AS k,
        ST_Multi(ST_MakeEnvelope(x + i * w, y + j * w, x + (i + 1) * w, y + (j + 1) * w, 6434)) AS g, w * w AS sqft
    FROM town, generate_series(0, %(lots)s - 1) AS i, generate_series(0, %(lots)s - 1) AS j,
        LATERAL (SELECT %(side)s::float8 / %(lots)s AS w) AS s
    """,
    """
    INSERT INTO cadastral.parcel (parcel_uid, cousub_fips, cama_link, cama_link_normalized, parcel_id, location,
        collection_year,
        area_sqft, stack_count, geom, geom_lonlat, geom_mercator, submission_id, row_no, attribute_hash, shape_hash,
        valid_from)
    SELECT uid, fips, fips || '-' || k, fips || '-' || k, k::text, k || ' Elm Street', 2025, sqft, 1, g,
        ST_Transform(g, 4326), ST_SetSRID(g, 3857), uid, k, uid, uid, now()
    FROM lot
    """,
    """
    INSERT INTO cadastral.parcel_value (parcel_uid, cousub_fips, assessment_count, parcels_sharing, counts_here,
        assessed_total_usd, appraised_total_usd, valuation_year, use_class, dwelling_unit_count)
    SELECT uid, fips, 1, 1, true, 210000, 300000, 2021 + n %% 3, CASE WHEN k %% 20 = 0 THEN 'exempt' ELSE
        'residential' END,
        1 + (k %% 9 = 0)::integer
    FROM lot JOIN town USING (fips)
    """,
    """
    INSERT INTO resilience.hazard_layer_version (layer_load_id, layer, layer_version, is_current, loaded_at,
        source_file,
        source_sha256, class_list_version, summary)
    SELECT md5(l)::uuid, l, '2025', true, now(), 'made', repeat('0', 64), '2', '{}'
    FROM unnest(ARRAY['flood-zones', 'sea-level-rise', 'storm-surge', 'evacuation-zones', 'extreme-heat']) AS l
    """,
    """
    CREATE TEMPORARY TABLE said AS
    SELECT uid, fips, l.layer, l.classes, l.ranks, sqft, u, v
    FROM lot, LATERAL (VALUES
        ('flood-zones', CASE
            WHEN u BETWEEN 0.40 AND 0.44 THEN ARRAY['floodway', 'one_percent']
            WHEN u BETWEEN 0.44 AND 0.50 THEN ARRAY['one_percent', 'zero_two_percent']
            WHEN u BETWEEN 0.50 AND 0.55 THEN ARRAY['zero_two_percent', 'minimal']
            WHEN u > 0.97 THEN ARRAY['not_mapped'] ELSE ARRAY['minimal'] END),
        ('sea-level-rise', CASE
            WHEN v < 0.03 THEN ARRAY['slr_0ft', 'slr_0_5ft', 'slr_1ft', 'slr_1_5ft', 'slr_2ft', 'slr_3ft', 'slr_4ft',
            'slr_5ft']
            WHEN v < 0.06 THEN ARRAY['slr_4ft', 'slr_5ft', 'slr_6ft', 'low_3ft']
            WHEN v < 0.10 THEN ARRAY['slr_8ft', 'slr_10ft', 'no_zone'] ELSE ARRAY['no_zone'] END),
        ('storm-surge', CASE
            WHEN v < 0.05 THEN ARRAY['surge_cat_1', 'surge_cat_2', 'surge_cat_3'] WHEN v < 0.10 THEN
            ARRAY['surge_cat_3', 'surge_cat_4']
            WHEN v < 0.15 THEN ARRAY['surge_cat_4', 'no_zone'] ELSE ARRAY['no_zone'] END),
        ('evacuation-zones', CASE WHEN v < 0.06 THEN ARRAY['evacuation_a'] WHEN v < 0.12 THEN ARRAY['evacuation_b']
        ELSE ARRAY['no_zone'] END),
        ('extreme-heat', ARRAY['heat_' || 1 + floor(u * 4.99)::integer])
    ) AS c (layer, classes), LATERAL (SELECT c.layer, c.classes, ARRAY[CASE WHEN c.classes[1] IN ('no_zone') THEN 0
        WHEN c.classes[1] = 'minimal' THEN 10 WHEN c.classes[1] <> 'not_mapped' THEN 90 END] AS ranks) AS l
    """,
    """
    INSERT INTO resilience.parcel_hazard (parcel_hazard_uid, parcel_uid, cousub_fips, layer, worst_class,
        worst_class_rank,
        centroid_class, area_by_class, mapped_share_pct, unknown_share_pct, coverage, sfha_share_pct, layer_version,
        layer_load_id, parcel_submission_id, parcel_shape_hash, computed_at)
    SELECT md5(layer || uid)::uuid, uid, fips, layer, classes[1], ranks[1], classes[array_length(classes, 1)],
        (SELECT jsonb_object_agg(c, round((sqft / array_length(classes, 1))::numeric, 3)) FROM unnest(classes) AS c),
        100, CASE WHEN ranks[1] IS NULL THEN 100 ELSE 0 END, CASE WHEN ranks[1] IS NULL THEN 'not mapped' ELSE
        'mapped' END,
        CASE WHEN 'one_percent' = ANY(classes) THEN 50 ELSE 0 END, '2025', md5(layer)::uuid, uid, uid, now()
    FROM said
    """,
    """
    CREATE TEMPORARY TABLE point AS
    SELECT fips, uid AS parcel, md5(uid::text || m)::uuid AS uid, m, k, ST_PointOnSurface(g) AS p
    FROM lot, generate_series(1, 2) AS m WHERE m = 1 OR k %% 5 = 0
    """,
    """
    INSERT INTO addresses.address_point (address_uid, cousub_fips, st_name, address_label, geom, geom_lonlat,
        geom_mercator,
        submission_id, row_no, attribute_hash, shape_hash, valid_from)
    SELECT uid, fips, 'Elm', k || ' Elm Street', p, ST_Transform(p, 4326), ST_SetSRID(p, 3857), uid, k, uid, uid,
        now() FROM point
    """,
    """
    INSERT INTO addresses.address_link (address_uid, cousub_fips, parcel_uid, parcels_linked, point_attribute_hash,
        point_shape_hash)
    SELECT uid, fips, parcel, 1, uid, uid FROM point
    """,
    """
    INSERT INTO resilience.address_hazard (address_hazard_uid, address_uid, cousub_fips, layer, zone_class,
        zone_class_rank,
        coverage, is_sfha, layer_version, layer_load_id, address_submission_id, address_shape_hash, computed_at)
    SELECT md5(s.layer || p.uid)::uuid, p.uid, p.fips, s.layer, s.classes[array_length(classes, 1)], s.ranks[1],
        'mapped',
        'one_percent' = ANY(classes), '2025', md5(s.layer)::uuid, p.uid, p.uid, now()
    FROM point AS p JOIN said AS s ON s.uid = p.parcel
    """,
    "DROP TABLE lot, said, point, town",
)  # fmt: skip


if __name__ == "__main__":
    main()
