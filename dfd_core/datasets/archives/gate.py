"""What an archive must not contain: anything that would land elsewhere, overwrite, or fill the disk."""

from __future__ import annotations

import re
import stat
import unicodedata
from typing import Annotated

from pydantic import Field

from dfd_core.errors import ArchiveError
from dfd_core.specs import Spec

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_SMALL = 2**20
_LONGEST_PATH = 4096


class Limits(Spec):
    """Where an archive is taken for a bomb.

    Attributes:
        members: Files and folders in it.
        ratio: Unpacked bytes for a packed one, of a member of more than 1 MiB and of all; images hardly shrink.
        member_bytes: Unpacked bytes of one member.
    """

    members: Annotated[int, Field(ge=1)] = 10_000_000
    ratio: Annotated[float, Field(gt=1)] = 200.0
    member_bytes: Annotated[int, Field(ge=1)] = 2**30


class Gate:
    """Admits an archive's members one after another.

    Args:
        archive: Its name, for messages.
        packed_bytes: Its size.
        limits: What is too much.
    """

    def __init__(self, archive: str, packed_bytes: int, limits: Limits) -> None:
        self.archive, self.packed_bytes, self.limits = archive, packed_bytes, limits
        self.total = 0
        self.files: dict[str, str] = {}
        self.folders: dict[str, str] = {}

    @property
    def most_bytes(self) -> float:
        """How much the archive may become."""
        return max(_SMALL, self.limits.ratio * self.packed_bytes)

    def folder(self, path: str) -> None:
        """Admits a folder."""
        self._place(self._inside(path, path.rstrip("/")), None)

    def file(self, path: str, size: int, packed: int | None = None) -> str:
        """Admits a file.

        Args:
            path: As the archive has it.
            size: Unpacked bytes.
            packed: Packed bytes, where the archive says.

        Returns:
            The path without a leading `./`.

        Raises:
            ArchiveError: It must not be unpacked; the message names it.
        """
        clean = self._inside(path, path)
        self.total += size
        if size > self.limits.member_bytes:
            raise self.refused(path, f"it would have {size:,} bytes")
        if packed is not None and size > max(_SMALL, self.limits.ratio * packed):
            raise self.refused(
                path, f"{packed:,} bytes would become {size:,}, {self.limits.ratio:,.0f} times is the most"
            )
        if self.total > self.most_bytes:
            raise self.refused(path, f"with it {self.packed_bytes:,} bytes of archive would become {self.total:,}")
        self._place(clean, path)
        return clean

    def special(self, path: str, mode: int) -> None:
        """Refuses what is neither file nor folder by its Unix mode; a mode of 0 says nothing."""
        kinds = {
            stat.S_IFLNK: "a symbolic link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe",
            stat.S_IFSOCK: "a socket",
        }  # fmt: skip
        kind = kinds.get(stat.S_IFMT(mode))
        if kind:
            raise self.refused(path, f"it is {kind}")

    def refused(self, path: str, why: str) -> ArchiveError:
        """The error for a member."""
        return ArchiveError(
            f"The archive {self.archive} is not unpacked because of its member {path!r}: {why}. If you trust it, "
            "unpack it yourself and name the folder under `folders:`."
        )

    def _inside(self, path: str, name: str) -> str:
        name = re.sub(r"^(\./)+", "", name)
        try:
            if len(name.encode()) > _LONGEST_PATH:
                raise self.refused(f"{path[:40]}...", f"its path has more than {_LONGEST_PATH:,} bytes")
        except UnicodeEncodeError:
            raise self.refused(path, "its name is not valid UTF-8") from None
        if name.startswith("/") or _DRIVE.match(name) or "\\" in name:
            raise self.refused(path, "its path is absolute or has backslashes")
        if ".." in name.split("/"):
            raise self.refused(path, "its path has `..`")
        if _CONTROL.search(name) or "" in name.split("/")[:-1]:
            raise self.refused(path, "its path has control characters or empty parts")
        return name

    def _place(self, clean: str, path: str | None) -> None:
        """Checks that no two members are one on disks that ignore case or compose accents."""
        key = unicodedata.normalize("NFC", clean).casefold()
        if path is not None:
            if key in self.files or key in self.folders:
                raise self.refused(path, f"it has the place of {self.files.get(key) or self.folders[key]!r}")
            self.files[key] = clean
        elif key:
            if key in self.files:
                raise self.refused(clean, f"it has the place of the file {self.files[key]!r}")
            self.folders[key] = clean
        parent, _, _ = clean.rpartition("/")
        while parent:
            above = unicodedata.normalize("NFC", parent).casefold()
            if above in self.files:
                raise self.refused(path or clean, f"it is below the file {self.files[above]!r}")
            if self.folders.setdefault(above, parent) != parent:
                raise self.refused(path or clean, f"its folder differs from {self.folders[above]!r} by case alone")
            parent = parent.rpartition("/")[0]
        if len(self.files) + len(self.folders) > self.limits.members:
            raise self.refused(path or clean, f"the archive has more than {self.limits.members:,} files and folders")
