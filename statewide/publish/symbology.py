"""How each collection is drawn, from the law: what the QGIS project, QML, SLD and MapLibre styles all say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from statewide.errors import BadArgument
from statewide.standard import Code, Drawn, Standard, Table


@dataclass(frozen=True)
class Symbol:
    """How the features of one code look, or all of them; colours as #rrggbb, None for nothing."""

    code: str | None
    label: str
    fill: str | None
    hatch: str | None = None
    rank: int = 0
    """Higher lies on top: the areas of a milder class may cover those of a graver one."""


@dataclass(frozen=True)
class LayerStyle:
    """One layer of a map: a collection, or the rows of it that a request chooses."""

    table: Table
    title: str
    symbols: tuple[Symbol, ...]
    chosen: dict[str, str] = field(default_factory=dict)
    """Columns that choose the rows of a tile, and their values."""

    @property
    def identifier(self) -> str:
        """Of the layer, unique among all."""
        return "-".join((self.collection_id, *self.chosen.values()))

    @property
    def collection_id(self) -> str:
        """Of the collection."""
        assert self.table.collection is not None
        return self.table.collection.id

    @property
    def drawn(self) -> Drawn:
        """What the law says of it."""
        assert self.table.collection is not None and self.table.collection.tiles is not None
        return self.table.collection.tiles.drawn

    @property
    def ranked(self) -> bool:
        """Whether some classes lie over others; the layer is then faded as a whole, or they would shine through."""
        return any(symbol.rank for symbol in self.symbols)

    @property
    def points(self) -> bool:
        """Points, not areas."""
        return self.table.geometry is not None and self.table.geometry.type == "Point"

    @property
    def zooms(self) -> tuple[int, int]:
        """First and last zoom of the tiles."""
        assert self.table.collection is not None and self.table.collection.tiles is not None
        return self.table.collection.tiles.min_zoom, self.table.collection.tiles.max_zoom

    @property
    def label(self) -> tuple[str, int] | None:
        """Field that names a feature, and the first zoom at which it does."""
        assert self.table.collection is not None
        name, zoom = self.table.collection.title_field, self.drawn.labels_from
        return (name, zoom) if name and zoom is not None else None

    def tiles_url(self, base_url: str, zoom_row_column: str = "{z}/{y}/{x}") -> str:
        """Address of its vector tiles."""
        chosen = "".join(f"&{name}={value}" for name, value in self.chosen.items())
        return f"{base_url}/collections/{self.collection_id}/tiles/WebMercatorQuad/{zoom_row_column}?f=mvt{chosen}"


def layer_styles(standard: Standard) -> tuple[LayerStyle, ...]:
    """Every layer that a map can show, in the order of the collections."""
    return tuple(style for table in standard.published_tables for style in _of_table(standard, table))


def layer_style(standard: Standard, collection_id: str, asked: dict[str, str]) -> LayerStyle:
    """The layer of a collection whose rows are so chosen; what is not asked for is the law's usual choice.

    Raises:
        KeyError: the collection is not there or not drawn.
        BadArgument: no such rows are drawn.
    """
    table = standard.collection_table(collection_id)
    if table.collection is None or table.collection.tiles is None:
        raise KeyError(collection_id)
    wanted = {name: asked.get(name, usual) for name, usual in table.collection.tiles.chosen_by.items()}
    for style in _of_table(standard, table):
        if style.chosen == wanted:
            return style
    known = ", ".join(" ".join(style.chosen.values()) for style in _of_table(standard, table))
    raise BadArgument(f"{', '.join(wanted)}: no such rows are drawn; there are {known}.")


def _of_table(standard: Standard, table: Table) -> Iterator[LayerStyle]:
    if table.collection is None or table.collection.tiles is None:
        return
    tiles, title = table.collection.tiles, table.collection.title
    if not tiles.chosen_by:
        yield LayerStyle(table, title, _symbols(standard, table, table.field(tiles.drawn.by or table.key).code_layers))
        return
    (name,) = tiles.chosen_by
    classes = standard.code_lists[table.field(tiles.drawn.by or table.key).codes or ""]
    for code in standard.code_lists[table.field(name).codes or ""].codes:
        if any(code.code in each.layers for each in classes.codes):
            symbols = _symbols(standard, table, (code.code,))
            yield LayerStyle(table, f"{title}: {code.label}", symbols, {name: code.code})


def _symbols(standard: Standard, table: Table, code_layers: tuple[str, ...]) -> tuple[Symbol, ...]:
    assert table.collection is not None and table.collection.tiles is not None
    drawn = table.collection.tiles.drawn
    if drawn.by is None:
        points = table.geometry is not None and table.geometry.type == "Point"
        return (Symbol(None, table.collection.title, drawn.color if points else None),)
    codes = standard.code_lists[table.field(drawn.by).codes or ""].of_layers(code_layers)
    colors = {code.code: code.color for code in codes}
    return tuple(_symbol(code, colors) for code in codes)


def _symbol(code: Code, colors: dict[str, str | None]) -> Symbol:
    rank = code.rank or 0
    if code.clear:
        return Symbol(code.code, code.label, None, None, rank)
    if code.hatched_over:
        return Symbol(code.code, code.label, colors[code.hatched_over], code.color, rank)
    return Symbol(code.code, code.label, code.color, None, rank)
