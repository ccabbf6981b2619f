"""Marks that programs leave in metadata: camera, software, provenance manifests, and what says "made by a model"."""

from __future__ import annotations

import re
from typing import Any

_MAKE, _SOFTWARE, _ASCII = 0x010F, 0x0131, 2
_MOST_ENTRIES = 512
_MOST_CHARACTERS = 100

_SOURCE_TYPE = re.compile(rb"(?:composite(?:With)?|composite_with_)?[tT]rained_?[aA]lgorithmic_?[mM]edia")
_TOOLS = re.compile(
    r"midjourney|dall[-. ]?e\b|stable[-_ ]?diffusion|novelai|invokeai|comfyui|automatic1111|dreamstudio|fooocus"
    r"|adobe[_ ]firefly|\bfirefly\b|google (?:ai|imagen)|\bimagen \d|openai|gpt-4o|\bflux[.\d]|ideogram"
    r"|leonardo\.ai|craiyon|draw things|diffusers",
    re.IGNORECASE,
)
_CREATOR_TOOL = re.compile(rb"CreatorTool(?:>|=\")([^<\"]{1,200})")
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
        texts = exif_texts(tiff)
        self.make = texts.get(_MAKE) or self.make
        if software := texts.get(_SOFTWARE):
            self.add_software(software)
        if _says_parameters(tiff):
            self._ai.add("exif:parameters")

    def add_xmp(self, packet: bytes) -> None:
        """Reads a packet of XMP."""
        self.xmp = True
        self._add_source_type(packet, "iptc")
        for tool in _CREATOR_TOOL.findall(packet):
            self._add_tool(_clean(tool))

    def add_jumbf(self, box: bytes) -> None:
        """Reads a JUMBF box, or a piece of one."""
        if b"c2pa" in box:
            self.c2pa = True
        self._add_source_type(box, "c2pa")

    def add_software(self, text: str) -> None:
        """Takes the name of the program."""
        self.software = self.software or text
        self._add_tool(text)

    def add_text(self, key: str, value: bytes) -> None:
        """Reads a text chunk of a PNG file; the value may be left out where it is compressed."""
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
            composite = found.lower().startswith(b"composite")
            self._ai.add(
                f"{where}:{'compositeWithTrainedAlgorithmicMedia' if composite else 'trainedAlgorithmicMedia'}"
            )

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
