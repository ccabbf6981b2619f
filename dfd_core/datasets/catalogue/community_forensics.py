"""Community Forensics, the small set."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rows, Rule
from dfd_core.datasets.options import PublishedOptions

CARDS = (
    DatasetCard(
        name="community_forensics_small",
        title="Community Forensics (small): thousands of generators against several sources of photographs",
        description="The small set: as many fakes as reals, of the 4,803 generators of the full set of 1.1 TB.",
        page="https://huggingface.co/datasets/OwensLab/CommunityForensics-Small",
        sources=(
            "Park, Owens 2025: Community Forensics: using thousands of generators to train fake image detectors. CVPR. "
            "arXiv:2411.04125",
        ),
        licence="CC BY-NC-SA 4.0 (the hub's page); each generator and source of reals has terms of its own",
        size_hint="556,541 images, about 278 GB in 186 files",
        size_bytes=278_000_000_000,
        generators={"LatDiff": "diffusion", "PixDiff": "diffusion", "GAN": "gan", "other": "other"},
        reals=("real",),
        pairing="all",
        splits="80/10/10, drawn",
        formats=Formats(real=("JPEG", "PNG"), fake=("JPEG", "PNG")),
        traps=(
            "Generators are the architectures here; the category is the model's own name, and of reals the collection "
            "that they are from (FFHQ, VISION, COCO, Landscapes HQ, as the files name it).",
            "Sizes differ by class: others report an AUROC of 0.90 by image size alone, FFHQ being 1024 and most fakes "
            "512 pixels wide. `dfd audit` says.",
            "Most models are derived from Stable Diffusion.",
            "All files but one hold one class only, and each is a single row group of up to 4.1 GB: a sample needs "
            "several of them, most of their bytes.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=(
            Archive(
                name="small",
                kind="parquet",
                parts=(
                    Part(
                        address=(
                            "hf://datasets/OwensLab/CommunityForensics-Small@"
                            "6c539a534c07917307c381f5af4053c6091b5278/data/HFCF_small_*.parquet"
                        )
                    ),
                ),
                rows=Rows(image="image_data", path="{label}/{architecture}/{model_name}/{real_source}"),
            ),
        ),
        rules=(
            Rule(pattern=r"small[^/]*/0/[^/]+/[^/]+/(?P<category>[^/]+)/[^/]+", label=0, source="real"),
            Rule(pattern=r"small[^/]*/1/(?P<generator>[^/]+)/(?P<category>[^/]+)/[^/]+/[^/]+", label=1),
        ),
    ),
)
