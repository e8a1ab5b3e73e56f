"""A voice: what people share. One safetensors file: averaged weights, and the rest as JSON in its header.

A stranger's file can at worst be refused: nothing in it is executed, and its shapes are compared with those
of the configuration it names before a single weight is read.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from svc.config import Config, from_tree, to_tree
from svc.data.manifest import Singer, checked_name
from svc.encoders import safetensors_io
from svc.errors import SvcError, WeightsError
from svc.features.content import channels
from svc.models.generator import VERSION, Generator
from svc.utils.atomic import write_bytes

MAX_HEADER = 4 << 20  # bytes
MAX_SINGERS = 4096
MAX_HZ = 20_000
KINDS = ("trained", "fitted", "tuned")


@dataclass(frozen=True, slots=True)
class Known(Singer):
    """A singer of a voice.

    Attributes:
        number: for good: nobody else is given it when this singer is removed.
        kind: ``trained`` with the voice; ``fitted`` later, the generator as it was; ``tuned``, it was changed for them.
    """

    number: int = 0
    kind: str = "trained"


@dataclass(frozen=True, slots=True)
class Voice:
    """A generator with its singers.

    Attributes:
        generator: in eval mode.
        config: what it was trained with.
        singers: in the order of their embeddings.
        card: who made it from what, for whom; free text by headings.
        encoder: of the content features it was trained on, with the hash of its weights; empty if nobody knows.
        given: how many numbers have been given to singers, also to those who are gone.
    """

    generator: Generator
    config: Config
    singers: tuple[Known, ...]
    card: dict[str, str]
    encoder: str
    given: int

    def row(self, singer: str) -> int:
        """The place among the singers of one given by name or number.

        Raises:
            WeightsError: there is no such singer.
        """
        names = [s.name for s in self.singers]
        if singer in names:
            return names.index(singer)
        alike = [i for i, name in enumerate(names) if name.casefold() == singer.casefold()]
        if len(alike) == 1:
            return alike[0]
        numbers = [s.number for s in self.singers]
        if singer.isdecimal() and singer.isascii() and len(singer) < 9 and int(singer) in numbers:
            return numbers.index(int(singer))
        known = ", ".join(f"{s.number} {s.name}" for s in self.singers[:12])
        near = get_close_matches(singer.casefold(), [name.casefold() for name in names], 1)
        meant = [name for name in names if name.casefold() in near]
        guess = f"did you mean {meant[0]}? It" if meant else "it"
        raise WeightsError(f"no singer {singer!r} in this voice; {guess} knows {known}")

    def save(self, path: Path) -> None:
        """Write the file; it appears whole or not at all.

        Raises:
            WeightsError: the folder does not take it.
        """
        header = {
            "format": VERSION,
            "config": to_tree(self.config),
            "content_channels": self.generator.content,
            "encoder": self.encoder,
            "given": self.given,
            "singers": [asdict(singer) for singer in self.singers],
            "card": self.card,
        }
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.generator.state_dict().items()}
        data = save(tensors, metadata={"svc": json.dumps(header, ensure_ascii=False)})
        try:
            write_bytes(path, data)
        except OSError as error:
            raise WeightsError(f"{path}: cannot be written ({error.strerror}); choose another -o") from None

    @staticmethod
    def load(path: Path) -> Voice:
        """Read a voice file.

        Raises:
            WeightsError: it is missing, not a voice, damaged, or not to be trusted.
        """
        path = Path(path)
        header = _header(path)
        try:
            if header["format"] != VERSION:
                newer = isinstance(header["format"], int) and header["format"] > VERSION
                way_out = "update svc to read it" if newer else "train it anew, or use the svc that made it"
                raise WeightsError(f"{path}: a voice of format {header['format']}; {way_out}")
            config = from_tree(header["config"])
            singers = tuple(_singer(row) for row in header["singers"])
            content, card, encoder = header["content_channels"], header["card"], str(header["encoder"])
            given = _count(header["given"])
            _check_together(singers, given)
        except WeightsError:
            raise
        except (SvcError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise WeightsError(
                f"{path}: refused, its header is not a voice's ({error}); ask for another copy"
            ) from None
        if not 0 < len(singers) <= MAX_SINGERS or content != channels(config.features.content):
            raise WeightsError(f"{path}: refused, its header is not a voice's; ask for another copy")
        with torch.device("meta"):
            generator = Generator(config, content=content, singers=len(singers))
        tensors = safetensors_io.read(path, generator.state_dict(), "ask for another copy")
        generator = Generator(config, content=content, singers=len(singers))
        generator.load_state_dict(tensors)
        card = {str(key): str(value) for key, value in card.items()} if isinstance(card, dict) else {}
        return Voice(generator.eval().requires_grad_(False), config, singers, card, encoder, given)


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= length <= MAX_HEADER:
                raise WeightsError(f"{path}: is not a safetensors file; a voice is made by `svc export`")
            metadata = json.loads(stream.read(length)).get("__metadata__", {})
        header = json.loads(metadata["svc"])
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); name a voice made by `svc export`") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(f"{path}: is not a voice; a voice is made by `svc export`") from None
    if not isinstance(header, dict):
        raise WeightsError(f"{path}: is not a voice; a voice is made by `svc export`")
    return header


def _singer(row: dict[str, Any]) -> Known:
    name = checked_name(row["name"])
    told = {key: float(row[key]) for key in ("seconds", "median_f0", "low_f0", "high_f0")}
    level, kind = float(row["level"]), row["kind"]
    median, low, high = told["median_f0"], told["low_f0"], told["high_f0"]
    sung = median == low == high == 0 or 0 < low <= median <= high < MAX_HZ
    if not (sung and 0 <= told["seconds"] < 1e9 and -200 <= level <= 50 and kind in KINDS):
        raise ValueError(f"singer {name} has values out of range")
    return Known(name, **told, level=level, number=_count(row["number"]), kind=kind)


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 10**8:
        raise ValueError("a count is none")
    return value


def _check_together(singers: tuple[Known, ...], given: int) -> None:
    names, numbers = {s.name for s in singers}, {s.number for s in singers}
    if not len(names) == len(numbers) == len(singers) or max(numbers, default=0) >= given:
        raise ValueError("two singers have one name or number")
