"""What a file's bytes say: digest, size, and format and dimensions from the header; pixels are not decoded."""

from __future__ import annotations

import hashlib
import io
import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

from dfd_core.errors import ManifestError, PlaceUnreachableError
from dfd_core.manifests.listing import Files
from dfd_core.manifests.side_by_side import in_batches, threads_for
from dfd_core.manifests.unreadable import instead_of_a_file, is_out_of_reach, made_up_id
from dfd_core.progress import Progress
from dfd_core.wording import some

logger = logging.getLogger(__name__)
_LONGEST = 2**31 - 1


class Probe(NamedTuple):
    """What one file's bytes say.

    Attributes:
        sample_id: SHA-256 of the bytes, hexadecimal.
        size_bytes: How many there are.
        format: Pillow's name; `None` where the header is unreadable, as are the dimensions then.
        width: Pixels.
        height: Pixels.
    """

    sample_id: str
    size_bytes: int
    format: str | None
    width: int | None
    height: int | None


def probe_bytes(data: bytes) -> Probe:
    """The probe of a file's content; never fails."""
    return Probe(hashlib.sha256(data).hexdigest(), len(data), *_header(data))


def probe(
    files: Files,
    known: Mapping[int, Probe],
    progress: Progress | None = None,
    keep: Callable[[Sequence[int], Sequence[Probe]], object] | None = None,
) -> list[Probe]:
    """Reads every file once, in threads.

    Args:
        files: Which files.
        known: Probes by position of files that need not be read again.
        progress: Called with how many are done, and of how many; may raise to stop, also while a read hangs.
        keep: Given what was read since it was called last, by positions and probes; also when the end is an error.

    Returns:
        A probe per file, in their order. A file that can't be read has a made-up digest of its own and no format; its
        row fails in extraction, as others do that hold no image.

    Raises:
        PlaceUnreachableError: A server does not answer.
        ManifestError: Most of the files can't be read, so the place itself is wrong.
    """
    todo = [i for i in range(len(files)) if i not in known]
    probes: dict[int, Probe] = dict(known)
    unread: dict[int, _Unread] = {}
    done = 0

    def take(batch: list[Probe | _Unread]) -> None:
        nonlocal done
        results = dict(zip(todo[done : done + len(batch)], batch, strict=True))
        done += len(batch)
        read = {i: one for i, one in results.items() if isinstance(one, Probe)}
        unread.update((i, one) for i, one in results.items() if isinstance(one, _Unread))
        probes.update(read)
        if keep is not None and read:
            keep(list(read), list(read.values()))

    def tell(count: int) -> None:
        if progress is not None:
            progress(len(known) + count, len(files))

    Image.preinit()
    Image.init()
    where = ([files.filesystems[i] for i in todo], [files.locations[i] for i in todo])
    in_batches(_try, *where, threads=threads_for(files.urls), keep=take, tell=tell)
    _check_read(files, unread)
    return [probes[i] if i in probes else _no_image(files.urls[i]) for i in range(len(files))]


class _Unread(NamedTuple):
    """Why a file could not be read, and whether it is its place that does not answer."""

    why: str
    out_of_reach: bool = False


def _try(fs: fsspec.AbstractFileSystem, location: str) -> Probe | _Unread:
    is_local = isinstance(fs, LocalFileSystem)
    if is_local and (instead := instead_of_a_file(location)) is not None:
        return _Unread(instead)
    try:
        return probe_bytes(fs.cat_file(location))
    except FileNotFoundError:
        return _Unread("it is not there")
    except OSError as error:
        return _Unread(error.strerror or str(error) or type(error).__name__, is_out_of_reach(error))
    except Exception as error:  # the clients of buckets have errors of their own
        if is_local:
            raise
        return _Unread(f"{type(error).__name__}: {error}", is_out_of_reach(error))


def _check_read(files: Files, unread: Mapping[int, _Unread]) -> None:
    named: dict[bool, list[str]] = {True: [], False: []}
    for i, one in unread.items():
        named[one.out_of_reach].append(f"{files.urls[i]} ({one.why})")
    unreached, failures = named[True], named[False]
    if unreached:
        raise PlaceUnreachableError(
            f"{len(unreached)} of {len(files)} files are out of reach: {some(unreached)}. Check whether their place "
            "can be reached, and run the same command again: what was read is kept."
        )
    if failures:
        message = f"{len(failures)} of {len(files)} files can't be read: {some(failures)}"
        if 2 * len(failures) > len(files):
            raise ManifestError(f"{message}. Check the place, and run the same command again.")
        logger.warning("%s. Their rows will fail in extraction.", message)


def _no_image(url: str) -> Probe:
    return Probe(made_up_id(url), 0, None, None, None)


def _header(data: bytes) -> tuple[str | None, int | None, int | None]:
    """Format, width and height.

    This is `PIL.Image.open` without its check of the pixel count, which warns or raises for very large images: how
    large is too large is for the decoder to say, and here the dimensions are wanted.
    """
    prefix = data[:16]
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        try:
            accepted = accept(prefix) if accept else True
            if not accepted or isinstance(accepted, str):
                continue
            image = factory(io.BytesIO(data), "")
            if max(image.size) > _LONGEST:  # a damaged BMP may say so; no format that is known can be that long
                return None, None, None
            return image.format, image.width, image.height
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # not this format, as Pillow has it
        except Exception:  # plugins raise anything on broken bytes
            return None, None, None
    return None, None, None
