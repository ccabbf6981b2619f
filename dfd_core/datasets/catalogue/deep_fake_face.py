"""DeepFakeFace: celebrities' photographs and three ways to fake them."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_HUB = "hf://datasets/OpenRL/DeepFakeFace@d0febfcd6d6ddf457f7f33d121fd5deb225ac807"
_WIKI = ("wiki", 1_766_572_515, "e83b55d6692d54e5aad38427531fa831bf30d1051ccc4267d4db90f03aaa7136")
_FAKES = (
    ("inpainting", 1_082_027_665, "795b751f0967b2d940fbd9825e05c541666ec6f8c634acc7640044542897b7b2"),
    ("text2img", 1_134_392_707, "95e628873d1daea2b539a6bdf5036728a6879470ac37d6a487e091208db28f3b"),
    ("insight", 1_081_375_437, "3265a6f1eed49c55068c88929608d31c38db4588d942b9679b5f5ed1479ba5d7"),
)
_TAR_BYTES = 800_000_000
"""About, not verified."""
_SONG = (
    "Song, Huang, Dong, Tu 2023: Robustness and generalizability of deepfake detection: a study with diffusion models. "
    "arXiv:2309.02218"
)
_ROTHE = "Rothe, Timofte, Van Gool 2015: DEX: deep expectation of apparent age from a single image (IMDB-WIKI). ICCVW"
_LICENCE = (
    "of the fakes openrail by the hub's metadata, Apache-2.0 by the page's text; the photographs of IMDB-WIKI are for "
    "academic research only"
)
_TRAPS = (
    "A name is not a photograph. The publisher's scripts pair people A and B of one gender: inpainting/A is A's "
    "photograph with the face repainted after B's name and age; insight/A is B's photograph with A's face in it; "
    "text2img/A is Stable Diffusion's image of B, of no photograph. The pairs are not published.",
    "So a split by name lets B's photograph into training and insight/A, nearly the same image, into the test. "
    "`dfd audit` looks for such pairs: near duplicates across splits. A table of your own can go without insight, or "
    "give both people of a pair one `group`.",
    "Photographs were squeezed to 512 x 512, whatever their shape, before they were faked, and all fakes have that "
    "size.",
    "inpainting and insight keep the photograph around the face.",
)


def _archive(name: str, size_bytes: int, sha256: str) -> Archive:
    part = Part(address=f"{_HUB}/{name}.zip", size_bytes=size_bytes, sha256=sha256)
    return Archive(name=name, kind="zip", parts=(part,))


CARDS = (
    DatasetCard(
        name="deepfakeface",
        title="DeepFakeFace: Stable Diffusion text-to-image and inpainting, InsightFace swaps, against IMDB-WIKI",
        description=(
            "30,000 photographs of IMDB-WIKI (wiki.zip) and as many of each of three fakes. The four files of one name "
            "are one group, never on both sides of a split; that does not keep apart all that belongs together, see "
            "its traps."
        ),
        page="https://huggingface.co/datasets/OpenRL/DeepFakeFace",
        sources=(_SONG, _ROTHE),
        licence=_LICENCE,
        size_hint="120,000 images, 5.1 GB",
        size_bytes=sum(size for _, size, _ in (_WIKI, *_FAKES)),
        generators={"inpainting": "diffusion", "text2img": "diffusion", "insight": "other"},
        reals=("imdb_wiki",),
        pairing="all",
        splits="80/10/10, drawn by name",
        formats=Formats(real=("JPEG",), fake=("JPEG",)),
        traps=(
            *_TRAPS,
            "Whether wiki.zip has the photographs squeezed too, or in sizes of their own, is not verified; in sizes of "
            "their own, the size alone tells them apart.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=tuple(_archive(*one) for one in (_WIKI, *_FAKES)),
        rules=(
            Rule(pattern=r"wiki/(?:wiki/)?(?P<group>.+)\.\w+", label=0, source="imdb_wiki"),
            Rule(pattern=r"(?P<generator>inpainting|text2img|insight)/(?:(?P=generator)/)?(?P<group>.+)\.\w+", label=1),
        ),
    ),
    DatasetCard(
        name="deepfakeface_wiki_crop",
        title="DeepFakeFace's fakes against the cropped faces of IMDB-WIKI (wiki_crop.tar)",
        description="The same fakes with all 62,328 cropped faces of Wikipedia as reals.",
        page="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/",
        sources=(_ROTHE, _SONG),
        licence=_LICENCE,
        size_hint="152,000 images, about 4.1 GB",
        size_bytes=sum(size for _, size, _ in _FAKES) + _TAR_BYTES,
        generators={"inpainting": "diffusion", "text2img": "diffusion", "insight": "other"},
        reals=("wiki_crop",),
        pairing="all",
        splits="80/10/10, drawn by name",
        formats=Formats(real=("JPEG",), fake=("JPEG",)),
        traps=(
            "Reals are cropped to the face, fakes are not: framing and size tell them apart.",
            "Where no face was found the crop is the whole photograph, as the publisher says.",
            *_TRAPS,
        ),
        revision=2,
        options=PublishedOptions,
        archives=(
            Archive(
                name="wiki_crop",
                kind="tar",
                parts=(Part(address="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/wiki_crop.tar"),),
            ),
            *(_archive(*one) for one in _FAKES),
        ),
        rules=(
            Rule(pattern=r"wiki_crop/(?:wiki_crop/)?(?P<group>.+)\.\w+", label=0, source="wiki_crop"),
            Rule(pattern=r"(?P<generator>inpainting|text2img|insight)/(?:(?P=generator)/)?(?P<group>.+)\.\w+", label=1),
        ),
    ),
)
