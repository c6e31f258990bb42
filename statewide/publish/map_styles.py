"""The style of a layer for others than QGIS: MapLibre style JSON over our vector tiles, and SLD 1.0.

Neither names features: a MapLibre label needs font files, which this server does not send.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from statewide.publish.symbology import LayerStyle, Symbol

_SLD, _OGC = "http://www.opengis.net/sld", "http://www.opengis.net/ogc"
_CLEAR = "rgba(0,0,0,0)"


def maplibre_style(base_url: str, style: LayerStyle) -> dict[str, Any]:
    """A whole style with this layer alone; a floodway's hatching is a line around it, which needs no image."""
    first, last = style.zooms
    layer = {"source": style.collection_id, "source-layer": style.collection_id}
    if style.points:
        paint = {
            "circle-color": _colours(style, [symbol.fill for symbol in style.symbols]),
            "circle-radius": ["interpolate", ["linear"], ["zoom"], 10, 1.5, 15, 3, 18, 6],
            "circle-opacity": style.drawn.opacity,
        }
        layers = [{"id": style.identifier, "type": "circle", "paint": paint, **layer}]
    else:
        fills = _colours(style, [symbol.fill for symbol in style.symbols])
        lines = _colours(style, [symbol.hatch or style.drawn.color or symbol.fill for symbol in style.symbols])
        layers = [
            {
                "id": f"{style.identifier}-fill",
                "type": "fill",
                "layout": {"fill-sort-key": _sort_key(style)},
                "paint": {"fill-color": fills, "fill-opacity": style.drawn.opacity},
                **layer,
            },
            {
                "id": f"{style.identifier}-line",
                "type": "line",
                "paint": {
                    "line-color": lines,
                    "line-width": ["interpolate", ["linear"], ["zoom"], 11, 0.3, 15, 0.9, 18, 2],
                },
                **layer,
            },
        ]
    tiles = {"type": "vector", "tiles": [style.tiles_url(base_url)], "minzoom": first, "maxzoom": last}
    return {"version": 8, "name": style.title, "sources": {style.collection_id: tiles}, "layers": layers}


def _colours(style: LayerStyle, colors: list[str | None]) -> Any:
    """One colour, or one for each code of the field that the layer is drawn by."""
    if style.drawn.by is None:
        return colors[0] or _CLEAR
    pairs = [
        each for symbol, color in zip(style.symbols, colors, strict=True) for each in (symbol.code, color or _CLEAR)
    ]
    return ["match", ["get", style.drawn.by], *pairs, _CLEAR]


def _sort_key(style: LayerStyle) -> Any:
    """What draws graver classes over milder ones."""
    if not style.ranked:
        return 0
    pairs = [each for symbol in style.symbols for each in (symbol.code, symbol.rank)]
    return ["match", ["get", style.drawn.by], *pairs, 0]


def sld(style: LayerStyle) -> bytes:
    """SLD 1.0: a rule for each code. It cannot say which of two areas lies on top."""
    ET.register_namespace("sld", _SLD)
    ET.register_namespace("ogc", _OGC)
    root = Element(f"{{{_SLD}}}StyledLayerDescriptor", version="1.0.0")
    layer = SubElement(root, f"{{{_SLD}}}NamedLayer")
    SubElement(layer, f"{{{_SLD}}}Name").text = style.collection_id
    own = SubElement(layer, f"{{{_SLD}}}UserStyle")
    SubElement(own, f"{{{_SLD}}}Title").text = style.title
    rules = SubElement(own, f"{{{_SLD}}}FeatureTypeStyle")
    for symbol in style.symbols:
        rule = SubElement(rules, f"{{{_SLD}}}Rule")
        SubElement(rule, f"{{{_SLD}}}Name").text = symbol.code or style.collection_id
        SubElement(rule, f"{{{_SLD}}}Title").text = symbol.label
        if style.drawn.by:
            equal = SubElement(SubElement(rule, f"{{{_OGC}}}Filter"), f"{{{_OGC}}}PropertyIsEqualTo")
            SubElement(equal, f"{{{_OGC}}}PropertyName").text = style.drawn.by
            SubElement(equal, f"{{{_OGC}}}Literal").text = symbol.code
        if style.points:
            _mark(rule, style, symbol)
        else:
            _area(rule, style, symbol)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _mark(rule: Element, style: LayerStyle, symbol: Symbol) -> None:
    graphic = SubElement(SubElement(rule, f"{{{_SLD}}}PointSymbolizer"), f"{{{_SLD}}}Graphic")
    mark = SubElement(graphic, f"{{{_SLD}}}Mark")
    SubElement(mark, f"{{{_SLD}}}WellKnownName").text = "circle"
    fill = SubElement(mark, f"{{{_SLD}}}Fill")
    _parameters(fill, {"fill": symbol.fill or "#808080", "fill-opacity": f"{style.drawn.opacity:g}"})
    SubElement(graphic, f"{{{_SLD}}}Size").text = "7"


def _area(rule: Element, style: LayerStyle, symbol: Symbol) -> None:
    area = SubElement(rule, f"{{{_SLD}}}PolygonSymbolizer")
    if symbol.fill:
        fill = SubElement(area, f"{{{_SLD}}}Fill")
        _parameters(fill, {"fill": symbol.fill, "fill-opacity": f"{style.drawn.opacity:g}"})
    if line := style.drawn.color or symbol.fill:
        _parameters(SubElement(area, f"{{{_SLD}}}Stroke"), {"stroke": line, "stroke-width": "0.7"})
    if symbol.hatch:
        hatched = SubElement(SubElement(rule, f"{{{_SLD}}}PolygonSymbolizer"), f"{{{_SLD}}}Fill")
        graphic = SubElement(SubElement(hatched, f"{{{_SLD}}}GraphicFill"), f"{{{_SLD}}}Graphic")
        mark = SubElement(graphic, f"{{{_SLD}}}Mark")
        SubElement(mark, f"{{{_SLD}}}WellKnownName").text = "slash"
        _parameters(SubElement(mark, f"{{{_SLD}}}Stroke"), {"stroke": symbol.hatch, "stroke-width": "1"})
        SubElement(graphic, f"{{{_SLD}}}Size").text = "8"


def _parameters(parent: Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        SubElement(parent, f"{{{_SLD}}}CssParameter", name=name).text = value
