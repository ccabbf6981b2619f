"""Marks that programs leave in metadata: camera, software, provenance manifests, and what says "made by a model"."""

from __future__ import annotations

import re
from typing import Any

_MAKE, _MODEL, _SOFTWARE, _ARTIST, _COPYRIGHT, _ASCII = 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 2
_MOST_ENTRIES = 512
_MOST_CHARACTERS = 100

_SOURCE_TYPE = re.compile(
    rb"(?:composite(?:With)?|composite_with_)?[tT]rained_?[aA]lgorithmic_?[mM]edia"
    rb"|(?<=digitalsourcetype/)(?:algorithmicMedia|compositeSynthetic)\b"
)
_TOOLS = re.compile(
    r"midjourney|dall[-. ]?e\b|stable[-_ ]?diffusion|novelai|invokeai|comfyui|automatic1111|dreamstudio|fooocus"
    r"|adobe[_ ]firefly|^firefly$|google (?:ai|imagen)|\bimagen \d|openai|gpt-4o|\bflux[.\d]|ideogram"
    r"|leonardo\.ai|craiyon|draw things|diffusers",
    re.IGNORECASE,
)
_XMP_NAMES = re.compile(rb"(?:CreatorTool|AISystemUsed|photoshop:Credit)(?:>|=[\"'])([^<\"']{1,200})")
_XMP_MARKS = {b"Iptc4xmpExt:AISystemUsed": "iptc:AISystemUsed", b"TC260:AIGC": "xmp:AIGC"}
_DATASET = b"\x1c\x02"  # of the application record of IPTC's IIM
_CREDITS = frozenset((65, 80, 110, 115, 116))  # its program, by-line, credit, source and copyright
_PNG_KEYS = {
    "parameters": "parameters",  # AUTOMATIC1111, Fooocus
    "prompt": "prompt",  # ComfyUI
    "workflow": "workflow",
    "sd-metadata": "sd-metadata",  # InvokeAI
    "invokeai_metadata": "invokeai_metadata",
    "dream": "dream",
    "generation_data": "generation_data",
    "ai_metadata": "ai_metadata",
    "aigc": "aigc",
}
_JOB = re.compile(rb"Job ID: [0-9a-f]{8}-")
_STEPS = tuple("Steps: ".encode(code) for code in ("ascii", "utf-16-le", "utf-16-be"))
_SAMPLER = tuple("Sampler".encode(code) for code in ("ascii", "utf-16-le", "utf-16-be"))


class Marks:
    """Collects the marks of one file."""

    def __init__(self) -> None:
        self.make: str | None = None
        self.software: str | None = None
        self.exif = self.xmp = self.c2pa = False
        self._ai: set[str] = set()

    def facts(self) -> dict[str, Any]:
        """The fields of `Header` that were found."""
        named = {name: getattr(self, name) for name in ("make", "software", "exif", "xmp", "c2pa")}
        return named | {"ai_metadata": ", ".join(sorted(self._ai)) or None}

    def add_exif(self, tiff: bytes) -> None:
        """Reads a block of EXIF, from its byte order mark on; damaged blocks count as EXIF that says nothing."""
        self.exif = True
        self.add_tiff(tiff)
        if _says_parameters(tiff):
            self._ai.add("exif:parameters")

    def add_tiff(self, tiff: bytes) -> None:
        """Reads the texts of a TIFF file, or of the like block of EXIF."""
        texts = exif_texts(tiff)
        self.make = texts.get(_MAKE) or self.make
        if software := texts.get(_SOFTWARE):
            self.add_software(software)
        for tag in (_MODEL, _ARTIST, _COPYRIGHT):
            self._add_tool(texts.get(tag, ""))

    def add_xmp(self, packet: bytes) -> None:
        """Reads a packet of XMP, in UTF-8 or, whose names are the same but for zeros, UTF-16."""
        self.xmp = True
        text = packet.replace(b"\0", b"")
        self._add_source_type(text, "iptc")
        self._ai.update(mark for name, mark in _XMP_MARKS.items() if name in text)
        for tool in _XMP_NAMES.findall(text):
            self._add_tool(_clean(tool))

    def add_iptc(self, resources: bytes) -> None:
        """Reads Photoshop's image resources, of which one is a record of IPTC's IIM."""
        record = resources.partition(b"8BIM\x04\x04")[2]
        at = record.find(_DATASET)
        while at >= 0 and at + 5 <= len(record):
            end = at + 5 + int.from_bytes(record[at + 3 : at + 5])
            if record[at + 2] in _CREDITS:
                self._add_tool(_clean(record[at + 5 : end]))
            at = record.find(_DATASET, end)

    def add_comment(self, text: bytes) -> None:
        """Reads a comment, as JPEG and GIF files have them."""
        if _says_parameters(text):
            self._ai.add("comment:parameters")
        self._add_tool(_clean(text))

    def add_jumbf(self, box: bytes) -> None:
        """Reads a JUMBF box."""
        if b"c2pa" in box:
            self.c2pa = True
        self._add_source_type(box, "c2pa")

    def add_software(self, text: str) -> None:
        """Takes the name of the program."""
        self.software = self.software or text
        self._add_tool(text)

    def add_text(self, key: str, value: bytes) -> None:
        """Reads a text chunk of a PNG file."""
        if mark := _PNG_KEYS.get(key.lower()):
            self._ai.add(f"png:{mark}")
        if key.lower() == "software" and value:
            self.add_software(_clean(value))
        elif key.lower() == "source":  # where NovelAI names its model
            self._add_tool(_clean(value))
        elif key.lower() in ("comment", "description"):
            if _says_parameters(value):
                self._ai.add("png:parameters")
            if _JOB.search(value):
                self._ai.add("png:midjourney_job")

    def _add_source_type(self, data: bytes, where: str) -> None:
        for found in _SOURCE_TYPE.findall(data):
            name = found.decode()
            if "rained" in name:  # C2PA has it in other spellings, too
                name = "trainedAlgorithmicMedia"
                if found.startswith(b"composite"):
                    name = "compositeWithTrainedAlgorithmicMedia"
            self._ai.add(f"{where}:{name}")

    def _add_tool(self, text: str) -> None:
        if found := _TOOLS.search(text):
            self._ai.add(f"software:{found.group().lower()}")


def _says_parameters(data: bytes) -> bool:
    """Whether there are AUTOMATIC1111's words for the settings of a sampler."""
    return any(steps in data and sampler in data for steps, sampler in zip(_STEPS, _SAMPLER, strict=True))


def exif_texts(tiff: bytes) -> dict[int, str]:
    """The texts of the first directory of a TIFF block, by tag; what points outside of the block is left out."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return {}

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)  # type: ignore[arg-type]

    texts: dict[int, str] = {}
    start = number(4, 4)
    for at in range(start + 2, start + 2 + 12 * min(number(start, 2), _MOST_ENTRIES), 12):
        if at + 12 > len(tiff):
            break
        count = number(at + 4, 4)
        if number(at + 2, 2) == _ASCII and count > 0:
            place = at + 8 if count <= 4 else number(at + 8, 4)
            if place + count <= len(tiff):
                texts[number(at, 2)] = _clean(tiff[place : place + count])
    return texts


def _clean(raw: bytes) -> str:
    text = raw[: 4 * _MOST_CHARACTERS].split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    return "".join(c if c.isprintable() else " " for c in text)[:_MOST_CHARACTERS]
