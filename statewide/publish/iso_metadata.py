"""A record as ISO 19139 XML, the form that QGIS, Esri and harvesters of geoportals read.

Elements stand in the order of the schema's sequences (gmd 2006); a reader that validates refuses any other.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from statewide.publish.catalogue import Record
from statewide.standard import Standard

GMD, GCO = "http://www.isotc211.org/2005/gmd", "http://www.isotc211.org/2005/gco"
_CODES = "http://standards.iso.org/iso/19139/resources/gmxCodelists.xml"
_SERVED_AS = {"OGC API - Features": "OGC:OGCAPI-Features", "OGC API - Tiles": "OGC:OGCAPI-Tiles"}


def iso_xml(standard: Standard, record: Record) -> bytes:
    """The whole document."""
    ET.register_namespace("gmd", GMD)
    ET.register_namespace("gco", GCO)
    root = Element(f"{{{GMD}}}MD_Metadata")
    _text(root, "fileIdentifier", record.identifier)
    _text(root, "language", "eng")
    _code(root, "characterSet", "MD_CharacterSetCode", "utf8")
    _code(root, "hierarchyLevel", "MD_ScopeCode", "dataset")
    _contact(_add(root, "contact"), standard, record, "pointOfContact")
    _gco(_add(root, "dateStamp"), "Date", record.modified.isoformat())
    _text(root, "metadataStandardName", "ISO 19115:2003/19139")
    _text(root, "metadataStandardVersion", "1.0")
    reference = _add(root, "referenceSystemInfo", "MD_ReferenceSystem", "referenceSystemIdentifier", "RS_Identifier")
    _text(reference, "code", "4326")
    _text(reference, "codeSpace", "EPSG")
    _identification(_add(root, "identificationInfo", "MD_DataIdentification"), standard, record)
    if record.links:
        _distribution(_add(root, "distributionInfo", "MD_Distribution"), record)
    quality = _add(root, "dataQualityInfo", "DQ_DataQuality")
    _code(_add(quality, "scope", "DQ_Scope"), "level", "MD_ScopeCode", "dataset")
    _text(_add(quality, "lineage", "LI_Lineage"), "statement", record.lineage)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _identification(made: Element, standard: Standard, record: Record) -> None:
    law = standard.catalogue
    citation = _add(made, "citation", "CI_Citation")
    _text(citation, "title", record.title)
    date = _add(citation, "date", "CI_Date")
    _gco(_add(date, "date"), "Date", record.modified.isoformat())
    _code(date, "dateType", "CI_DateTypeCode", "revision")
    _text(_add(citation, "identifier", "MD_Identifier"), "code", record.identifier)
    _text(made, "abstract", record.description)
    _code(made, "status", "MD_ProgressCode", "onGoing")
    _contact(_add(made, "pointOfContact"), standard, record, "publisher")
    maintenance = _add(made, "resourceMaintenance", "MD_MaintenanceInformation")
    frequency = law.frequencies[record.entry.update_frequency].code
    _code(maintenance, "maintenanceAndUpdateFrequency", "MD_MaintenanceFrequencyCode", frequency)
    keywords = _add(made, "descriptiveKeywords", "MD_Keywords")
    for word in record.keywords:
        _text(keywords, "keyword", word)
    _code(keywords, "type", "MD_KeywordTypeCode", "theme")
    legal = _add(made, "resourceConstraints", "MD_LegalConstraints")
    if record.license:
        _code(legal, "accessConstraints", "MD_RestrictionCode", "license")
    else:
        _code(legal, "accessConstraints", "MD_RestrictionCode", "otherRestrictions")
    _text(legal, "otherConstraints", record.license or record.rights or "The licence is not stated.")
    security = _add(made, "resourceConstraints", "MD_SecurityConstraints")
    _code(security, "classification", "MD_ClassificationCode", law.data_classes[record.data_class].code)
    _text(security, "userNote", law.data_classes[record.data_class].says)
    _text(made, "language", "eng")
    _code(made, "characterSet", "MD_CharacterSetCode", "utf8")
    _add(made, "topicCategory", "MD_TopicCategoryCode").text = record.entry.topic
    extent = _add(made, "extent", "EX_Extent")
    box = _add(extent, "geographicElement", "EX_GeographicBoundingBox")
    west, south, east, north = standard.header.extent.bbox
    for name, value in (
        ("westBoundLongitude", west),
        ("eastBoundLongitude", east),
        ("southBoundLatitude", south),
        ("northBoundLatitude", north),
    ):
        _gco(_add(box, name), "Decimal", str(value))
    if record.vintages:
        said = "; ".join(" ".join(filter(None, (each.source, each.name, each.version))) for each in record.vintages)
        _text(made, "supplementalInformation", f"Made of: {said}.")


def _distribution(made: Element, record: Record) -> None:
    """Formats first, then every place where the dataset is had."""
    for media_type in sorted({link.media_type for link in record.links if link.rel == "item"}):
        shape = _add(made, "distributionFormat", "MD_Format")
        _text(shape, "name", media_type)
        _text(shape, "version", "1")
    transfer = _add(made, "transferOptions", "MD_DigitalTransferOptions")
    for link in record.links:
        online = _add(transfer, "onLine", "CI_OnlineResource")
        _add(online, "linkage", "URL").text = link.href
        _text(online, "protocol", _SERVED_AS.get(link.service or "", link.service or "WWW:LINK"))
        _text(online, "name", link.title)
        function = "download" if link.rel == "item" else "information"
        _code(online, "function", "CI_OnLineFunctionCode", function)


def _contact(made: Element, standard: Standard, record: Record, role: str) -> None:
    contact = standard.header.contact
    party = _add(made, "CI_ResponsibleParty")
    _text(party, "organisationName", record.publisher)
    _text(party, "positionName", contact.name)
    info = _add(party, "contactInfo", "CI_Contact")
    _text(_add(info, "address", "CI_Address"), "electronicMailAddress", contact.email)
    _add(info, "onlineResource", "CI_OnlineResource", "linkage", "URL").text = contact.url
    _code(party, "role", "CI_RoleCode", role)


def _add(parent: Element, *names: str) -> Element:
    """Nested elements of these names; the innermost."""
    for name in names:
        parent = ET.SubElement(parent, f"{{{GMD}}}{name}")
    return parent


def _gco(parent: Element, kind: str, text: str) -> None:
    ET.SubElement(parent, f"{{{GCO}}}{kind}").text = text


def _text(parent: Element, name: str, text: str) -> None:
    _gco(_add(parent, name), "CharacterString", text)


def _code(parent: Element, name: str, kind: str, value: str) -> None:
    made = _add(parent, name, kind)
    made.set("codeList", f"{_CODES}#{kind}")
    made.set("codeListValue", value)
    made.text = value
