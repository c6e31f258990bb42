"""KML and GML (reliability study 2d): what is cut, nested or linked must not come back short in silence."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import gml, gml_member, kml, kml_placemark, patched, zip_of

_NAMES = ["001", "002", "003"]


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _kml(bait)
    yield from _kml_shapes()
    yield from _gml(bait)
    yield from _gml_shapes()


def _kml(bait: Bait) -> Iterator[Entry]:
    whole = kml()
    yield Entry("plain.kml", whole, Read(cells={"Name": _NAMES}, epsg=4326, empty=0))
    yield Entry("zipped.kmz", zip_of({"doc.kml": whole, "files/icon.png": b"\x89PNG"}), Read(cells={"Name": _NAMES}))
    yield Entry("in a zip.zip", zip_of({"town/parcels.kml": whole}), Read(cells={"Name": _NAMES}))
    yield Entry("kmz in a zip.zip", zip_of({"parcels.kmz": zip_of({"doc.kml": whole})}), Read(cells={"Name": _NAMES}))
    for at in (len(whole) // 2, whole.rindex(b"<Placemark>"), len(whole) - 10):
        yield Entry(f"cut at byte {at}.kml", whole[:at], Refused("damaged|cut off"))
    yield Entry("twice.kml", whole + whole, Refused("damaged|several"))
    yield Entry("noise after it.kml", whole + b"\x01\xff", Refused("damaged|not a map"))
    yield Entry("tags that do not match.kml", whole.replace(b"</Placemark>", b"</Placemarc>", 1), Refused("damaged"))
    yield Entry("an ampersand alone.kml", whole.replace(b"001", b"A & B"), Refused("damaged"))
    yield Entry("no placemarks.kml", kml(" "), Refused("no layers|nothing|no map|empty"))
    link = f"<NetworkLink><name>x</name><Link><href>{bait.url}/more.kml</href></Link></NetworkLink>"
    yield Entry("link to the net.kml", kml(*(kml_placemark(n) for n in range(3)), link), Read(cells={"Name": _NAMES}))
    yield Entry("link and nothing else.kml", kml(link), Read(0, counted=0))
    local = link.replace(bait.url, f"file://{bait.secret}")
    yield Entry("link to a file.kml", kml(*(kml_placemark(n) for n in range(3)), local), Read(cells={"Name": _NAMES}))
    style = f"<styleUrl>{bait.url}/style.kml#x</styleUrl>"
    yield Entry(
        "style from the net.kml", kml(*(kml_placemark(n, more=style) for n in range(3))), Read(cells={"Name": _NAMES})
    )
    data = f'<SchemaData schemaUrl="{bait.url}/s.kml#x"><SimpleData name="lot">7</SimpleData></SchemaData>'
    schema = f"<ExtendedData>{data}</ExtendedData>"
    yield Entry(
        "schema from the net.kml", kml(*(kml_placemark(n, more=schema) for n in range(3))), Read(cells={"Name": _NAMES})
    )
    overlay = f"<GroundOverlay><Icon><href>{bait.url}/x.png</href></Icon></GroundOverlay>"
    yield Entry("picture from the net.kml", kml(*(kml_placemark(n) for n in range(3)), overlay), Read(4, empty=1))
    data = '<ExtendedData><Data name="lot"><value>0007</value></Data></ExtendedData>'
    yield Entry("data.kml", kml(*(kml_placemark(n, more=data) for n in range(3))), Read(cells={"lot": ["0007"] * 3}))
    html = "<description><![CDATA[<table><tr><td>OWNER</td></tr></table><script>alert(1)</script>]]></description>"
    yield Entry(
        "html in the description.kml",
        kml(*(kml_placemark(n, more=html) for n in range(3))),
        Read(cells={"Name": _NAMES}),
    )
    folders = "<Folder>" * 200 + kml_placemark(0) + "</Folder>" * 200
    yield Entry("200 folders in one another.kml", kml(folders), Refused("nested"))
    deep = "<Folder>" * 100_000 + "</Folder>" * 100_000
    yield Entry("100000 folders in one another.kml", kml(deep), Refused("nested|damaged|crashed its reader"))
    two = "".join(
        f"<Folder><name>{town}</name>{kml_placemark(0)}{kml_placemark(1)}</Folder>" for town in ("East", "West")
    )
    yield Entry("two folders.kml", kml(two), Refused("several layers"))
    yield Entry("a folder asked for.kml", kml(two), Read(2), layer="West")
    latin = kml(
        *(kml_placemark(n, more="<address>Mueller</address>") for n in range(3)),
        head='<?xml version="1.0" encoding="ISO-8859-1"?>',
    )
    yield Entry("in latin-1.kml", latin.replace(b"Mueller", b"M\xfcller"), Read(cells={"Name": _NAMES}))
    yield Entry(
        "called latin-1 and none.kml",
        latin.replace(b"ISO-8859-1", b"UTF-8").replace(b"Mueller", b"M\xfcller"),
        Refused("damaged"),
    )
    yield Entry("encoding unknown.kml", latin.replace(b"ISO-8859-1", b"KLINGON-88"), Refused("unknown encoding"))
    yield Entry("utf-16.kml", whole.decode().replace("UTF-8", "UTF-16").encode("utf-16"), Refused("UTF-16|not a map"))
    yield Entry(
        "other prefix.kml",
        whole.replace(b"<", b"<k:").replace(b"<k:/", b"</k:").replace(b"<k:?", b"<?").replace(b"xmlns=", b"xmlns:k="),
        Read(cells={"Name": _NAMES}),
    )
    yield Entry(
        "no namespace.kml", whole.replace(b' xmlns="http://www.opengis.net/kml/2.2"', b""), Read(cells={"Name": _NAMES})
    )
    yield Entry(
        "text of 3 MB.kml",
        kml(*(kml_placemark(n, more=f"<description>{'x' * 3_000_000}</description>") for n in range(2))),
        Read(2),
    )
    commented = whole.replace(b"<Document>", b"<Document><!-- <Placemark></Placemark> -->")
    yield Entry("a placemark in a comment.kml", commented, Read(cells={"Name": _NAMES}))
    quoted = kml(*(kml_placemark(n, more="<description><![CDATA[<Placemark>]]></description>") for n in range(3)))
    yield Entry("a placemark in a text.kml", quoted, Read(cells={"Name": _NAMES}))


def _kml_shapes() -> Iterator[Entry]:
    for how, coordinates, verdict in (
        ("words", "here there", Read(4, lost=1, said="[Ss]hape", empty=1)),
        ("NaN", "nan,nan 1,1 2,2 nan,nan", Read(4, lost=1, said="[Ss]hape", empty=1)),
        ("one number", "1", Read(4, lost=1, said="[Ss]hape", empty=1)),
        ("nothing", "", Read(4, lost=1, said="without the shape", empty=1)),
        ("not closed", "0,0 1,0 1,1 0,1", Read(4, said="closed")),
        ("two points", "0,0 1,1 0,0", Read(4)),
        ("out of range", "500,95 501,95 501,96 500,95", Read(4)),
        ("comma and blank", "0, 0, 0 1, 0, 0 1, 1, 0 0, 0, 0", Read(4, empty=0)),
        ("1e400", "1e400,0 1,0 1,1 1e400,0", Read(4, empty=0)),
    ):
        last = kml_placemark(3, coordinates=coordinates)
        yield Entry(f"coordinates of {how}.kml", kml(*(kml_placemark(n) for n in range(3)), last), verdict)
    bare = "<Placemark><name>004</name></Placemark>"
    yield Entry("a placemark without a shape.kml", kml(*(kml_placemark(n) for n in range(3)), bare), Read(4, empty=1))
    inside = kml_placemark(0).partition("</name>")[2].removesuffix("</Placemark>")
    many = f"<Placemark><name>004</name><MultiGeometry>{inside}{inside}</MultiGeometry></Placemark>"
    yield Entry("several shapes in one.kml", kml(*(kml_placemark(n) for n in range(3)), many), Read(4, empty=0))
    nested = f"<Placemark><name>004</name>{'<MultiGeometry>' * 100}{inside}{'</MultiGeometry>' * 100}</Placemark>"
    yield Entry(
        "shapes nested 100 deep.kml", kml(*(kml_placemark(n) for n in range(3)), nested), Refused("nested|damaged")
    )
    point = "<Placemark><name>004</name><Point><coordinates>0,0</coordinates></Point></Placemark>"
    yield Entry("a point among them.kml", kml(*(kml_placemark(n) for n in range(3)), point), Read(4, empty=0))


def _gml(bait: Bait) -> Iterator[Entry]:
    whole = gml()
    ids = {"id": ["001x", "002x", "003x"]}
    yield Entry("plain.gml", whole, Read(cells=ids, epsg=2234, empty=0))
    yield Entry("plain.xml", whole, Read(cells=ids))
    yield Entry("gml in a zip.zip", zip_of({"parcels.gml": whole}), Read(cells=ids))
    for at in (len(whole) // 2, whole.rindex(b"<gml:featureMember>"), len(whole) - 10):
        yield Entry(f"cut at byte {at}.gml", whole[:at], Refused("damaged|cut off"))
    yield Entry("noise in the middle.gml", patched(whole, (len(whole) // 2, b"\x01\x02<<>>")), Refused("damaged"))
    yield Entry("tags that do not match.gml", whole.replace(b"</t:parcel>", b"</t:parzel>", 1), Refused("damaged"))
    yield Entry("twice.gml", whole + whole, Refused("damaged|several"))
    yield Entry("no members.gml", gml(" "), Refused("no layers|nothing|no map|empty"))
    describe = "SERVICE=WFS&amp;VERSION=1.1.0&amp;REQUEST=DescribeFeatureType&amp;TYPENAME=t:parcel"
    for how, location in (
        ("of a service", f"http://town.example/t {bait.url}/wfs?{describe}"),
        ("of the net", f"http://town.example/t {bait.url}/t.xsd"),
        ("of a file", f"http://town.example/t file://{bait.secret}"),
        ("of passwd", "http://town.example/t /etc/passwd"),
    ):  # fmt: skip
        attributes = f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{location}"'
        yield Entry(f"schema {how}.gml", gml(attributes=attributes), Read(cells=ids))
    link = f'<gml:featureMember xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{bait.url}/f.gml#1"/>'
    yield Entry("a member from the net.gml", gml(*(gml_member(n) for n in range(3)), link), Refused("lie elsewhere"))
    shape = f'<t:other xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="file://{bait.secret}"/>'
    yield Entry("a property from a file.gml", gml(*(gml_member(n, more=shape) for n in range(3))), Read(cells=ids))
    yield Entry(
        "system from the net.gml",
        gml(*(gml_member(n, srs=f"{bait.url}/crs") for n in range(3))),
        Read(cells=ids, epsg=None, said="."),
    )
    yield Entry(
        "system by the usual address.gml",
        gml(*(gml_member(n, srs="http://www.opengis.net/gml/srs/epsg.xml#2234") for n in range(3))),
        Read(cells=ids, epsg=2234),
    )
    deep = "<t:a>" * 100 + "7" + "</t:a>" * 100
    yield Entry(
        "values nested 100 deep.gml",
        gml(*(gml_member(n, more=deep) for n in range(3))),
        Refused("nested|without shapes"),
    )
    yield Entry(
        "values nested 100000 deep.gml",
        gml(gml_member(0, more="<t:a>" * 100_000 + "</t:a>" * 100_000)),
        Refused("nested|crashed|damaged"),
    )
    error = b'<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows"><ows:Exception/></ows:ExceptionReport>'
    yield Entry("an error of a service.gml", error, Refused("unknown kind"))
    wfs = whole.replace(b"gml:FeatureCollection", b"wfs:FeatureCollection").replace(
        b" xmlns:t=", b' xmlns:wfs="http://www.opengis.net/wfs" xmlns:t='
    )
    yield Entry("answer of a service.gml", wfs, Read(cells=ids))
    says = wfs.replace(b" xmlns:t=", b' numberOfFeatures="4" numberReturned="4" xmlns:t=')
    yield Entry("answer that says four.gml", says, Read(cells=ids))
    members = (
        b"<gml:featureMembers>"
        + b"".join(gml_member(n)[len("<gml:featureMember>") : -len("</gml:featureMember>")].encode() for n in range(3))
        + b"</gml:featureMembers>"
    )
    yield Entry("all members in one.gml", gml(members.decode()), Read(cells=ids))
    modern = whole.replace(b"http://www.opengis.net/gml", b"http://www.opengis.net/gml/3.2")
    yield Entry("of version 3.2.gml", modern, Read(cells=ids, epsg=2234))
    twice = gml(gml_member(0), gml_member(0), gml_member(1))
    yield Entry("one id twice.gml", twice, Read(cells={"id": ["001x", "001x", "002x"]}))
    commented = whole.replace(b"<gml:featureMember>", b"<!-- <gml:featureMember> --><gml:featureMember>", 1)
    yield Entry("a member in a comment.gml", commented, Read(cells=ids))
    two = gml(*(gml_member(n) for n in range(3)), *(gml_member(n).replace("t:parcel", "t:building") for n in range(3)))
    yield Entry("two kinds of member.gml", two, Read(cells=ids))
    yield Entry(
        "text of 3 MB.gml", gml(*(gml_member(n, more=f"<t:note>{'x' * 3_000_000}</t:note>") for n in range(2))), Read(2)
    )


def _gml_shapes() -> Iterator[Entry]:
    lost = Read(4, lost=1, said="[Ss]hape|GDAL", empty=1)
    for how, coordinates, verdict in (
        ("words", "here there", lost),
        ("NaN", "nan,nan 1,1 2,2 nan,nan", Read(4, empty=0)),
        ("one number", "1", Read(3, counted=4, lost=1, said="GDAL")),
        ("nothing", "", Read(4, lost=1, said="without the shape", empty=1)),
        ("not closed", "0,0 1,0 1,1 0,1", Read(4, said="closed")),
        ("1e400", "1e400,0 1,0 1,1 1e400,0", Read(4, empty=0)),
    ):
        last = gml_member(3, coordinates=coordinates)
        yield Entry(f"coordinates of {how}.gml", gml(*(gml_member(n) for n in range(3)), last), verdict)
    bare = '<gml:featureMember><t:parcel fid="x"><t:id>004x</t:id></t:parcel></gml:featureMember>'
    yield Entry("a member without a shape.gml", gml(*(gml_member(n) for n in range(3)), bare), Read(4, empty=1))
    polygon = gml_member(3).partition("<t:shape>")[2].partition("</t:shape>")[0]
    nested = polygon
    for _ in range(100):
        nested = f"<gml:MultiGeometry><gml:geometryMember>{nested}</gml:geometryMember></gml:MultiGeometry>"
    deep = gml_member(3).replace(polygon, nested)
    yield Entry("shapes nested 100 deep.gml", gml(*(gml_member(n) for n in range(3)), deep), Refused("nested"))
    arc = (
        '<gml:Polygon srsName="EPSG:2234"><gml:exterior><gml:Ring><gml:curveMember><gml:Curve><gml:segments>'
        "<gml:ArcString>"
        "<gml:posList>0 0 1 1 2 0 1 -1 0 0</gml:posList></gml:ArcString></gml:segments></gml:Curve></gml:curveMember>"
        "</gml:Ring></gml:exterior></gml:Polygon>"
    )
    curved = gml_member(3).replace(polygon, arc)
    yield Entry("a circle.gml", gml(*(gml_member(n) for n in range(3)), curved), Read(4, said="curves", empty=0))
    odd = polygon.replace("<gml:coordinates>", "<gml:posList>").replace("</gml:coordinates>", "</gml:posList>")
    odd = odd.replace(odd.partition("<gml:posList>")[2].partition("</gml:posList>")[0], "0 0 1 0 1 1 0")
    yield Entry(
        "an odd number of numbers.gml",
        gml(*(gml_member(n) for n in range(3)), gml_member(3).replace(polygon, odd)),
        Read(3, counted=4, lost=1, said="GDAL"),
    )
