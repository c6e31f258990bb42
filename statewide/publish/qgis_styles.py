"""Symbols, labels, aliases and value maps in the XML of QGIS: the parts that its project and its QML files share.

Written for QGIS 3.22 and later; only what differs from its defaults is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from statewide.publish.symbology import LayerStyle, Symbol
from statewide.standard import Standard, Table

_SCALE_AT_ZOOM_0 = 559_082_264.0
"""Denominator of the map's scale at zoom 0: tiles of 256 pixels of 0.28 mm."""


def scale_at(zoom: float) -> float:
    """Denominator of the scale of a zoom level."""
    return _SCALE_AT_ZOOM_0 / 2**zoom


def row_style(parent: Element, standard: Standard, style: LayerStyle) -> None:
    """Renderer, labels, aliases and value maps of a layer of rows."""
    if style.drawn.by:
        renderer = SubElement(
            parent,
            "renderer-v2",
            type="categorizedSymbol",
            attr=style.drawn.by,
            symbollevels=str(int(style.ranked)),
        )
        categories = SubElement(renderer, "categories")
        for place, symbol in enumerate(style.symbols):
            SubElement(
                categories, "category", render="true", symbol=str(place), value=symbol.code or "", label=symbol.label
            )
    else:
        renderer = SubElement(parent, "renderer-v2", type="singleSymbol")
    symbols = SubElement(renderer, "symbols")
    for place, symbol in enumerate(style.symbols):
        _symbol(symbols, style, symbol, str(place))
    if style.label:
        name, zoom = style.label
        labeling = SubElement(parent, "labeling", type="simple")
        _label(labeling, style, name, scale_at(zoom))
    _fade(parent, style)
    field_words(parent, standard, style.table)


def tile_style(parent: Element, style: LayerStyle) -> None:
    """Renderer and labels of a layer of vector tiles."""
    kind = "0" if style.points else "2"
    shared = {"layer": style.collection_id, "geometry": kind, "enabled": "1", "max-zoom": "-1"}
    styles = SubElement(SubElement(parent, "renderer", type="basic"), "styles")
    for symbol in sorted(style.symbols, key=lambda symbol: symbol.rank):
        condition = f"\"{style.drawn.by}\" = '{symbol.code}'" if style.drawn.by else ""
        attributes = {**shared, "name": symbol.label, "expression": condition, "min-zoom": "-1"}
        _symbol(SubElement(SubElement(styles, "style", attributes), "symbols"), style, symbol, "0")
    if style.label:
        name, zoom = style.label
        labels = SubElement(SubElement(parent, "labeling", type="basic"), "styles")
        attributes = {**shared, "name": name, "expression": "", "min-zoom": str(zoom)}
        _label(SubElement(labels, "style", attributes), style, name)
    _fade(parent, style)


def field_words(parent: Element, standard: Standard, table: Table) -> None:
    """Titles of the fields, and the labels of their codes."""
    configuration, aliases = SubElement(parent, "fieldConfiguration"), SubElement(parent, "aliases")
    for place, field in enumerate(table.public_fields):
        title = f"{field.title} ({field.unit})" if field.unit else field.title
        SubElement(aliases, "alias", index=str(place), field=field.name, name=title)
        if field.codes:
            config = SubElement(
                SubElement(SubElement(configuration, "field", name=field.name), "editWidget", type="ValueMap"), "config"
            )
            choices = SubElement(SubElement(config, "Option", type="Map"), "Option", type="List", name="map")
            for code in standard.code_lists[field.codes].of_layers(field.code_layers):
                _options(choices, {code.label: code.code})


def _symbol(parent: Element, style: LayerStyle, symbol: Symbol, name: str) -> None:
    kind = "marker" if style.points else "fill"
    made = SubElement(parent, "symbol", type=kind, name=name, alpha="1")
    opacity = 1.0 if style.ranked else style.drawn.opacity
    if style.points:
        outline = "#ffffff" if style.drawn.by is None else style.drawn.color or "#ffffff"
        marker = {"name": "circle", "color": _rgba(symbol.fill, opacity), "outline_color": _rgba(outline), "size": "2"}
        _layer(made, "SimpleMarker", {**marker, "outline_width": "0.2"})
        return
    line = style.drawn.color
    _layer(
        made,
        "SimpleFill",
        {
            "color": _rgba(symbol.fill, opacity),
            "style": "solid" if symbol.fill else "no",
            "outline_color": _rgba(line or symbol.fill),
            "outline_style": "solid" if line or symbol.fill else "no",
            "outline_width": "0.2" if style.drawn.by else "0.5",
        },
        symbol.rank,
    )
    if symbol.hatch:
        pattern = _layer(made, "LinePatternFill", {"angle": "45", "distance": "2"}, symbol.rank)
        lines = SubElement(pattern, "symbol", type="line", name=f"@{name}@1", alpha="1")
        _layer(lines, "SimpleLine", {"line_color": _rgba(symbol.hatch), "line_width": "0.4"})


def _label(parent: Element, style: LayerStyle, field_name: str, smallest_scale: float | None = None) -> None:
    settings = SubElement(parent, "settings")
    text = SubElement(settings, "text-style", fieldName=field_name, fontSize="8", textColor="60,74,82,255")
    SubElement(text, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferColor="255,255,255,230")
    SubElement(settings, "placement", placement="0" if style.points else "1", dist="1" if style.points else "0")
    rendering = SubElement(settings, "rendering", drawLabels="1")
    if smallest_scale is not None:
        rendering.set("scaleVisibility", "1")
        rendering.set("scaleMin", "1")  # denominators: the file's minimum is the largest scale
        rendering.set("scaleMax", f"{smallest_scale:.0f}")


def _fade(parent: Element, style: LayerStyle) -> None:
    SubElement(parent, "layerOpacity").text = f"{style.drawn.opacity:g}" if style.ranked else "1"


def _layer(parent: Element, kind: str, properties: Mapping[str, str], rank: int = 0) -> Element:
    made = SubElement(parent, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": str(rank)})
    _options(made, properties)
    return made


def _options(parent: Element, values: Mapping[str, str]) -> None:
    options = SubElement(parent, "Option", type="Map")
    for name, value in values.items():
        SubElement(options, "Option", type="QString", name=name, value=value)


def _rgba(color: str | None, opacity: float = 1.0) -> str:
    if color is None:
        return "255,255,255,0"
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"{red},{green},{blue},{round(opacity * 255)}"
