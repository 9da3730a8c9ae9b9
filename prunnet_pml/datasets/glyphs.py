"""Characters drawn in every face of the fonts that matplotlib ships: retrieval with no download."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from prunnet_pml.datasets.distortion import MILD, Distortion

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

MIN_FACES = 12  # a character counts when at least this many of the 16 faces draw it
_FACES = re.compile(r"(DejaVu(Sans|SansMono|Serif)(-\w+)?|STIXGeneral\w*)")  # 4 styles of each
_EM = 0.75  # height of the font's em square, as a fraction of the image side


class Glyphs(Dataset[tuple[Tensor, int]]):
    """Open-set instance retrieval: find the same character, drawn in another face.

    The label is the character. The 16 faces are DejaVu Sans, DejaVu Sans Mono, DejaVu Serif and
    STIX General, four styles each, out of the fonts inside the matplotlib wheel; a character is
    taken when at least 12 of them draw it: 1,348 letters (18,408 images), or 2,387 characters of
    every kind (32,336 images). Half of the characters make the training split; the other half,
    never seen in training, the test split. Look-alikes of several scripts (Latin A, Greek Alpha,
    Cyrillic A) are characters of their own, so even a perfect eye stays below a Recall@1 of 1.

    Glyphs are white on black, centred, all of one em size (shrunk only where they would not fit).

    The images of the test split are distorted once, in the same way for the same ``seed``. Those of
    the training split are distorted afresh at every access, by PyTorch's global random numbers.

    Args:
        split: ``"train"`` or ``"test"``: disjoint characters.
        characters: ``"letters"`` (upper and lower case) or ``"all"`` (signs and symbols also).
        size: Side of the images, in pixels.
        distortion: What is done to the drawn images, mild by default; None leaves them clean.
        transform: A last step on each image ``[1, size, size]``, as in torchvision.
        seed: Fixes which characters are in which split, and the distortion of the test split.

    Attributes:
        images: uint8 ``[n, 1, size, size]``; clean when training, distorted in the test split.
        labels: int64 ``[n]``, positions in ``characters``.
        characters: The split's characters, in code point order.

    Raises:
        ValueError: If ``split``, ``characters`` or ``size`` is not one of those above.

    Example:
        The fastest training loop takes :attr:`images` and distorts whole batches.

        >>> data = Glyphs("train")
        >>> indices = torch.randint(len(data), (64,))
        >>> data.distortion(data.images[indices] / 255).shape
        torch.Size([64, 1, 32, 32])
    """

    def __init__(
        self,
        split: str = "train",
        characters: str = "letters",
        size: int = 32,
        distortion: Distortion | None = MILD,
        transform: Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"`split` should be 'train' or 'test'. Found {split!r}.")
        if characters not in ("letters", "all"):
            raise ValueError(f"`characters` should be 'letters' or 'all'. Found {characters!r}.")
        if not isinstance(size, int) or size < 8:
            raise ValueError(f"`size` should be an int of at least 8. Found {size!r}.")
        images, labels, names = _draw(characters, size)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(names), generator=generator)
        half = len(names) // 2
        chosen = (order[:half] if split == "train" else order[half:]).sort().values
        position = torch.full((len(names),), -1)
        position[chosen] = torch.arange(len(chosen))
        position = position[labels]  # [all images], -1 for those of the other split

        self.split, self.size, self.distortion, self.transform = split, size, distortion, transform
        self.images = images[position >= 0]
        self.labels = position[position >= 0]
        self.characters = [names[i] for i in chosen.tolist()]
        if split == "test" and distortion is not None:
            distorted = distortion(self.images / 255, generator)
            self.images = (distorted * 255).round().to(torch.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """The samples of a batch, distorted in one go: what a DataLoader fetches."""
        images = self.images[indices] / 255  # [b, 1, size, size]
        if self.split == "train" and self.distortion is not None:
            images = self.distortion(images)
        labels = self.labels[indices].tolist()
        if self.transform is None:
            return list(zip(images, labels, strict=True))
        return [(self.transform(x), y) for x, y in zip(images, labels, strict=True)]


@lru_cache(maxsize=4)
def _draw(characters: str, size: int) -> tuple[Tensor, Tensor, list[str]]:
    """Draws both splits: images uint8 ``[n, 1, size, size]``, labels ``[n]``, the characters."""
    import matplotlib
    from matplotlib.ft2font import FT2Font
    from PIL import Image, ImageFont

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = sorted(path for path in folder.glob("*.ttf") if _FACES.fullmatch(path.stem))
    charmaps = [FT2Font(str(file)).get_charmap().keys() for file in files]
    basic = ImageFont.Layout.BASIC  # the same pixels whether or not libraqm is installed
    faces = [ImageFont.truetype(file, round(_EM * size), layout_engine=basic) for file in files]

    def draw(face: ImageFont.FreeTypeFont, name: str) -> bytes | None:
        """One centred glyph, on a canvas of the full size; None where there is nothing to see."""
        ink = _ink(face, name)
        if ink is not None and max(ink.size) > size - 2:  # a dark pixel on either side
            smaller = int(face.size * (size - 2) / max(ink.size))
            ink = _ink(face.font_variant(size=smaller), name)
        if ink is None:
            return None
        canvas = Image.new("L", (size, size))
        canvas.paste(ink, ((size - ink.width) // 2, (size - ink.height) // 2))
        return canvas.tobytes()

    pixels = bytearray()
    labels: list[int] = []
    names: list[str] = []
    for code in sorted(set().union(*charmaps)):
        name, having = chr(code), [f for f, m in zip(faces, charmaps, strict=True) if code in m]
        if len(having) < MIN_FACES or not _is_wanted(name, characters):
            continue
        drawn = [image for face in having if (image := draw(face, name)) is not None]
        if len(drawn) >= MIN_FACES:
            pixels += b"".join(drawn)
            labels += [len(names)] * len(drawn)
            names.append(name)
    images = torch.frombuffer(pixels, dtype=torch.uint8).view(-1, 1, size, size)
    return images, torch.tensor(labels), names


def _is_wanted(name: str, characters: str) -> bool:
    category = unicodedata.category(name)
    return category in ("Lu", "Ll") if characters == "letters" else category[0] != "C"


def _ink(face: "FreeTypeFont", name: str) -> "Image | None":
    """The smallest grey image that holds the character, None if no pixel is lit."""
    from PIL import Image

    mask = face.getmask(name, mode="L")
    image = Image.frombytes("L", mask.size, bytes(mask))
    box = image.getbbox()
    return None if box is None else image.crop(box)
