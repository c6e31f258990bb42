"""What people send by mistake, and files that pretend: each is named for what it is."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.corpus import Bait, Entry, Refused
from tests.hostile.ingredients import geojson, shapefile


def entries(bait: Bait) -> Iterator[Entry]:
    for name, content, said in (
        ("notes.txt", b"Dear all,\nthe parcels follow next week.", "not a map file"),
        ("nothing.zip", b"", "is empty"),
        ("blanks.geojson", b"  \n ", "is empty"),
        ("a byte.shp", b"\x00", "not a map file"),
        ("a document.zip", b"%PDF-1.7 \x00", "PDF"),
        ("a picture.shp", b"\x89PNG\r\n\x1a\n\x00", "image"),
        ("a photograph.geojson", b"\xff\xd8\xff\xe0\x00", "image"),
        ("a scan.gpkg", b"II*\x00" + bytes(40), "image"),
        ("a drawing.dxf", b"AC1032\x00\x00", "AutoCAD"),
        ("an old document.shp", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "Office document"),
        ("a database.gpkg", b"SQLite format 3\x00" + bytes(4000), "not a GeoPackage"),
        ("a sign-in page.zip", b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        ("a sign-in page.geojson", b"\n<html><head><title>Sign in</title></head></html>", "web page"),
        (
            "a sign-in page in capitals.gpkg",
            b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'><HTML></HTML>",
            "web page",
        ),
        ("an error of a server.geojson", b'{"error":{"code":498,"message":"Invalid Token"}}', "not a GeoJSON"),
        ("a wide geojson.geojson", '{"type":"FeatureCollection"}'.encode("utf-16"), "UTF-16"),
        ("noise.gpkg", bytes(range(256)) * 20, "not a map file"),
        ("zeros.shp", bytes(5000), "not a map file"),
        ("one part.dbf", shapefile()["parcels.dbf"], "one part of a map"),
        ("one index.shx", shapefile()["parcels.shx"], "one part of a map"),
        ("one table.gdbtable", bytes(100), "one part of a map"),
        ("a track.gpx", b'<?xml version="1.0"?><gpx version="1.1"></gpx>', "GPX"),
        ("a drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unknown kind"),
        ("a style.qgz", b"<qgis version='3.28'/>", "unknown kind"),
        ("a topology.json", b'{"type":"Topology","objects":{},"arcs":[]}', "TopoJSON"),
        ("an index into a shapefile.shp", shapefile()["parcels.shx"], "without|not a|damaged|cut"),
        ("a text called shp.shp", b"27 0a\n", "not a map file"),
        ("letters of a geopackage.gpkg", b"SQLite format 3\x00", "SQLite|damaged"),
        ("an alert.geojson", b"<script>alert(1)</script>", "unknown kind"),
        ("xml without a root.gml", b"<?xml version='1.0'?>", "unknown kind"),
        ("a brace.geojson", b"{", "cut off"),
        ("a list.json", geojson()[geojson().index(b"[") :], "not a map file|JSON"),
    ):
        yield Entry(name, content, Refused(said))
