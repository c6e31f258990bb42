"""Files that would have their reader open other files or call others (reliability study 2a)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import POLYGON, changed, feature, geojson, geopackage, shapefile, zip_of

_NAMES = ("vrt", "csv", "geojson", "json", "gml", "kml", "gpkg", "shp", "xml", "xlsx", "dxf", "tab", "fgb", "parquet")


def vrt(source: object, **attributes: str) -> bytes:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource{said}>{source}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    ).encode()


def gdalg(source: object) -> bytes:
    command = f"gdal vector pipeline ! read {source}"
    return json.dumps({"type": "gdal_streamed_alg", "command_line": command}).encode()


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _virtual_layers(bait)
    yield from _commands(bait)
    yield from _services(bait)
    yield from _coordinate_systems(bait)
    yield from _entities(bait)
    yield from _links_in_maps(bait)


def _virtual_layers(bait: Bait) -> Iterator[Entry]:
    said = Refused("points to other files")
    for suffix in _NAMES:
        yield Entry(f"vrt.{suffix}", vrt(f"CSV:{bait.secret}"), said)
    yield Entry("vrt without a suffix", vrt(bait.secret), said)
    yield Entry("vrt to passwd.csv", vrt("CSV:/etc/passwd"), said)
    yield Entry("vrt after a mark and blanks.geojson", b"\xef\xbb\xbf\n <?xml version='1.0'?>" + vrt(bait.secret), said)
    yield Entry("vrt after a comment.kml", b"<!-- <kml> -->\n" + vrt(bait.secret), said)
    yield Entry("vrt after an instruction.gml", b"<?a <kml> ?>\n<!-- -->" + vrt(bait.secret), said)
    yield Entry("vrt to vsicurl.vrt", vrt(f"/vsicurl/{bait.url}/a.geojson"), said)
    yield Entry("vrt to http.gml", vrt(f"{bait.url}/a.gml"), said)
    yield Entry("vrt to itself.vrt", vrt("vrt to itself.vrt", relativeToVRT="1"), said)
    dbf = shapefile()["parcels.dbf"]
    for suffix in ("csv", "geojson", "gpkg", "kml", "gml"):
        packed = zip_of({f"parcels.{suffix}": vrt(bait.secret)})
        yield Entry(f"vrt as {suffix} in a zip.zip", packed, Refused("points to other files|no map|not a"))
    packed = zip_of({"parcels.shp": vrt(bait.secret), "parcels.dbf": dbf})
    yield Entry("vrt as shp in a zip.zip", packed, Refused("points to other files"))
    yield Entry("vrt as shp beside a dbf.shp", {"vrt as shp beside a dbf.shp": vrt(bait.secret), "p.dbf": dbf}, said)
    # The parts of a shapefile that are text of any form: GDAL must not look for more behind them.
    yield Entry("vrt as prj.zip", zip_of(shapefile(prj=vrt(bait.secret))), Read(said="not hold a coordinate system"))
    yield Entry("vrt as cpg.zip", zip_of(shapefile(cpg=vrt(bait.secret))), Read())
    yield Entry("vrt as shx.zip", zip_of(shapefile(shx=vrt(bait.secret))), Read(said="shx .* made anew"))
    yield Entry("vrt as dbf.zip", zip_of(shapefile(dbf=vrt(bait.secret))), Refused("dbf"))


def _commands(bait: Bait) -> Iterator[Entry]:
    said = Refused("command")
    for suffix in ("geojson", "gdalg.json", "gpkg", "csv"):
        yield Entry(f"gdalg.{suffix}", gdalg(bait.secret), said)
    vsicurl = gdalg(f"/vsicurl/{bait.url}/x.geojson")
    yield Entry("gdalg to vsicurl.geojson", vsicurl, said)
    yield Entry("gdalg in escaped letters.geojson", vsicurl.replace(b"gdal_st", b"gdal\\u005fst"), said)
    yield Entry("gdalg in a zip.zip", zip_of({"parcels.geojson": gdalg(bait.secret)}), said)
    inside = json.loads(gdalg(bait.secret)) | {"features": [feature()]}
    yield Entry("gdalg with features.geojson", json.dumps(inside).encode(), said)
    twice = geojson()[:-1] + b', "type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read /etc/passwd"}'
    yield Entry("gdalg after a collection.geojson", twice, Refused("twice"))
    first = b'{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read /etc/passwd",' + geojson()[1:]
    yield Entry("gdalg before a collection.geojson", first, Refused("twice"))


def _services(bait: Bait) -> Iterator[Entry]:
    for root, suffix in (
        ("wfs:WFS_Capabilities", "gml"),
        ("WFS_Capabilities", "xml"),
        ("OGRWFSDataSource", "xml"),
        ("WMS_Capabilities", "xml"),
        ("Capabilities", "gml"),
    ):
        body = f'<{root} version="1.1.0" xmlns:wfs="http://www.opengis.net/wfs"><URL>{bait.url}/wfs?</URL></{root}>'
        said = "web service" if "WFS_C" in root else "unknown kind"
        yield Entry(f"{root.replace(':', ' ')}.{suffix}", body.encode(), Refused(said))
    for name, text in (
        ("wfs in a line.gml", f"WFS:{bait.url}/wfs"),
        ("url in a line.geojson", f"{bait.url}/a.geojson"),
        ("shortcut to the web.zip", f"[InternetShortcut]\nURL={bait.url}/a.zip\n"),
        ("postgres in a line.csv", "PG:host=127.0.0.1 user=postgres"),
        ("vsi path.shp", f"/vsizip//vsicurl/{bait.url}/a.zip"),
    ):
        yield Entry(name, text.encode(), Refused("not a map file"))
    esri = {"displayFieldName": "", "geometryType": "esriGeometryPolygon", "features": [], "url": bait.url}
    yield Entry("esri json.geojson", json.dumps(esri).encode(), Refused("Esri's own JSON"))
    ring = [[-72.5, 41.5], [-72.5, 41.75], [-72.25, 41.75], [-72.25, 41.5], [-72.5, 41.5]]
    page = {
        "url": bait.url,
        "type": "gdal_streamed_alg",
        "command_line": f"gdal vector pipeline ! read {bait.secret}",
        "fields": [{"name": "id", "type": "esriFieldTypeString"}],
        "spatialReference": {"wkt": f"+proj=longlat +nadgrids={bait.secret}"},
        "features": [{"attributes": {"id": "1"}, "geometry": {"rings": [ring]}, "attachments": bait.url}],
    }
    esri_page = json.dumps(esri | page).encode()
    yield Entry("esri page with pointers.json", esri_page, Read(1, said="missing"))
    yield Entry("esri page cut off.json", esri_page[:-30], Refused("cut off"))
    deep = esri_page.replace(b'"rings": ', b'"rings": ' + b"[" * 100_000 + b"]" * 100_000 + b', "paths": ')
    yield Entry("esri page nested deep.json", deep, Refused("Esri's own JSON and damaged"))
    landing = {"links": [{"rel": "data", "href": f"{bait.url}/collections"}], "title": "a service"}
    yield Entry("ogc api landing page.json", json.dumps(landing).encode(), Refused("not a GeoJSON"))
    stac = {
        "type": "FeatureCollection",
        "stac_version": "1.0.0",
        "features": [feature(assets={"a": {"href": bait.url}})],
    }
    yield Entry("stac items.geojson", json.dumps(stac).encode(), Read(1))


def crs_members(bait: Bait) -> dict[str, dict[str, object]]:
    """CRS objects of GeoJSON that a reader would have to fetch or run."""

    def named(name: str) -> dict[str, object]:
        return {"type": "name", "properties": {"name": name}}

    return {
        "by link": {"type": "link", "properties": {"href": f"{bait.url}/crs", "type": "ogcwkt"}},
        "by url": {"type": "url", "properties": {"url": f"{bait.url}/crs"}},
        "with an http name": named(f"{bait.url}/crs"),
        "with a path as name": named(str(bait.secret)),
        "with a grid file": named(f"+proj=longlat +nadgrids={bait.secret}"),
        "with a grid from the net": named(f"+proj=longlat +datum=WGS84 +nadgrids={bait.url}/x.tif"),
        "with a pipeline": named("+proj=pipeline +step +proj=axisswap +order=2,1"),
        "with an esri import": named(f"ESRI::{bait.secret}"),
    }


def _coordinate_systems(bait: Bait) -> Iterator[Entry]:
    said = Refused("coordinate system")
    for how, member in crs_members(bait).items():
        yield Entry(f"crs {how}.geojson", geojson(crs=member), said)
    link = crs_members(bait)["by link"]
    yield Entry("crs link in a geometry.geojson", geojson([feature(geometry={**POLYGON, "crs": link})]), said)
    yield Entry("crs link in a feature.geojson", geojson([feature(crs=link)]), said)
    spaced = geojson(crs=link).replace(b'"crs":', b'"crs"\n\t:' + b" " * 5000)
    yield Entry("crs link far behind its name.geojson", spaced, said)
    yield Entry(
        "crs link after the features.geojson", geojson()[:-1] + b', "crs":' + json.dumps(link).encode() + b"}", said
    )
    yield Entry(
        "crs in escaped letters.geojson", geojson(crs=link).replace(b'"crs"', b'"\\u0063rs"'), Refused("hidden")
    )
    twice = geojson(crs={"type": "name", "properties": {"name": "EPSG:2234"}})
    twice = twice[:-1] + b', "crs":' + json.dumps(link).encode() + b"}"
    yield Entry("crs named and then linked.geojson", twice, said)
    ordinary = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2234"}}
    yield Entry("crs as usual.geojson", geojson(crs=ordinary), Read(epsg=2234))
    yield Entry("crs null.geojson", geojson(crs=None), Read(epsg=4326))
    grids = (
        f'GEOGCS["x",DATUM["x",SPHEROID["x",6378137,298.257],EXTENSION["PROJ4_GRIDS","{bait.secret}"]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    ).encode()
    yield Entry("prj with a grid file.zip", zip_of(shapefile(prj=grids)), Read(said="grid"))
    for name, text in (
        ("url", f"{bait.url}/crs.prj"),
        ("proj string", f"+proj=longlat +nadgrids={bait.secret} +no_defs"),
        ("path", "/etc/passwd"),
        ("noise", "\x00\x01\xff" * 50),
    ):
        packed = zip_of(shapefile(prj=text.encode("latin-1")))
        yield Entry(f"prj is a {name}.zip", packed, Read(said="not hold a coordinate system"))
    yield Entry("prj of 100 KB.zip", zip_of(shapefile(prj=b'PROJCS["' + b"x" * 100_000)), Refused("far too large"))
    yield Entry(
        "prj cut off.zip", zip_of(shapefile(prj=b'PROJCS["x",GEOGCS["x",DATUM[')), Read(said="coordinate system")
    )
    for name, definition in (
        ("path", str(bait.secret)),
        ("url", f"{bait.url}/crs"),
        ("grid file", grids.decode()),
    ):
        update = "UPDATE gpkg_spatial_ref_sys SET definition = ?, organization = 'x' WHERE srs_id = 2234"
        data = changed(geopackage(), (update, [definition]))
        yield Entry(f"srs of a geopackage is a {name}.gpkg", data, Read(epsg=None, said="coordinate system|GDAL"))


def _entities(bait: Bait) -> Iterator[Entry]:
    said = Refused("document type")
    for suffix, root in (("kml", "kml"), ("gml", "gml:FeatureCollection"), ("gpx", "gpx"), ("xml", "OGRVRTDataSource")):
        external = f'<!DOCTYPE {root} [<!ENTITY x SYSTEM "file://{bait.secret}">]><{root}>&x;</{root}>'
        yield Entry(f"entity of a file.{suffix}", external.encode(), said)
        fetched = f'<?xml version="1.0"?><!DOCTYPE {root} SYSTEM "{bait.url}/x.dtd"><{root}/>'
        yield Entry(f"document type from the net.{suffix}", fetched.encode(), said)
    levels = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    laughs = f'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY l0 "lol">{levels}]><kml><Document>&l9;</Document></kml>'
    yield Entry("a billion laughs.kml", laughs.encode(), said)
    yield Entry("a billion laughs.gml", laughs.replace("kml", "FeatureCollection").encode(), said)
    parameter = f'<!DOCTYPE kml [<!ENTITY % p SYSTEM "{bait.url}/p.dtd"> %p;]><kml/>'
    yield Entry("parameter entity.kml", parameter.encode(), said)


def _links_in_maps(bait: Bait) -> Iterator[Entry]:
    def link(path: Path) -> None:
        path.mkdir()
        (path / "a00000001.gdbtable").symlink_to(bait.secret)

    yield Entry("link in a geodatabase.gdb/", link, Refused("link"))

    def linked(path: Path) -> None:
        for name, data in shapefile().items():
            path.with_suffix(name[7:]).write_bytes(data)
        path.with_suffix(".cpg").unlink()
        path.with_suffix(".cpg").symlink_to(bait.secret)

    yield Entry("link beside a shapefile.shp", linked, Refused("link"))
