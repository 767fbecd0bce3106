"""IPTC's Information Interchange Model (IIM 4.2), and Photoshop's image resources, in which JPEGs carry it."""

from __future__ import annotations

import struct

PHOTOSHOP = b"Photoshop 3.0\0"
IIM = 0x0404  # the resource's number
CAPTION, BY_LINE, COPYRIGHT = (2, 120), (2, 80), (2, 116)
CHARACTER_SET = (1, 90)


def from_resources(data: bytes) -> bytes | None:
    """The IIM record in Photoshop's image resources, or None."""
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        number, name = struct.unpack_from(">HB", data, at + 4)
        at += 6 + (name + 2) // 2 * 2  # the name, with its length, is padded to an even number of bytes
        if at + 4 > len(data):
            return None
        length = struct.unpack_from(">I", data, at)[0]
        if number == IIM:
            return data[at + 4 : at + 4 + length] or None
        at += 4 + length + length % 2
    return None


def as_resources(record: bytes) -> bytes:
    """The IIM record as Photoshop's image resources."""
    return b"8BIM" + struct.pack(">HHI", IIM, 0, len(record)) + record + b"\0" * (len(record) % 2)


def texts(record: bytes) -> dict[tuple[int, int], str]:
    """The first text of each dataset, by (record, dataset). Damaged parts are left out."""
    found: dict[tuple[int, int], bytes] = {}
    at = 0
    while at + 5 <= len(record) and record[at] == 0x1C:
        key, length = (record[at + 1], record[at + 2]), struct.unpack_from(">H", record, at + 3)[0]
        if length & 0x8000:  # the length of an extended dataset's length: too long to be a text
            break
        found.setdefault(key, record[at + 5 : at + 5 + length])
        at += 5 + length
    return {key: as_text(value) for key, value in found.items() if key != CHARACTER_SET}


def as_text(value: bytes) -> str:
    """UTF-8 if it can be, otherwise Latin-1: few programs declare what they write."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
