"""The QGIS project at `/qgis/statewide.qgs`, wired to this server, and the style of each layer at `/styles`.

Every layer stands in it twice: as vector tiles, which draw at once, and as rows (OGC API Features) with titles and
codes in words, to be looked at, filtered and saved.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from psycopg import sql
from pyproj import CRS, Transformer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from statewide.errors import InputError, StatewideError
from statewide.publish.map_styles import maplibre_style, sld
from statewide.publish.qgis_styles import field_words, row_style, scale_at, tile_style
from statewide.publish.reading import fetch
from statewide.publish.routes import problem
from statewide.publish.symbology import LayerStyle, layer_style, layer_styles
from statewide.standard import Standard, Table

_QGIS = "3.22.16"
_DOCTYPE = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_PAGE_SIZE = 1000
_ROWS_FROM_ZOOM = 13
"""Rows are drawn from here on: at smaller scales a view would ask for a whole town, and the tiles show it."""
_GROUPS = {
    "statewide": "Towns and regions",
    "addresses": "Addresses",
    "cadastral": "Parcels",
    "resilience": "Hazards and imagery",
}
_SPARSE = ("statewide",)
"""Schemas whose rows are few enough for every scale."""

_TOWNS = sql.SQL(
    "SELECT town_name, ST_XMin(geom_lonlat), ST_YMin(geom_lonlat), ST_XMax(geom_lonlat), ST_YMax(geom_lonlat)"
    " FROM published.towns WHERE geom_lonlat IS NOT NULL ORDER BY town_name"
)
_Bookmark = tuple[str, float, float, float, float]


def style_routes(standard: Standard, base_url: str) -> list[BaseRoute]:
    """Routes of the project and of the styles."""

    async def project(_: Request) -> Response:
        try:
            towns = await run_in_threadpool(fetch, _TOWNS, [])
        except StatewideError as error:
            return problem(503, "ServerBusy", str(error))
        headers = {"Content-Disposition": 'attachment; filename="statewide.qgs"'}
        return Response(project_xml(standard, base_url, towns), 200, headers, "application/x-qgis-project")

    async def style(request: Request) -> Response:
        write = _FORMS.get(request.path_params["form"])
        try:
            chosen = layer_style(standard, request.path_params["collection"], dict(request.query_params))
        except KeyError:
            return problem(404, "NotFound", "There is no collection of that name that is drawn.")
        except InputError as error:
            return problem(400, "InvalidParameterValue", str(error))
        if write is None:
            return problem(404, "NotFound", f"A style comes as {', '.join(_FORMS)}.")
        return write(standard, base_url, chosen)

    return [Route("/qgis/statewide.qgs", project), Route("/styles/{collection}.{form}", style)]


def qml(standard: Standard, style: LayerStyle) -> bytes:
    """The style of a layer of rows, as QGIS loads it from a file."""
    root = Element(
        "qgis", version=_QGIS, styleCategories="Symbology|Labeling|Fields|Forms|Rendering", labelsEnabled="1"
    )
    row_style(root, standard, style)
    return _document(root)


def project_xml(standard: Standard, base_url: str, towns: list[_Bookmark]) -> bytes:
    """The whole project."""
    root = Element("qgis", projectname=standard.header.title, version=_QGIS)
    SubElement(root, "title").text = standard.header.title
    _crs(SubElement(root, "projectCrs"), "EPSG:3857")
    properties = SubElement(SubElement(root, "properties"), "SpatialRefSys")
    # Without it QGIS does not read the line above.
    SubElement(properties, "ProjectionsEnabled", type="int").text = "1"
    tree = SubElement(root, "layer-tree-group")
    layers, canvas = Element("projectlayers"), Element("mapcanvas", name="theMapCanvas")
    styled = layer_styles(standard)
    for schema, name in _GROUPS.items():
        group = _group(tree, name)
        for style in _uppermost_first(style for style in styled if style.table.schema_name == schema):
            _tiles_layer(layers, group, base_url, style)
        rows = _group(group, f"{name}: rows", checked=False)
        drawn = {style.collection_id: style for style in styled}
        for table in standard.published_tables:
            if table.schema_name == schema and table.collection:
                _rows_layer(layers, rows, standard, base_url, table, drawn.get(table.collection.id))
    SubElement(canvas, "units").text = "meters"
    west, south, east, north = _mercator(standard.header.extent.bbox)
    extent = SubElement(canvas, "extent")
    for tag, value in (("xmin", west), ("ymin", south), ("xmax", east), ("ymax", north)):
        SubElement(extent, tag).text = f"{value:.2f}"
    _crs(SubElement(canvas, "destinationsrs"), "EPSG:3857")
    root.append(canvas)
    root.append(layers)
    bookmarks = SubElement(root, "Bookmarks")
    for town, *box in towns:
        _bookmark(bookmarks, town, *box)
    return _document(root)


def _tiles_layer(layers: Element, group: Element, base_url: str, style: LayerStyle) -> None:
    first, last = style.zooms
    # The address stands in a query string of QGIS's own, so its own signs are written out.
    url = style.tiles_url(base_url).replace("&", "%26").replace("=", "%3D")
    layer = _maplayer(
        layers,
        group,
        kind="vector-tile",
        identifier=f"tiles_of_{style.identifier}",
        title=style.title,
        source=f"type=xyz&url={url}&zmin={first}&zmax={last}",
        provider="vectortile",
        crs="EPSG:3857",
        checked=style.drawn.shown,
    )
    tile_style(layer, style)


def _rows_layer(
    layers: Element, group: Element, standard: Standard, base_url: str, table: Table, style: LayerStyle | None
) -> None:
    assert table.collection is not None
    source = (
        f" pagingEnabled='true' pageSize='{_PAGE_SIZE}' restrictToRequestBBOX='1' "
        f"typename='{table.collection.id}' url='{base_url}'"
    )
    layer = _maplayer(
        layers,
        group,
        kind="vector",
        identifier=f"rows_of_{table.collection.id}",
        title=f"{table.collection.title} (rows)",
        source=source,
        provider="OAPIF",
        crs="OGC:CRS84",
        checked=False,
    )
    layer.set("labelsEnabled", "1")
    if table.schema_name not in _SPARSE:
        layer.set("hasScaleBasedVisibilityFlag", "1")
        layer.set("minScale", f"{scale_at(_ROWS_FROM_ZOOM):.0f}")
        layer.set("maxScale", "0")
    if style:
        row_style(layer, standard, style)
    else:
        field_words(layer, standard, table)


def _maplayer(
    layers: Element,
    group: Element,
    *,
    kind: str,
    identifier: str,
    title: str,
    source: str,
    provider: str,
    crs: str,
    checked: bool,
) -> Element:
    """A layer and its place in the tree. QGIS makes up another identifier where one has ten characters or fewer."""
    SubElement(
        group,
        "layer-tree-layer",
        id=identifier,
        name=title,
        source=source,
        providerKey=provider,
        checked=_checked(checked),
        expanded="0",
    )
    layer = SubElement(layers, "maplayer", type=kind)
    SubElement(layer, "id").text = identifier
    SubElement(layer, "datasource").text = source
    SubElement(layer, "layername").text = title
    _crs(SubElement(layer, "srs"), crs)
    SubElement(layer, "provider", encoding="UTF-8").text = provider
    return layer


def _group(parent: Element, name: str, checked: bool = True) -> Element:
    return SubElement(parent, "layer-tree-group", name=name, checked=_checked(checked), expanded=str(int(checked)))


def _checked(yes: bool) -> str:
    return "Qt::Checked" if yes else "Qt::Unchecked"


def _uppermost_first(styles: Iterator[LayerStyle]) -> list[LayerStyle]:
    """Points over lines over fills, so that none hides another."""
    return sorted(styles, key=lambda style: (not style.points, style.drawn.by is not None, bool(style.chosen)))


def _bookmark(parent: Element, name: str, west: float, south: float, east: float, north: float) -> None:
    identifier = f"{{{uuid.uuid5(uuid.NAMESPACE_URL, name)}}}"
    box = f"POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"
    _crs(SubElement(parent, "Bookmark", id=identifier, name=name, group="Towns", extent=box), "OGC:CRS84")


def _crs(parent: Element, authority_code: str) -> None:
    made = SubElement(parent, "spatialrefsys", nativeFormat="Wkt")
    SubElement(made, "wkt").text = _wkt(authority_code)  # QGIS does not take the code alone
    SubElement(made, "authid").text = authority_code


@functools.cache
def _wkt(authority_code: str) -> str:
    return CRS.from_user_input(authority_code).to_wkt()


def _mercator(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    moved: tuple[float, float, float, float] = Transformer.from_crs(4326, 3857, always_xy=True).transform_bounds(*box)
    return moved


def _document(root: Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8")
    return _DOCTYPE + text


_FORMS: dict[str, Callable[[Standard, str, LayerStyle], Response]] = {
    "json": lambda _, base_url, style: JSONResponse(maplibre_style(base_url, style)),
    "qml": lambda standard, _, style: Response(qml(standard, style), media_type="application/xml"),
    "sld": lambda _standard, _url, style: Response(sld(style), media_type="application/vnd.ogc.sld+xml"),
}
