"""Styles of QGIS (QML) for a pack: colours of the law's codes, titles of its fields. Text only; QGIS is not needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as xml

from statewide.standard import Code

_VERSION = "3.22.0"
_GREY = "#9a9a9a"
_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


@dataclass(frozen=True)
class _Symbol:
    """A marker or an area. `color` None is no fill; sizes and widths are in millimetres."""

    color: str | None
    outline: str
    outline_width: float
    opacity: float = 1.0
    points: float | None = None
    """Diameter of a marker; None for areas."""


@dataclass(frozen=True)
class Style:
    """One symbol for all, or one for each value of a column: (value, label, symbol)."""

    symbols: tuple[tuple[str, str, _Symbol], ...]
    column: str | None = None


def outlined(color: str, width: float) -> Style:
    """Areas that show what lies below them."""
    return Style((("", "", _Symbol(None, color, width)),))


def plain_points(color: str, size: float) -> Style:
    """Small dots of one colour."""
    return Style((("", "", _Symbol(color, color, 0, points=size)),))


def categorized(column: str, codes: Iterable[Code], points: float | None = None, opacity: float = 0.75) -> Style:
    """A colour for each code; what has no colour in the law is grey."""
    symbols = [
        (each.code, each.label, _Symbol(each.color or _GREY, "#4d4d4d", 0.1, 1.0 if points else opacity, points))
        for each in codes
    ]
    return Style(tuple(symbols), column)


def qml(style: Style, aliases: Mapping[str, str]) -> str:
    """The style as QGIS reads it.

    Args:
        aliases: title of each column, in the order of the table.
    """
    root = xml.Element("qgis", version=_VERSION, styleCategories="Symbology|Fields|Forms")
    kind = "categorizedSymbol" if style.column else "singleSymbol"
    renderer = xml.SubElement(
        root, "renderer-v2", type=kind, forceraster="0", symbollevels="0", enableorderby="0", referencescale="-1"
    )
    if style.column:
        renderer.set("attr", style.column)
        categories = xml.SubElement(renderer, "categories")
        for number, (value, label, _) in enumerate(style.symbols):
            xml.SubElement(
                categories, "category", symbol=str(number), value=value, label=label, render="true", type="string"
            )
    symbols = xml.SubElement(renderer, "symbols")
    for number, (_, _, symbol) in enumerate(style.symbols):
        _add_symbol(symbols, str(number), symbol)
    named = xml.SubElement(root, "aliases")
    for index, (column, title) in enumerate(aliases.items(), start=1):  # the row number is the first column
        xml.SubElement(named, "alias", field=column, name=title, index=str(index))
    marker = any(symbol.points for _, _, symbol in style.symbols)
    xml.SubElement(root, "layerGeometryType").text = "0" if marker else "2"
    return _HEAD + xml.tostring(root, encoding="unicode")


def _add_symbol(parent: xml.Element, name: str, symbol: _Symbol) -> None:
    marker = symbol.points is not None
    element = xml.SubElement(
        parent,
        "symbol",
        name=name,
        type="marker" if marker else "fill",
        alpha=f"{symbol.opacity:g}",
        clip_to_extent="1",
        force_rhr="0",
    )
    layer = xml.SubElement(
        element,
        "layer",
        {"class": "SimpleMarker" if marker else "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"},
    )
    properties = {
        "color": _rgba(symbol.color or symbol.outline),
        "outline_color": _rgba(symbol.outline),
        "outline_width": f"{symbol.outline_width:g}",
        "outline_width_unit": "MM",
        "outline_style": "solid" if symbol.outline_width else "no",
    }
    if marker:
        properties |= {"name": "circle", "size": f"{symbol.points:g}", "size_unit": "MM"}
    else:
        properties["style"] = "solid" if symbol.color else "no"
    options = xml.SubElement(layer, "Option", type="Map")
    for key, value in properties.items():
        xml.SubElement(options, "Option", name=key, value=value, type="QString")


def _rgba(color: str) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"{red},{green},{blue},255"
