"""The catalogue: what is known of each dataset, from the law, the assets in ``schemas/catalogue`` and what is live.

A `Record` is the one form of it; `records`, `iso_metadata` and the inventory only write it in the words of a standard.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from psycopg import sql

from statewide.errors import DatabaseUnavailable
from statewide.publish.query import view
from statewide.publish.reading import fetch
from statewide.standard import Asset, Assets, Catalogued, DataClass, Element, Standard, Table

_COUNT_SECONDS = 900.0
"""Rows are counted anew when a town publishes or a layer is loaded, and otherwise when the counts are older."""

_VINTAGES = sql.SQL(
    "SELECT source, cousub_fips, name, version, begins, ends, changed_at, maker, license, v_datum"
    " FROM published.vintages ORDER BY source, name, version"
)


@dataclass(frozen=True)
class Vintage:
    """What a dataset holds of one town, layer version or imagery program."""

    source: str
    """Dataset of the towns, hazard layer, or `imagery`."""
    town_code: str | None
    name: str | None
    version: str | None
    begins: dt.date | None
    ends: dt.date | None
    changed_at: dt.datetime
    maker: str | None
    license: str | None
    v_datum: str | None


@dataclass(frozen=True)
class Link:
    """Where a dataset, or something about it, is had."""

    rel: str
    href: str
    media_type: str
    title: str
    service: str | None = None


@dataclass(frozen=True)
class Record:
    """One dataset, whoever serves it."""

    identifier: str
    level: str
    title: str
    description: str
    keywords: tuple[str, ...]
    publisher: str
    data_class: DataClass
    license: str | None
    rights: str | None
    entry: Catalogued
    modified: dt.date
    links: tuple[Link, ...]
    row_label: str | None = None
    rows: int | None = None
    columns_described: float | None = None
    vintages: tuple[Vintage, ...] = ()
    missing: tuple[str, ...] = ()
    """Elements that the inventory asks for and that nothing fills."""
    completeness: float = 0.0
    """Share of the asked elements that are filled, 0 to 1."""

    @property
    def served(self) -> bool:
        """Whether the rows are served here."""
        return self.row_label is not None

    @property
    def temporal(self) -> tuple[dt.date, dt.date] | None:
        """First and last day that the rows are about, where the vintages say so."""
        begins = [each.begins for each in self.vintages if each.begins]
        ends = [day for each in self.vintages if (day := each.ends or each.begins)]
        return (min(begins), max(ends)) if begins else None

    @property
    def lineage(self) -> str:
        """Where the rows come from: the law's words, then makers and versions of what is live."""
        said = [" ".join(self.entry.lineage.split())]
        for each in self.vintages:
            if each.version:
                named = f"{each.source} ({each.name})" if each.name else each.source
                made = f", made by {each.maker}" if each.maker else ""
                terms = f", licence: {each.license}" if each.license else ""
                datum = f", heights above {each.v_datum}" if each.v_datum else ""
                said.append(f"Live version of {named}: {each.version}{made}{terms}{datum}.")
        towns = [each for each in self.vintages if each.town_code]
        if towns:
            said.append(f"Published deliveries: {len(towns)}, the oldest of {min(_years(towns))}.")
        return " ".join(said)


def _years(vintages: list[Vintage]) -> Iterator[int]:
    return (each.begins.year for each in vintages if each.begins)


def told(standard: Standard, record: Record) -> dict[str, str]:
    """What each element of the inventory says of a record, by the element's `says`; empty where nothing is known."""
    temporal = record.temporal
    contact = standard.header.contact
    documents = [link.href for link in record.links if link.rel in ("describedby", "about")]
    source = next((link.href for link in record.links if link.rel in ("item", "items", "service", "about")), "")
    described = record.columns_described
    return {
        "title": record.title,
        "description": record.description,
        "category": record.entry.category,
        "publisher": record.publisher,
        "rows": "" if record.rows is None else str(record.rows),
        "row_label": record.row_label or "",
        "keywords": "; ".join(record.keywords),
        "source_link": source,
        "geographic_unit": record.entry.geographic_unit,
        "temporal": f"{temporal[0]}/{temporal[1]}" if temporal else "",
        "documents": " ".join(documents),
        "provided_by": "; ".join(_providers(standard, record)),
        "owner": standard.header.publisher if record.level == "own" else record.publisher,
        "contact_email": contact.email,
        "update_frequency": record.entry.update_frequency,
        "modified": record.modified.isoformat(),
        "license": record.license or "",
        "identifier": record.identifier,
        "data_class": record.data_class,
        "rights": record.rights or "",
        "lineage": record.lineage,
        "columns_described_pct": "" if described is None else f"{described * 100:.0f}",
    }


def _providers(standard: Standard, record: Record) -> list[str]:
    """Whoever made what is live; for what nobody delivers, who publishes it."""
    makers = {each.maker for each in record.vintages if each.maker}
    if any(each.town_code for each in record.vintages):
        makers.add(f"Towns of {standard.header.state}")
    return sorted(makers) or [record.publisher]


class Catalogue:
    """All records, made anew when something was published; counting the rows of a State takes seconds."""

    def __init__(self, standard: Standard, base_url: str) -> None:
        self.standard = standard
        self.base_url = base_url
        self._made: tuple[float, list[Vintage], dict[str, Record]] | None = None
        self._making = threading.Lock()

    def records(self) -> dict[str, Record]:
        """By identifier: the collections, then the assets of others.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        vintages = [Vintage(*row) for row in fetch(_VINTAGES, [])]
        with self._making:
            made = self._made
            if made is None or made[1] != vintages or time.monotonic() - made[0] > _COUNT_SECONDS:
                records = [self._served(table, vintages) for table in self.standard.published_tables]
                records += [self._asset(assets, asset) for assets in self.standard.assets for asset in assets.assets]
                judged = (self._judged(record) for record in records)
                made = (time.monotonic(), vintages, {record.identifier: record for record in judged})
                self._made = made
            return made[2]

    def _served(self, table: Table, vintages: list[Vintage]) -> Record:
        collection = table.collection
        assert collection is not None
        live = tuple(each for each in vintages if each.source in self._sources(table))
        fields = table.public_fields
        return Record(
            identifier=collection.id,
            level="own",
            title=collection.title,
            description=" ".join(collection.description.split()),
            keywords=collection.keywords,
            publisher=self.standard.header.publisher,
            data_class="public",
            license=self.standard.header.license,
            rights=None,
            entry=collection.catalogue,
            modified=max((each.changed_at.date() for each in live), default=self.standard.header.released),
            links=tuple(self._links(table)),
            row_label=table.title,
            rows=self._rows(table),
            columns_described=sum(bool(each.description.strip()) for each in fields) / len(fields),
            vintages=live,
        )

    def _sources(self, table: Table) -> set[str]:
        """Of whose vintages the rows are made: what is delivered itself, and what its rows refer to."""
        assert table.collection is not None
        sources = {table.name, table.collection.id}
        for each in table.public_fields:
            if each.references:
                sources.add(each.references)
            if each.codes == "hazard_layer":
                sources |= {code.code for code in self.standard.code_lists[each.codes].codes}
        return sources

    def _rows(self, table: Table) -> int | None:
        """Rows of the view; None where counting takes too long."""
        try:
            number: int = fetch(sql.SQL("SELECT count(*) FROM {}").format(view(table)), [])[0][0]
            return number
        except DatabaseUnavailable:
            return None

    def _links(self, table: Table) -> Iterator[Link]:
        collection = table.collection
        assert collection is not None
        home = f"{self.base_url}/collections/{collection.id}"
        yield Link("item", f"{home}/items?f=json", "application/geo+json", "Rows as GeoJSON", "OGC API - Features")
        yield Link("item", f"{home}/items?f=csv", "text/csv", "Rows as CSV")
        if collection.tiles:
            href = f"{home}/tiles/WebMercatorQuad?f=tilejson"
            yield Link("tiles", href, "application/json", "Vector tiles (TileJSON)", "OGC API - Tiles")
        yield Link("about", f"{home}?f=html", "text/html", "The collection")
        words = f"{self.base_url}/dictionary"
        yield Link("describedby", f"{words}#{collection.id}", "text/html", "Its fields, for a reader")
        yield Link("describedby", f"{words}/{collection.id}.json", "application/json", "Its fields as Table Schema")
        yield Link("describedby", f"{words}/{collection.id}.csv", "text/csv", "Its fields as a table")
        yield Link("describedby", f"{home}/schema?f=json", "application/schema+json", "Its features as JSON Schema")
        yield self._metadata_link(collection.id)
        for asset in (asset for assets in self.standard.assets for asset in assets.assets):
            if asset.collection == collection.id:
                href = f"{self.base_url}/collections/records/items/{asset.id}"
                yield Link("via", href, "application/geo+json", asset.title)

    def _metadata_link(self, identifier: str) -> Link:
        href = f"{self.base_url}/metadata/{identifier}.xml"
        return Link("alternate", href, "application/xml", "This record as ISO 19139")

    def _asset(self, assets: Assets, asset: Asset) -> Record:
        links = [
            Link("service" if link.service else "about", link.href, "text/html", link.title, link.service)
            for link in asset.links
        ]
        if asset.collection:
            href = f"{self.base_url}/collections/{asset.collection}"
            links.append(Link("related", href, "application/json", "As it is served here"))
        return Record(
            identifier=asset.id,
            level=assets.level,
            title=asset.title,
            description=" ".join(asset.description.split()),
            keywords=asset.keywords,
            publisher=asset.publisher,
            data_class=asset.data_class,
            license=asset.license,
            rights=asset.rights,
            entry=asset.catalogue,
            modified=assets.described_on,
            links=(*links, self._metadata_link(asset.id)),
        )

    def _judged(self, record: Record) -> Record:
        """The record with what it lacks of what the inventory asks of it."""
        asked = [element for element in self.standard.catalogue.elements if _asked(element, record)]
        said = told(self.standard, record)
        missing = tuple(element.name for element in asked if not said[element.says])
        # Columns count by their share: one that nobody describes is a gap in the middle of a record.
        described = sum(
            (record.columns_described or 0.0) if element.says == "columns_described_pct" else bool(said[element.says])
            for element in asked
        )
        return replace(record, missing=missing, completeness=described / len(asked))


def _asked(element: Element, record: Record) -> bool:
    return {
        "all": True,
        "public": record.data_class == "public",
        "not_public": record.data_class != "public",
        "served": record.served,
    }[element.of]


def overall_completeness(records: dict[str, Record]) -> float:
    """Mean over all datasets, 0 to 1."""
    return sum(record.completeness for record in records.values()) / len(records)
