"""Header of a voice file: speakers, card and configuration, as JSON; read without the weights and without torch.

Nothing in a file from others is executed, and every value is checked.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from svc.config import OLD_OPTIONS, Config, to_tree
from svc.config.tree import build
from svc.errors import SvcError, WeightsError
from svc.features.speaker import Speaker, checked_name
from svc.features.training_data import TrainingData
from svc.models.weight_names import VERSION

MAX_HEADER = 4 << 20  # bytes
MAX_SPEAKERS = 4096
MAX_LISTED = 12  # speakers that an error names
MAX_HZ = 20_000
MIN_BAND = 1_000  # Hz
KINDS = ("trained", "adapted", "finetuned")


@dataclass(frozen=True, slots=True)
class VoiceSpeaker(Speaker):
    """Speaker of a voice."""

    number: int = 0  # permanent; it is not used again when the speaker is removed
    # ``trained`` with the voice; ``adapted`` later, the generator unchanged; ``finetuned``, the generator too
    kind: str = "trained"


@dataclass(frozen=True, kw_only=True)
class VoiceHeader:
    """What a voice file says of itself."""

    config: Config  # of the training
    content_channels: int  # of the content features
    speakers: tuple[VoiceSpeaker, ...]  # in the order of their embeddings
    card: dict[str, str]  # free text by headings: who made it from what data, for what use
    encoder: str  # content encoder of the training, with the hash of its weights; empty if not recorded
    next_speaker_id: int  # number of the next speaker that is added
    # fingerprints, licences and credits of the recordings; empty if not recorded
    training_data: TrainingData = field(default_factory=TrainingData)

    def speaker_index(self, speaker: str) -> int:
        """Index of the speaker with a name or number; ``#7`` is always number 7.

        Raises:
            WeightsError: there is no such speaker, or one has the name and another the number.
        """
        named = _index_of_name(self.speakers, speaker)
        numbered = _index_of_number(self.speakers, speaker)
        if named is not None and numbered is not None and named != numbered:
            name, number = self.speakers[numbered].name, self.speakers[named].number
            raise WeightsError(f"{speaker} is the name of #{number} and the number of {name}; write #{number} or "
                               f"#{int(speaker)}")  # fmt: skip
        index = named if named is not None else numbered
        if index is not None:
            return index
        names = [s.name for s in self.speakers]
        listed = ", ".join(f"{s.number} {s.name}" for s in self.speakers[:MAX_LISTED])
        listed += f" and {len(names) - MAX_LISTED} more, see svc speakers --all" if len(names) > MAX_LISTED else ""
        near = get_close_matches(speaker.casefold(), [name.casefold() for name in names], 1)
        meant = [name for name in names if name.casefold() in near]
        hint = f"did you mean {meant[0]}? All names: svc speakers" if meant else f"it has {listed}"
        raise WeightsError(f"no speaker {speaker!r} in this voice; {hint}")

    def to_json(self) -> str:
        """As it is stored in a voice file."""
        tree = {
            "format": VERSION,
            "config": to_tree(self.config),
            "content_channels": self.content_channels,
            "encoder": self.encoder,
            "next_speaker_id": self.next_speaker_id,
            "speakers": [asdict(speaker) for speaker in self.speakers],
            "card": self.card,
            "training_data": self.training_data.to_tree(),
        }
        return json.dumps(tree, ensure_ascii=False)


def read_header(path: Path) -> VoiceHeader:
    """Header of a voice file. The ranges of the config's options are not checked.

    Raises:
        WeightsError: the file is missing, not a voice, of another version, or its header is not consistent.
    """
    header = _read_json(path)
    try:
        version = header["format"]
        if version != VERSION:
            hint = "update svc to read it" if isinstance(version, int) and version > VERSION else (
                "train it again, or use the svc that made it"
            )  # fmt: skip
            raise WeightsError(f"{path}: a voice of format {version}; {hint}")
        faults: list[str] = []
        config = build(Config, header["config"], "", faults, OLD_OPTIONS)
        if faults:
            raise ValueError("; ".join(faults))
        card = header["card"] if isinstance(header["card"], dict) else {}
        parsed = VoiceHeader(
            config=config,
            content_channels=_parse_count(header["content_channels"]),
            speakers=tuple(_parse_speaker(row) for row in header["speakers"]),
            card={str(key): str(value) for key, value in card.items()},
            encoder=str(header["encoder"]),
            next_speaker_id=_parse_count(header["next_speaker_id"]),
            training_data=TrainingData.from_tree(header.get("training_data") or TrainingData().to_tree()),
        )
        _check_consistent(parsed.speakers, parsed.next_speaker_id)
    except WeightsError:
        raise
    except (SvcError, KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: refused, its header is not a voice's ({error}); get another copy") from None
    return parsed


def _index_of_name(speakers: Sequence[Speaker], text: str) -> int | None:
    """Index of a name, upper and lower case alike where only one fits."""
    names, text = [speaker.name for speaker in speakers], unicodedata.normalize("NFC", text)
    if text in names:
        return names.index(text)
    matches = [index for index, name in enumerate(names) if name.casefold() == text.casefold()]
    return matches[0] if len(matches) == 1 else None


def _index_of_number(speakers: Sequence[VoiceSpeaker], text: str) -> int | None:
    digits = text.removeprefix("#")
    numbers = [speaker.number for speaker in speakers]
    if digits.isdecimal() and digits.isascii() and len(digits) < 9 and int(digits) in numbers:
        return numbers.index(int(digits))
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= length <= MAX_HEADER:
                raise WeightsError(f"{path}: is not a safetensors file; make a voice with `svc export`")
            metadata = json.loads(stream.read(length)).get("__metadata__", {})
        header = json.loads(metadata["svc"])
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); name a voice file") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(f"{path}: is not a voice; make one with `svc export`") from None
    if not isinstance(header, dict):
        raise WeightsError(f"{path}: is not a voice; make one with `svc export`")
    return header


def _parse_speaker(row: dict[str, Any]) -> VoiceSpeaker:
    name = checked_name(row["name"])
    seconds, median, low, high = (float(row[key]) for key in ("seconds", "median_f0", "low_f0", "high_f0"))
    level, kind, band = float(row["level"]), row["kind"], float(row.get("band", 0))
    valid_range = median == low == high == 0 or 0 < low <= median <= high < MAX_HZ
    valid_range &= band == 0 or MIN_BAND <= band < 1e6
    if not (valid_range and 0 <= seconds < 1e9 and -200 <= level <= 50 and kind in KINDS):
        raise ValueError(f"speaker {name} has values out of range")
    return VoiceSpeaker(name, seconds, median, low, high, level, band, number=_parse_count(row["number"]), kind=kind)


def _parse_count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 10**8:
        raise ValueError("a count is out of range")
    return value


def _check_consistent(speakers: tuple[VoiceSpeaker, ...], next_speaker_id: int) -> None:
    if not 0 < len(speakers) <= MAX_SPEAKERS:
        raise ValueError(f"{len(speakers)} speakers")
    names, numbers = {s.name for s in speakers}, {s.number for s in speakers}
    if not len(names) == len(numbers) == len(speakers) or max(numbers, default=0) >= next_speaker_id:
        raise ValueError("two speakers have one name or number")
