"""Vector tiles of a collection from its published view, and pygeoapi's provider for their descriptions.

Stored shapes in the tile's own coordinates with an index on them, the columns that the law gives to each zoom and no
other, a limit per tile. From z14 on a shape is drawn in full; below, it is thinned to what a screen can show.
"""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import sql
from pygeoapi.provider.base_mvt import BaseMVTProvider
from pygeoapi.provider.tile import ProviderTileNotFoundError

from statewide.errors import BadArgument
from statewide.feature_schema import field_schema
from statewide.publish.cql2 import column
from statewide.publish.query import view
from statewide.publish.reading import fetch
from statewide.standard import Table, load_standard

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
FULL_DETAIL_ZOOM = 14

_UNITS = 4096
_MERCATOR_HALF = 20037508.342789244
