"""A voice: what people share. One safetensors file: averaged weights, and the rest as JSON in its header.

A stranger's file can at worst be refused: nothing in it is executed, and its shapes are compared with those
of the configuration it names before a single weight is read.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from svc import weights
from svc.atomic import write_bytes
from svc.config import Config, from_tree, to_tree
from svc.data.manifest import Singer, checked_name
from svc.errors import SvcError, WeightsError
from svc.features.content import channels
from svc.models.generator import Generator

FORMAT = 2
MAX_HEADER = 4 << 20  # bytes
MAX_SINGERS = 4096


@dataclass(frozen=True, slots=True)
class Voice:
    """A generator with its singers.

    Attributes:
        generator: in eval mode.
        config: what it was trained with.
        singers: in the order of their numbers.
        card: who made it from what, for whom; free text by headings.
        encoder: of the content features it was trained on, with the hash of its weights; empty if nobody knows.
    """

    generator: Generator
    config: Config
    singers: tuple[Singer, ...]
    card: dict[str, str]
    encoder: str = ""

    def number(self, singer: str) -> int:
        """The number of a singer given by name or number.

        Raises:
            WeightsError: there is no such singer.
        """
        names = [s.name for s in self.singers]
        if singer in names:
            return names.index(singer)
        alike = [i for i, name in enumerate(names) if name.casefold() == singer.casefold()]
        if len(alike) == 1:
            return alike[0]
        if singer.isdecimal() and int(singer) < len(names):
            return int(singer)
        known = ", ".join(f"{i} {name}" for i, name in enumerate(names[:12]))
        raise WeightsError(f"no singer {singer!r} in this voice; it knows {known}")

    def save(self, path: Path) -> None:
        """Write the file; it appears whole or not at all.

        Raises:
            WeightsError: the folder does not take it.
        """
        header = {
            "format": FORMAT,
            "config": to_tree(self.config),
            "content_channels": self.generator.content,
            "encoder": self.encoder,
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
            if header["format"] != FORMAT:
                newer = isinstance(header["format"], int) and header["format"] > FORMAT
                way_out = "update svc to read it" if newer else "train it anew, or use the svc that made it"
                raise WeightsError(f"{path}: a voice of format {header['format']}; {way_out}")
            config = from_tree(header["config"])
            singers = tuple(_singer(row) for row in header["singers"])
            content, card, encoder = header["content_channels"], header["card"], str(header.get("encoder", ""))
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
        tensors = weights.read(path, generator.state_dict(), "ask for another copy")
        generator = Generator(config, content=content, singers=len(singers))
        generator.load_state_dict(tensors)
        card = {str(key): str(value) for key, value in card.items()} if isinstance(card, dict) else {}
        return Voice(generator.eval().requires_grad_(False), config, singers, card, encoder)


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


def _singer(row: dict[str, Any]) -> Singer:
    name = checked_name(row["name"])
    numbers = {key: float(row[key]) for key in ("seconds", "median_f0", "low_f0", "high_f0")}
    if not all(0 <= value < 1e9 for value in numbers.values()):
        raise ValueError(f"singer {name} has numbers out of range")
    return Singer(name, **numbers)
