"""Shapes on their way into PostgreSQL: the bytes are those that shapely writes, however they were put together."""

from __future__ import annotations

import numpy as np
import shapely

from statewide.copying import ewkb_array
from statewide.geometry import published_shapes
from statewide.standard import load_standard

SQUARE = shapely.MultiPolygon([shapely.box(1_000_000, 700_000, 1_000_100, 700_100)])
CORNER = shapely.MultiPolygon([shapely.Polygon([(1_000_100, 700_000), (1_000_200, 700_000), (1_000_100, 700_100)])])
RING = shapely.MultiPolygon([shapely.box(0, 0, 9, 9).difference(shapely.box(1, 1, 2, 2))])
TWO = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6)])


def test_shapes_travel_as_shapely_writes_them() -> None:
    rest = [None, shapely.Point(1, 2), shapely.box(0, 0, 1, 1), shapely.MultiPolygon(), RING, TWO]
    for shapes in ([], [SQUARE], [SQUARE, CORNER], rest, [SQUARE, *rest, CORNER], [shapely.force_3d(SQUARE)]):
        array = np.array(shapes, dtype=object)
        expected = shapely.to_wkb(shapely.set_srid(array, 6434), include_srid=True).tolist()
        assert ewkb_array(array, 6434).to_pylist() == expected


def test_a_corner_that_neighbours_share_is_one_place_in_every_system() -> None:
    shapes = np.array([SQUARE, CORNER, TWO, shapely.MultiPolygon()], dtype=object)
    for together, alone in zip(
        published_shapes(shapes, load_standard()),
        zip(*(published_shapes(np.array([shape], dtype=object), load_standard()) for shape in shapes), strict=True),
        strict=True,
    ):
        assert shapely.equals_exact(together, np.concatenate(alone), 0).all()
        assert shapely.get_coordinates(together[0])[0].tolist() in shapely.get_coordinates(together[1]).tolist()
