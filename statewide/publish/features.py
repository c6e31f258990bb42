"""Items of a collection from its published view: the pages that our own routes send, and pygeoapi's provider.

The text of each feature is made by PostgreSQL and goes to the socket as it is. pygeoapi itself uses `FeatureProvider`
for what it renders (HTML, JSON-LD, CSV); both ask the same statement, and a test holds them to the same answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from psycopg import sql
from pygeoapi.provider.base import (
    BaseProvider,
    ProviderConnectionError,
    ProviderInvalidQueryError,
    ProviderItemNotFoundError,
)

from statewide.errors import BadArgument, PlatformError
from statewide.feature_schema import field_schema
from statewide.publish.cql2 import cast_value, column
from statewide.publish.query import (
    COUNT_UP_TO,
    CRS84,
    ItemsQuery,
    feature_text,
    offered_crs,
    parse_items,
    view,
)
from statewide.publish.reading import fetch
from statewide.standard import Table, load_standard

_TOTAL_SECONDS = 60.0
"""The number of rows of a whole collection is counted anew when it is older than this."""

_totals: dict[str, tuple[float, int]] = {}
_counting = threading.Lock()


@dataclass(frozen=True)
class Page:
    """One page of features."""

    features: list[str]
    """GeoJSON text of each."""
    matched: int | None
    """Rows that match in all; None where nobody has counted them."""
    next_token: str | None


def read_page(query: ItemsQuery) -> Page:
    """The rows that the request asks for.

    Raises:
        BadArgument: the database cannot make sense of a value.
        DatabaseUnavailable: it does not answer, or not in time.
    """
    if query.hits:
        return Page([], _matched(query, up_to=None), None)
    statement, values = query.statement()
    rows = fetch(statement, values)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    matched = None
    if query.after is None:
        complete = not more and (rows or not query.offset)
        matched = query.offset + len(rows) if complete else _matched(query, COUNT_UP_TO)
    return Page([row[0] for row in rows], matched, query.token(rows[-1][1:]) if more else None)


def read_item(table: Table, identifier: str, crs_uri: str = CRS84) -> str | None:
    """GeoJSON text of one feature, or None where there is none of that identifier.

    Raises:
        BadArgument: the coordinate system is not offered.
        DatabaseUnavailable: the database does not answer.
    """
    standard = load_standard()
    crs = offered_crs(standard).get(crs_uri)
    if crs is None:
        raise BadArgument(f"crs: this coordinate system is not offered. Offered: {', '.join(offered_crs(standard))}.")
    key = table.field(table.key)
    try:
        value = cast_value(key.type, identifier, key.name)
    except BadArgument:
        return None
    columns = [field.name for field in table.public_fields]
    statement = sql.SQL("SELECT {} FROM {} AS t WHERE {} = %s").format(
        feature_text(table, crs, columns, table.geometry is not None), view(table), column(table.key)
    )
    rows = fetch(statement, [value])
    return rows[0][0] if rows else None


def _matched(query: ItemsQuery, up_to: int | None) -> int | None:
    """Exact number of matching rows; None where a filter matches more than `up_to`."""
    if query.conditions:
        statement, values = query.count(up_to)
        number: int = fetch(statement, values)[0][0]
        return None if up_to is not None and number > up_to else number
    with _counting:
        counted_at, total = _totals.get(query.table.name, (0.0, 0))
        if not counted_at or time.monotonic() - counted_at > _TOTAL_SECONDS:
            statement, values = query.count(None)
            total = fetch(statement, values)[0][0]
            _totals[query.table.name] = (time.monotonic(), total)
    return total


class _Unavailable(ProviderConnectionError):  # type: ignore[misc]  # pygeoapi is not typed
    http_status_code = HTTPStatus.SERVICE_UNAVAILABLE


class FeatureProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi is not typed
    """pygeoapi's door to the same pages; ``data`` of its definition is the name of the table in the law."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.table = load_standard().table(self.data)
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Public fields as JSON Schema; made anew for each provider, since pygeoapi writes into them."""
        standard = load_standard()
        self._fields = {field.name: field_schema(standard, self.table, field) for field in self.table.public_fields}
        return self._fields

    def query(
        self,
        offset: int = 0,
        limit: int = 10,
        resulttype: str = "results",
        bbox: list[float] | None = None,
        datetime_: str | None = None,
        properties: list[tuple[str, str]] | None = None,
        sortby: list[dict[str, str]] | None = None,
        select_properties: list[str] | None = None,
        skip_geometry: bool = False,
        filterq: object = None,
        crs_transform_spec: Any = None,
        **_: object,
    ) -> dict[str, Any]:
        """A page as a feature collection, for pygeoapi's own renderings."""
        if filterq is not None:
            raise ProviderInvalidQueryError(user_msg="filter: only answered as GeoJSON; add f=json.")
        parameters: dict[str, str] = {
            **dict(properties or []),
            "offset": str(offset),
            "limit": str(limit),
            "resulttype": resulttype,
            "skipGeometry": "true" if skip_geometry else "false",
            "crs": crs_transform_spec.target_crs_uri if crs_transform_spec else CRS84,
        }
        if bbox:
            parameters["bbox"] = ",".join(map(repr, bbox))
        if datetime_:
            parameters["datetime"] = datetime_
        if sortby:
            parameters["sortby"] = ",".join(each["order"] + each["property"] for each in sortby)
        if select_properties:
            parameters["properties"] = ",".join(select_properties)
        page = _translated(_page_of, self.table, parameters)
        collection: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": [json.loads(text) for text in page.features],
            "numberReturned": len(page.features),
        }
        if page.matched is not None:
            collection["numberMatched"] = page.matched
        return collection

    def get(self, identifier: str, crs_transform_spec: Any = None, **_: object) -> dict[str, Any]:
        """One feature, for pygeoapi's own renderings."""
        crs_uri = crs_transform_spec.target_crs_uri if crs_transform_spec else CRS84
        text = _translated(read_item, self.table, identifier, crs_uri)
        if text is None:
            raise ProviderItemNotFoundError(user_msg="There is no feature of that identifier.")
        feature: dict[str, Any] = json.loads(text)
        return feature

    def __repr__(self) -> str:
        return f"<FeatureProvider> {self.data}"


def _page_of(table: Table, parameters: Mapping[str, str]) -> Page:
    return read_page(parse_items(load_standard(), table, parameters))


def _translated[**P, T](call: Any, *arguments: Any) -> Any:
    """Run it; our errors become the ones that pygeoapi gives a status and a sentence."""
    try:
        return call(*arguments)
    except BadArgument as error:
        raise ProviderInvalidQueryError(user_msg=str(error)) from None
    except PlatformError as error:
        raise _Unavailable(user_msg=str(error)) from None
