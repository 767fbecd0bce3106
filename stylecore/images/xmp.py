"""XMP packets (ISO 16684-1): the orientation, and what a Result must correct or no longer claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

import defusedxml
import defusedxml.minidom

STAND_INS = {"\n": "\ue00a", "\r": "\ue00d", "\t": "\ue009"}
"""For line breaks in attributes, and carriage returns, which `toxml` writes as they are, and readers then change."""

MAX_BYTES = 1 << 24
TIFF, EXIF, XMP = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/xap/1.0/"
COLOURS = {
    ("http://ns.adobe.com/photoshop/1.0/", "ICCProfile"), ("http://ns.adobe.com/photoshop/1.0/", "ColorMode"),
}  # fmt: skip
NOTE, CAMERA = "http://ns.adobe.com/xmp/note/", "http://ns.google.com/photos/1.0/camera/"
GAIN_MAP, VIDEO, DEPTH, MORE = "gain map", "video of the motion photo", "depth map", "extended XMP"

CLAIMS = {  # namespaces that only describe what comes after the picture in its file
    "http://ns.adobe.com/hdr-gain-map/1.0/": GAIN_MAP,
    "http://ns.apple.com/HDRGainMap/1.0/": GAIN_MAP,
    "http://ns.google.com/photos/1.0/container/": None,
    "http://ns.google.com/photos/1.0/container/item/": None,
    "http://ns.google.com/photos/1.0/depthmap/": DEPTH,
    "http://ns.google.com/photos/1.0/image/": None,
    "http://ns.google.com/photos/1.0/audio/": None,
    "http://ns.google.com/photos/dd/1.0/device/": DEPTH,
    "http://ns.oplus.com/photos/1.0/camera/": None,
    "http://ns.xiaomi.com/photos/1.0/camera/": None,
}
Property: TypeAlias = minidom.Attr | minidom.Element
Values: TypeAlias = Mapping[tuple[str, str], int | str]
"""By namespace and name."""
CAMERA_CLAIMS = ("MotionPhoto", "MicroVideo")  # beginnings of names


@dataclass(frozen=True)
class Found:
    """``orientation``: 1 to 8, or None. ``claims``: what the packet says is in the file besides the picture."""

    orientation: int | None
    claims: tuple[str, ...]


def read(packet: bytes) -> Found:
    """What a packet says. Of one that is not well-formed, only the orientation."""
    document = _parsed(packet)
    if document is None:
        stated = re.search(rb"tiff:Orientation\s*(?:=\s*[\"']|>\s*)([1-8])\b", packet)
        return Found(int(stated[1]) if stated else None, ())
    orientation, claims = None, set()
    for node, _ in _properties(document):
        if (node.namespaceURI, node.localName) == (TIFF, "Orientation") and orientation is None:
            text = _text(node)
            orientation = int(text) if text in "12345678" and text else None
        if _is_claim(node):
            name = CLAIMS.get(node.namespaceURI or "")
            if node.namespaceURI == CAMERA:
                name = VIDEO if _text(node) not in ("", "0") else None
            elif node.namespaceURI == NOTE:
                name = MORE
            claims |= {name} if name else set()
    return Found(orientation, tuple(sorted(claims)))


def corrected(packet: bytes, width: int, height: int, colour_space: int | None = None) -> bytes:
    """The packet for an upright Result of this size, without a thumbnail of the photo and without claims about what the
    Result's file does not contain. One that is not well-formed is corrected as text, with the usual prefixes.
    ``colour_space``: as in `exif.corrected`."""
    values: dict[tuple[str, str], int | str] = {
        (TIFF, "Orientation"): 1, (TIFF, "ImageWidth"): width, (TIFF, "ImageLength"): height,
        (EXIF, "PixelXDimension"): width, (EXIF, "PixelYDimension"): height,
    }  # fmt: skip
    if colour_space is not None:
        values[EXIF, "ColorSpace"] = colour_space
    stale = {(XMP, "Thumbnails")} if colour_space is None else {(XMP, "Thumbnails"), *COLOURS}
    found = _rewritten(packet, values, lambda node: _is_claim(node) or (node.namespaceURI, node.localName) in stale)
    return _without_claims(_with_values(packet, values)) if found is None else found


def at_resolution(packet: bytes, dpi: int) -> bytes:
    """The packet with so many pixels per inch, wherever it says how many."""
    values: Values = {(TIFF, "XResolution"): f"{dpi}/1", (TIFF, "YResolution"): f"{dpi}/1", (TIFF, "ResolutionUnit"): 2}
    found = _rewritten(packet, values, lambda _: False)
    return _with_values(packet, values) if found is None else found


def _rewritten(packet: bytes, values: Values, unwanted: Callable[[Property], bool]) -> bytes | None:
    """None if the packet is not well-formed."""
    document = _parsed(packet)
    if document is None:
        return None
    for node, owner in list(_properties(document)):
        if not unwanted(node):
            _write(node, values.get((node.namespaceURI or "", node.localName or "")))
        elif node.nodeType == Node.ATTRIBUTE_NODE:
            owner.removeAttributeNode(node)
        else:
            owner.removeChild(node)
    try:
        out = "".join(child.toxml() for child in document.childNodes)
    except RecursionError:
        return None
    for character, stand_in in STAND_INS.items():
        out = out.replace(stand_in, f"&#{ord(character)};")
    return out.encode()


def _write(node: Property, value: int | str | None) -> None:
    """Give the node this value, if there is one, and stand-ins for what `toxml` would lose."""
    if node.nodeType == Node.ATTRIBUTE_NODE:
        node.value = str(value) if value is not None else "".join(STAND_INS.get(c, c) for c in node.value)
        return
    for child in node.childNodes:
        if child.nodeType == Node.TEXT_NODE:
            child.data = child.data.replace("\r", STAND_INS["\r"])
    if value is not None and node.firstChild is not None and node.firstChild.nodeType == Node.TEXT_NODE:
        node.firstChild.data = str(value)


def _with_values(packet: bytes, values: Values) -> bytes:
    prefixes = {TIFF: "tiff", EXIF: "exif"}
    for (namespace, name), value in values.items():
        pattern = rf"({prefixes[namespace]}:{name}\s*(?:=\s*[\"']|>\s*))[\d/]+"
        packet = re.sub(pattern.encode(), rb"\g<1>" + str(value).encode(), packet)
    return packet


def _without_claims(packet: bytes) -> bytes:
    claims = rb"\b(?:GCamera:(?:MotionPhoto|MicroVideo)\w*|hdrgm:\w+|xmpNote:HasExtendedXMP)\s*=\s*(\"[^\"]*\"|'[^']*')"
    packet = re.sub(claims, b"", packet)
    start = packet.find(b"<xmp:Thumbnails")
    end = packet.find(b"</xmp:Thumbnails>", start)
    return packet[:start] + packet[end + len(b"</xmp:Thumbnails>") :] if 0 <= start < end else packet


def _is_claim(node: Property) -> bool:
    if node.namespaceURI == CAMERA:
        return (node.localName or "").startswith(CAMERA_CLAIMS)
    return node.namespaceURI in CLAIMS or (node.namespaceURI, node.localName) == (NOTE, "HasExtendedXMP")


def _properties(document: minidom.Document) -> Iterator[tuple[Property, minidom.Element]]:
    """Every attribute and element, with the element that has it. What is in a claim is not visited."""
    stack = [document.documentElement]
    while stack:
        element = stack.pop()
        if element is None:
            continue
        for attribute in list((element.attributes or {}).values()):
            yield attribute, element
        for child in element.childNodes:
            if child.nodeType == Node.ELEMENT_NODE:
                yield child, element
                if not _is_claim(child):
                    stack.append(child)


def _text(node: Property) -> str:
    if node.nodeType == Node.ATTRIBUTE_NODE:
        return str(node.value).strip()
    first = node.firstChild
    return str(first.data).strip() if first is not None and first.nodeType == Node.TEXT_NODE else ""


def _parsed(packet: bytes) -> minidom.Document | None:
    """A packet with a DTD is refused: XMP has none, and its entities can be bombs."""
    packet = packet.strip(b"\0 \t\r\n")
    if len(packet) > MAX_BYTES:
        return None
    try:
        document: minidom.Document = defusedxml.minidom.parseString(packet, forbid_dtd=True)
    except (ExpatError, defusedxml.DefusedXmlException, ValueError, LookupError, RecursionError):
        return None
    return document
