"""Vector tiles of a collection from its published view, and pygeoapi's provider for their descriptions.

Stored shapes in the tile's own coordinates with an index on them, the columns that the law gives to each zoom and no
other, a limit per tile. From z14 on a shape is drawn in full; below, it is thinned to what a screen can show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from psycopg import sql
from pygeoapi.models.provider.base import TileMatrixSetEnum
from pygeoapi.provider.base_mvt import BaseMVTProvider
from pygeoapi.provider.tile import ProviderTileNotFoundError

from statewide.publish.cql2 import column, in_box
from statewide.publish.query import view
from statewide.publish.reading import fetch
from statewide.standard import Table, Tiles, load_standard

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
FULL_DETAIL_ZOOM = 14

_UNITS = 4096
_BUFFER = 64
_PIXEL = 8
"""Units of a tile that fall on one pixel when it is drawn 512 pixels wide."""


@dataclass(frozen=True)
class _Grid:
    """A tile matrix set: which stored shape it shows, and its first level."""

    shape: str
    srid: int
    west: float
    north: float
    first_tile: float
    columns: int

    def envelope(self, zoom: int, row: int, col: int) -> tuple[float, float, float, float]:
        side = self.first_tile / 2**zoom
        west, north = self.west + col * side, self.north - row * side
        return west, north - side, west + side, north


_HALF = 20037508.342789244
GRIDS = {
    "WebMercatorQuad": _Grid("geom_mercator", 3857, -_HALF, _HALF, 2 * _HALF, 1),
    "WorldCRS84Quad": _Grid("geom_lonlat", 4326, -180.0, 90.0, 180.0, 2),
}


def read_tile(
    table: Table, tileset: str, zoom: str, row: str, col: str, chosen: Mapping[str, str] = MappingProxyType({})
) -> bytes | None:
    """The tile as Mapbox Vector Tile 2; empty where nothing lies in it; None where there is no such tile.

    ``chosen`` holds values of the columns by which the law lets a request choose; others are ignored.

    Raises:
        DatabaseUnavailable: the database does not answer, or not in time.
    """
    tiles = _tiles(table)
    grid = GRIDS.get(tileset)
    numbers = [int(text) for text in (zoom, row, col) if text.isascii() and text.isdigit() and len(text) <= 8]
    if tiles is None or grid is None or len(numbers) != 3:
        return None
    z, y, x = numbers
    if not tiles.min_zoom <= z <= tiles.max_zoom or y >= 2**z or x >= grid.columns * 2**z:
        return None
    choice = {name: chosen.get(name, usual) for name, usual in tiles.chosen_by.items()}
    statement, values = _statement(table, tiles, grid, z, grid.envelope(z, y, x), choice)
    return bytes(fetch(statement, values, "tiles")[0][0] or b"")


def tilejson(table: Table, server_url: str, tileset: str) -> dict[str, Any]:
    """TileJSON 3.0 of one tileset."""
    standard, tiles = load_standard(), _tiles(table)
    assert table.collection is not None and tiles is not None
    fields = {name: table.field(name).title for name in tiles.columns_at(tiles.max_zoom)}
    return {
        "tilejson": "3.0.0",
        "name": table.collection.title,
        "description": table.collection.description,
        "attribution": standard.header.publisher,
        "scheme": "xyz",
        "tiles": [_tile_url(table, server_url, tileset, "{z}/{y}/{x}")],
        "minzoom": tiles.min_zoom,
        "maxzoom": tiles.max_zoom,
        "bounds": list(standard.header.extent.bbox),
        "vector_layers": [
            {
                "id": table.collection.id,
                "description": table.collection.description,
                "minzoom": tiles.min_zoom,
                "maxzoom": tiles.max_zoom,
                "fields": fields,
            }
        ],
    }


def _statement(
    table: Table,
    tiles: Tiles,
    grid: _Grid,
    zoom: int,
    envelope: tuple[float, float, float, float],
    choice: Mapping[str, str],
) -> tuple[sql.Composed, list[Any]]:
    west, south, east, north = envelope
    unit = (east - west) / _UNITS
    margin = _BUFFER * unit
    shape = column(grid.shape)
    drawn: sql.Composable = shape
    order: sql.Composable = sql.SQL("")
    where, values = in_box((west - margin, south - margin, east + margin, north + margin), grid.srid)
    for name, value in choice.items():
        where = sql.SQL("{} AND {} = %s").format(where, column(name))
        values.append(value)
    is_area = table.geometry is not None and table.geometry.type == "MultiPolygon"
    if zoom < FULL_DETAIL_ZOOM and is_area:
        width = sql.SQL("(ST_XMax({0}) - ST_XMin({0}))").format(shape)
        height = sql.SQL("(ST_YMax({0}) - ST_YMin({0}))").format(shape)
        where = sql.SQL("{} AND greatest({}, {}) >= %s").format(where, width, height)
        values.append(_PIXEL * unit)
        # Where a tile holds more than its limit, the largest stay.
        order = sql.SQL(" ORDER BY {} * {} DESC").format(width, height)
    if zoom < FULL_DETAIL_ZOOM:
        drawn = sql.SQL("ST_Simplify({}, {}, true)").format(shape, sql.Literal(_PIXEL * unit / 2))
    columns = tiles.columns_at(zoom)
    assert table.collection is not None
    statement = sql.SQL(
        """
        WITH chosen AS (SELECT * FROM {view} AS t WHERE {where}{order} LIMIT %s),
        drawn AS (
            SELECT ST_AsMVTGeom({drawn}, ST_MakeEnvelope(%s, %s, %s, %s, %s), %s, %s, true) AS geom,
                   -- A number of 53 bits from the key: a tile's feature has no other kind of identifier.
                   hashtextextended({key}::text, 0) & 9007199254740991 AS feature_id{columns}
            FROM chosen AS t
        )
        SELECT ST_AsMVT(drawn, %s, %s, 'geom', 'feature_id') FROM drawn WHERE geom IS NOT NULL
        """
    ).format(
        view=view(table),
        where=where,
        order=order,
        drawn=drawn,
        key=column(table.key),
        columns=sql.SQL("").join(sql.SQL(", {}").format(column(name)) for name in columns),
    )
    values += [tiles.limit, west, south, east, north, grid.srid, _UNITS, _BUFFER, table.collection.id, _UNITS]
    return statement, values


def _tiles(table: Table) -> Tiles | None:
    return table.collection.tiles if table.collection else None


def _tile_url(table: Table, server_url: str, tileset: str, where: str) -> str:
    assert table.collection is not None
    return f"{server_url}/collections/{table.collection.id}/tiles/{tileset}/{where}?f=mvt"


class TileProvider(BaseMVTProvider):  # type: ignore[misc]  # pygeoapi is not typed
    """pygeoapi's door to the same tiles; ``data`` of its definition is the name of the table in the law."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.table = load_standard().table(self.data)

    def get_layer(self) -> str:
        """Name of the layer inside of a tile."""
        assert self.table.collection is not None
        return self.table.collection.id

    def get_fields(self) -> dict[str, Any]:
        """Columns that the most detailed tile carries."""
        tiles = _tiles(self.table)
        assert tiles is not None
        return {name: {"title": self.table.field(name).title} for name in tiles.columns_at(tiles.max_zoom)}

    def get_tiles_service(
        self, baseurl: str | None = None, servicepath: str | None = None, dirpath: str | None = None,
        tile_type: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Links to the tiles."""
        self._service_url = servicepath
        links: dict[str, Any] = self.get_tms_links()
        return links

    def get_tiles(
        self, layer: str | None = None, tileset: str | None = None, z: str = "", y: str = "", x: str = "",
        format_: str | None = None,
    ) -> bytes | None:  # fmt: skip
        """One tile; None where it is empty."""
        tile = read_tile(self.table, tileset or "", str(z), str(y), str(x))
        if tile is None:
            raise ProviderTileNotFoundError
        return tile or None

    def get_metadata(
        self, dataset: str, server_url: str, tileset: str = "", metadata_format: str | None = None, **_: object
    ) -> dict[str, Any]:
        """What a tileset is: TileJSON if asked for, else OGC tileset metadata; pygeoapi asks without a format, too."""
        if (metadata_format or "").upper() == "TILEJSON":
            return tilejson(self.table, server_url, tileset)
        scheme = TileMatrixSetEnum[tileset.upper()].value
        described = tilejson(self.table, server_url, tileset)
        metadata = {
            "title": described["name"],
            "description": described["description"],
            "dataType": "vector",
            "accessConstraints": "unclassified",
            "crs": scheme.crs,
            "tileMatrixSetURI": scheme.tileMatrixSetURI,
            "layers": [
                {
                    "id": layer["id"],
                    "dataType": "vector",
                    "minTileMatrix": str(layer["minzoom"]),
                    "maxTileMatrix": str(layer["maxzoom"]),
                    "propertiesSchema": {
                        "type": "object",
                        "properties": {name: {"title": title} for name, title in layer["fields"].items()},
                    },
                }
                for layer in described["vector_layers"]
            ],
            "links": [
                {
                    "rel": "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme",
                    "type": "application/json",
                    "title": f"Definition of {tileset}",
                    "href": f"{server_url}/TileMatrixSets/{tileset}?f=json",
                },
                {
                    "rel": "item",
                    "type": MEDIA_TYPE,
                    "title": f"Vector tiles of {described['name']}",
                    "href": _tile_url(self.table, server_url, tileset, "{tileMatrix}/{tileRow}/{tileCol}"),
                },
                {
                    "rel": "describedby",
                    "type": "application/json",
                    "title": "TileJSON",
                    "href": f"{server_url}/collections/{dataset}/tiles/{tileset}?f=tilejson",
                },
            ],
        }
        # What pygeoapi's HTML page of a tileset reads.
        page = {"id": dataset, "tileset": tileset, "collections_path": metadata["links"][1]["href"]}
        return {**metadata, **page} if (metadata_format or "").upper() == "HTML" else metadata

    def __repr__(self) -> str:
        return f"<TileProvider> {self.data}"
