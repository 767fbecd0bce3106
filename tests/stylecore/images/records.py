"""Photos with metadata that is known."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from stylecore.images.encode import save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Metadata, Photo
from stylecore.output import Output
from tests.stylecore.images.photos import result_of


def dataset(record: int, number: int, text: str) -> bytes:
    data = text.encode()
    return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data


RECORD = (
    dataset(1, 90, "\x1b%G")
    + dataset(2, 120, "The harbour at dusk")
    + dataset(2, 80, "Jane Doë")
    + dataset(2, 116, "(c) Jane")
    + dataset(2, 25, "harbour")
    + dataset(2, 25, "evening")
)
PACKET = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:C="http://ns.google.com/photos/1.0/camera/" xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:n="http://ns.adobe.com/xmp/note/"
 tiff:Orientation="6" C:MotionPhoto="1" C:MotionPhotoVersion="1" C:MicroVideoOffset="4032" C:SpecialTypeID="PORTRAIT"
 g:Version="1.0" n:HasExtendedXMP="0123">
<dc:creator><rdf:Seq><rdf:li>Jane</rdf:li></rdf:Seq></dc:creator>
<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def photo_with(small: Image.Image, metadata: Metadata, kind: str = "png") -> Photo:
    return Photo(Path("a"), np.asarray(small), kind, metadata=metadata)


def saved(photo: Photo, folder: Path, kind: str) -> tuple[Path, list[str]]:
    path = folder / f"out{EXTENSIONS[kind]}"
    return path, save_result(result_of(photo), path, Output())
