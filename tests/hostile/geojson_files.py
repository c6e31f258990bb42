"""GeoJSON (reliability study 2d): depth, length, numbers and texts at the edge, and what writers get wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import POLYGON, feature, geojson

_IDS = ["001", "002", "003"]
_HEAD = b'{"type":"FeatureCollection","features":['


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _documents()
    yield from _depths()
    yield from _values()
    yield from _shapes()
    yield from _members()


def _documents() -> Iterator[Entry]:
    whole = geojson()
    yield Entry("plain.geojson", whole, Read(cells={"id": _IDS}, epsg=4326))
    yield Entry("with a mark.geojson", b"\xef\xbb\xbf" + whole, Read(cells={"id": _IDS}))
    yield Entry("indented.geojson", json.dumps(json.loads(whole), indent=4).encode(), Read(cells={"id": _IDS}))
    yield Entry("blanks at both ends.geojson", b" \r\n\t" + whole + b"\n\n  ", Read(cells={"id": _IDS}))
    yield Entry("cut in half.geojson", whole[: len(whole) // 2], Refused("cut off"))
    yield Entry("without its last brace.geojson", whole[:-1], Refused("cut off"))
    yield Entry("cut between features.geojson", whole[: whole.index(b', {"type"', 100)], Refused("cut off"))
    yield Entry("twice.geojson", whole + b"\n" + whole, Refused("several JSON"))
    yield Entry("noise after it.geojson", whole + b"\x01\x02garbage", Refused("several JSON|not a map file|damaged"))
    yield Entry("NULs after it.geojson", whole + bytes(50), Refused("several JSON|not a map file"))
    yield Entry("brackets that do not match.geojson", whole[:-2] + b"}]", Refused("damaged|nested|cut off"))
    yield Entry("comma too many.geojson", whole[:-2] + b",]}", Refused("damaged"))
    yield Entry("single quotes.geojson", whole.replace(b'"', b"'"), Refused("JSON|not a|damaged|cut off"))
    yield Entry("a comment.geojson", b"/* parcels */ " + whole, Refused("not a map file"))
    yield Entry("a variable.geojson", b"var parcels = " + whole + b";", Refused("not a map file"))
    yield Entry("no features.geojson", geojson([]), Read(0))
    yield Entry(
        "features null.geojson", b'{"type":"FeatureCollection","features":null}', Refused("damaged|no layers|not a")
    )
    yield Entry(
        "features missing.geojson", b'{"type":"FeatureCollection"}', Refused("damaged|no layers|not a|features")
    )
    yield Entry(
        "features an object.geojson", b'{"type":"FeatureCollection","features":{}}', Refused("damaged|no layers|not a")
    )
    yield Entry("one feature.geojson", json.dumps(feature()).encode(), Refused("single GeoJSON feature"))
    yield Entry("one geometry.geojson", json.dumps(POLYGON).encode(), Refused("not a GeoJSON"))
    twice = whole[:-1] + b', "features": []}'
    yield Entry("features twice.geojson", twice, Read(3))
    yield Entry("utf-16.geojson", whole.decode().encode("utf-16"), Refused("UTF-16"))
    yield Entry("utf-16 without a mark.geojson", whole.decode().encode("utf-16-le"), Refused("not a map file"))
    yield Entry("utf-32.geojson", whole.decode().encode("utf-32-le"), Refused("not a map file|UTF"))


def _depths() -> Iterator[Entry]:
    nested = Refused("nested|cut off")
    yield Entry("depth of objects.geojson", b'{"a":' * 5000 + b"1" + b"}" * 5000, nested)
    yield Entry("depth of arrays.geojson", _HEAD + b"[" * 100_000 + b"]" * 100_000 + b"]}", nested)
    deep = b"[" * 5000 + b"0,0" + b"]" * 5000
    shape = b'{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":' + deep + b"}}"
    yield Entry("depth of coordinates.geojson", _HEAD + shape + b"]}", nested)
    yield Entry("depth of properties.geojson", geojson([feature(properties={"a": _nest(200)})]), nested)
    inmost: dict[str, Any] = dict(POLYGON)
    for _ in range(100):
        inmost = {"type": "GeometryCollection", "geometries": [inmost]}
    yield Entry("depth of collections.geojson", geojson([feature(geometry=inmost)]), nested)
    yield Entry("nested a little.geojson", geojson([feature(properties={"a": _nest(5)})]), Read(1))
    brackets = geojson([feature(properties={"id": "[{" * 500})])
    yield Entry("brackets in a text.geojson", brackets, Read(1, cells={"id": ["[{" * 500]}))
    quotes = geojson([feature(properties={"id": '"}]}\\' * 50})])
    yield Entry("quotes and backslashes in a text.geojson", quotes, Read(1, cells={"id": ['"}]}\\' * 50]}))


def _nest(depth: int) -> dict[str, Any]:
    inmost: dict[str, Any] = {}
    for _ in range(depth):
        inmost = {"a": inmost}
    return inmost


def _values() -> Iterator[Entry]:
    def values(*cells: str) -> bytes:
        rows = ",".join(
            f'{{"type":"Feature","properties":{{"v":{cell}}},"geometry":{json.dumps(POLYGON)}}}' for cell in cells
        )
        return _HEAD + rows.encode() + b"]}"

    yield Entry("2^53 plus 1 and a null.geojson", values("9007199254740993", "null"),
                Read(2, cells={"v": [9007199254740993, None]}))  # fmt: skip
    yield Entry("number of 23 digits.geojson", values("12345678901234567890123"), Read(1, said="more digits"))
    yield Entry("digits as text.geojson", values('"00123"', '"12345678901234567890123"'),
                Read(2, cells={"v": ["00123", "12345678901234567890123"]}))  # fmt: skip
    yield Entry("1e5 as text.geojson", values('"1E5"', '"-0"'), Read(2, cells={"v": ["1E5", "-0"]}))
    yield Entry("number beyond all.geojson", values("1e400"), Refused("damaged"))
    yield Entry("NaN.geojson", values("NaN", "1"), Read(2))
    yield Entry("infinity.geojson", values("Infinity"), Read(1, cells={"v": [float("inf")]}))
    yield Entry("NUL in a text.geojson", values('"abc\\u0000def"'), Read(1, said="NUL character"))
    yield Entry("control letters.geojson", values('"a\\u0007b\\u001b[31m"'), Read(1, cells={"v": ["a\x07b\x1b[31m"]}))
    yield Entry("half a surrogate.geojson", values('"a\\ud800b"'), Read(1))
    yield Entry("emoji.geojson", values('"\\ud83c\\udfe1"', '"🏡"'), Read(2, cells={"v": ["🏡", "🏡"]}))
    latin = values('"M\xfcller"').decode().encode("latin-1")
    yield Entry("text in latin-1.geojson", latin, Read(1, said="Windows-1252", cells={"v": ["Müller"]}))
    yield Entry(
        "a column named in latin-1.geojson",
        geojson([feature(properties={"STRASSE": "1"})]).replace(b"STRASSE", b"STRA\xdfE"),
        Refused("not UTF-8"),
    )
    yield Entry(
        "text overlong in utf-8.geojson", values('"XX"').replace(b"XX", b"\xc0\xaf"), Read(1, said="Windows-1252")
    )
    yield Entry("text and number in one column.geojson", values('"12a"', "12", "null"),
                Read(3, cells={"v": ["12a", "12", None]}))  # fmt: skip
    yield Entry(
        "lists and objects.geojson", values("[1,2]", '{"a":1}'), Read(2, cells={"v": ["[ 1, 2 ]", '{ "a": 1 }']})
    )
    yield Entry("parcel numbers like dates.geojson", values('"2020/01/02"', '"99904-1-1"'),
                Read(2, cells={"v": ["2020/01/02", "99904-1-1"]}))  # fmt: skip
    yield Entry("true and false.geojson", values("true", "false"), Read(2))
    yield Entry("text of 5 MB.geojson", values('"' + "x" * 5_000_000 + '"'), Read(1))


def _shapes() -> Iterator[Entry]:
    def shaped(*geometries: object) -> bytes:
        return geojson([feature(geometry=one) for one in geometries])

    ring = POLYGON["coordinates"][0]
    yield Entry("shape null.geojson", shaped(None, POLYGON), Read(2, empty=1))
    yield Entry(
        "shape missing.geojson", geojson([{"type": "Feature", "properties": {"id": "1"}}, feature()]), Read(2, empty=1)
    )
    high = {"type": "Polygon", "coordinates": [[[0, 0, 5], *ring[1:]]]}
    yield Entry("one coordinate with a height.geojson", shaped(POLYGON, high),
                Read(2, epsg=4326))  # fmt: skip
    texts = {"type": "Polygon", "coordinates": [[[str(x), str(y)] for x, y in ring]]}
    yield Entry("coordinates as texts.geojson", shaped(texts, POLYGON), Read(2, lost=1, said="shape", empty=1))
    yield Entry("coordinates empty.geojson", shaped({"type": "Polygon", "coordinates": []}, POLYGON), Read(2, empty=1))
    yield Entry(
        "coordinates missing.geojson", shaped({"type": "Polygon"}, POLYGON), Read(2, lost=1, said="shape", empty=1)
    )
    yield Entry("coordinates null.geojson", shaped({"type": "Polygon", "coordinates": [[None, None]]}, POLYGON),
                Read(2, lost=1, said="shape", empty=1))  # fmt: skip
    yield Entry(
        "type of no shape.geojson",
        shaped({"type": "Hexagon", "coordinates": []}, POLYGON),
        Read(2, lost=1, said="shape", empty=1),
    )
    yield Entry(
        "ring of two points.geojson", shaped({"type": "Polygon", "coordinates": [ring[:2]]}, POLYGON), Read(2, said=".")
    )
    yield Entry(
        "ring not closed.geojson", shaped({"type": "Polygon", "coordinates": [ring[:3]]}), Read(1, said="closed")
    )
    huge = shaped({"type": "Polygon", "coordinates": [[[0, 0], [9.9e307, 0], [1, 1], [0, 0]]]})
    yield Entry("coordinate of 1e400.geojson", huge.replace(b"9.9e+307", b"1e400"), Refused("damaged"))
    yield Entry(
        "out of range.geojson",
        shaped({"type": "Polygon", "coordinates": [[[500, 95], [501, 95], [501, 96], [500, 95]]]}),
        Read(1),
    )
    yield Entry("all kinds of shape.geojson", shaped({"type": "Point", "coordinates": [0, 0]}, POLYGON), Read(2))
    yield Entry("collection.geojson", shaped({"type": "GeometryCollection", "geometries": [POLYGON]}), Read(1))
    yield Entry(
        "no coordinates of a collection.geojson",
        shaped({"type": "GeometryCollection", "geometries": []}, POLYGON),
        Read(2, empty=1),
    )


def _members() -> Iterator[Entry]:
    three = [feature(id="x", properties={"id": one}) for one in _IDS]
    yield Entry("ids that repeat.geojson", geojson(three), Read(cells={"id": _IDS}))
    yield Entry("ids of 2^63.geojson", geojson([feature(id=2**63 + n) for n in range(2)]), Refused("damaged"))
    yield Entry(
        "properties null.geojson", geojson([feature(properties=None), feature()]), Read(2, cells={"id": [None, "1"]})
    )
    yield Entry(
        "keys twice.geojson", _HEAD + b'{"type":"Feature","properties":{"a":1,"a":2},"geometry":null}]}', Read(1)
    )
    yield Entry("columns that differ.geojson", geojson([feature(properties={f"c{n}": n}) for n in range(40)]), Read(40))
    names = {"row_no": 7, "geometry": "x", "": "empty", "a\"'; --": 1, "ogc_fid": 5}
    yield Entry("columns of hostile names.geojson", geojson([feature(properties=names)]),
                Read(1, cells={"row_no_1": [7], "geometry_1": ["x"], "a\"'; --": [1]}))  # fmt: skip
    yield Entry(
        "columns of case alone.geojson", geojson([feature(properties={"ID": "a", "id": "b", "Id": "c"})]), Read(1)
    )
    wide = {f"column_{number}": number for number in range(3000)}
    yield Entry("three thousand columns.geojson", geojson([feature(properties=wide)]), Read(1))
    features = [{"type": "Feature", "properties": {"type": "Feature", "geometry": {"a": 1}}, "geometry": POLYGON}]
    yield Entry("properties named like members.geojson", geojson(features), Read(1))
    yield Entry("a feature that is a number.geojson", geojson([feature(), 7, feature()]), Read(2, counted=3))
    yield Entry("a feature that is null.geojson", geojson([feature(), None]), Read(1, counted=2))
    bare = {"properties": {"id": "1"}, "geometry": POLYGON}
    yield Entry("a feature without a type.geojson", geojson([bare, feature()]),
                Read(1, counted=2, lost=1, said="without the shape"))  # fmt: skip
    nested = feature(properties={"features": [feature(), feature()]})
    yield Entry("features in a property.geojson", geojson([nested]), Read(1))
