"""Tell whether the bytes of an image file are all there.

Decoders disagree about cut files: some fill the rest of the picture with grey and say nothing. The end
marks of the formats are cheap to look for, so every backend gets the same answer.
"""

from __future__ import annotations

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def truncation(data: bytes) -> str | None:
    """Return what is missing from a cut image file, or None when it is whole or of a format not checked here.

    Args:
        data: The content of a file.
    """
    if not data:
        return "the file is empty"
    if data.startswith(_JPEG_START):
        return None if _jpeg_ends(data) else "the JPEG stops before its end mark"
    if data.startswith(_PNG_START):
        return None if _PNG_END in data else "the PNG stops before its last chunk"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _shorter(data, int.from_bytes(data[4:8], "little") + 8)
    if data[:2] == b"BM":
        return _shorter(data, int.from_bytes(data[2:6], "little"))
    return None


def _shorter(data: bytes, declared: int) -> str | None:
    return f"it has {len(data)} of {declared} bytes" if len(data) < declared else None


def _jpeg_ends(data: bytes) -> bool:
    """Whether the end mark follows the picture's own first scan; thumbnails in the header have end marks too."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return False
        kind = data[at + 1]
        if kind == 0xFF:  # fill byte
            at += 1
            continue
        if kind == _JPEG_SCAN:
            return data.find(_JPEG_END, at) >= 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
