"""Which family a generator belongs to, for the names that the field's datasets use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

Family = Literal["gan", "diffusion", "autoregressive", "other"]
FAMILY_NAMES: tuple[Family, ...] = get_args(Family)

_NAMES: dict[Family, str] = {
    "gan": """
        sim_transposed_conv sim_nearest_conv sim_bilinear_conv sim_pixel_shuffle
        gan dcgan wgan wgan_gp lsgan began cramergan mmdgan sngan sagan infomaxgan relgan ssgan
        progan progressive_gan pggan msggan stylegan stylegan2 stylegan3 stylegan_xl stylegan_t styleswin
        biggan bigbigan cyclegan stargan attgan stgan gaugan spade pix2pix pix2pixhd unit munit
        gansformer eg3d projected_gan diffusion_gan fastgan vqgan taming taming_transformers gigagan galip
        lafite df_gan attngan stackgan faceswap_gan simswap whichfaceisreal thispersondoesnotexist lama cips
    """,
    "diffusion": """
        sim_latent_8x sim_cascade_4x
        diffusion diffusion_model ddpm iddpm improved_diffusion ddim pndm ncsn score_sde adm guided guided_diffusion
        ablated_diffusion ldm latent_diffusion glide glid_3 stable_diffusion stable_diffusion_xl sd sd_turbo sdxl
        sdxl_turbo stable_cascade wurstchen ssd_1b lcm dreamlike realistic_vision playground deepfloyd deepfloyd_if if
        imagen midjourney mj wukong vqdm vq_diffusion dalle2 dalle3 firefly adobe_firefly flux kandinsky pixart kolors
        hunyuan_dit hunyuan_image auraflow sana qwen_image z_image seedream ideogram recraft leonardo
        unidiffuser versatile_diffusion karlo unclip dit sit mdt u_vit edm edm2 consistency_model instruct_pix2pix
        pix2pix_zero palette sdedit blended_diffusion repaint controlnet
    """,
    "autoregressive": """
        dalle dalle1 dalle_mini dalle_mega craiyon parti var llamagen image_gpt igpt pixelcnn pixelcnn++
        image_transformer vqvae2 cogview cogview2 ru_dalle mar infinity hart emu3 janus janus_pro anole chameleon
        gpt_image gpt_4o gpt_4o_image lumina_mgpt simplear
    """,
    "other": """
        crn imle san sitd seeing_dark deepfake deepfakes faceforensics faceforensics++ ff++ face2face neural_textures
        faceswap vae nvae vdvae glow normalizing_flow maskgit muse paella
    """,
}


def squeezed(name: str) -> str:
    """A name without case and separators: `Stable-Diffusion v1.4` and `stable_diffusion_v14` are the same."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


FAMILIES: dict[str, Family] = {squeezed(name): family for family, names in _NAMES.items() for name in names.split()}
"""Family of each known generator, by squeezed name."""


def family_of(generator: str, overrides: Mapping[str, str] | None = None) -> str:
    """Finds the family of a generator.

    Case and the separators `-`, `_`, `.`, `/` and space don't count. The longest known name wins with which the
    generator's name begins, if it ends there where a word, a number or a version does: `glide_100_27` is `glide` and
    `stylegan2-ada` is `stylegan2`, but `variational` is not `var`.

    Args:
        generator: Its name, in a folder or table.
        overrides: Families that the user states; these names come before the table's.

    Returns:
        The family; `other` for a name that nobody knows.
    """
    name = squeezed(generator)
    ends = _ends(generator)
    for known in ({squeezed(key): family for key, family in (overrides or {}).items()}, FAMILIES):
        for end in sorted(ends, reverse=True):
            if name[:end] in known:
                return known[name[:end]]
    return "other"


def _ends(generator: str) -> set[int]:
    """Lengths of the squeezed name at which a word, a number or what precedes a version (`v2`) ends."""
    ends, length = set(), 0
    for piece in re.findall(r"v(?=\d)|\d+|[a-z+]+?(?=v\d|[^a-z+]|$)", re.sub(r"[^a-z0-9+]+", " ", generator.lower())):
        length += len(piece)
        ends.add(length)
    return ends
