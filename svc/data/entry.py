"""One file's way into the store: checked, resampled, with features. What is there already is not computed again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Clip
from svc.errors import AudioError, DataError
from svc.features import content
from svc.features import extract as features
from svc.features.cache import Store, file_hash, sixteen_bits

Array = NDArray[np.generic]
Rejected = dict[str, str]  # path, singer, reason


@dataclass(frozen=True, slots=True)
class Work:
    """A file to enter.

    Attributes:
        singer: whose it is.
        path: of the file.
        data: the folder of the singers' folders.
        store: the folder of the store.
        identity: of the features, as ``svc.features.extract.identity`` has it.
        config: sample rate and features.
    """

    singer: str
    path: Path
    data: Path
    store: Path
    identity: dict[str, object]
    config: Config


def enter(work: Work) -> Clip | Rejected:
    """Put what the store holds of a file there, or say why it cannot be used."""
    name = str(work.path.relative_to(work.data))
    try:
        files.check_file(work.path)
        source = file_hash(work.path)
        store = Store(work.store)
        key = store.key(source, work.identity)
        active = _stored(store, key, "active")
        if active is None:
            listened = store.key(source, {name: value for name, value in work.identity.items() if name != "content"})
            melody = _stored(store, listened, "melody")
            made = analyse(files.read(work.path), work.config, melody)
            store.put(key, made)
            if melody is None:
                store.put(listened, {"melody": np.where(made["voiced"], made["f0"], np.float32(0))})
            active = made["active"]
        return Clip(name, work.singer, key, len(active), int(active.sum()), manifest.split_of(source))
    except AudioError as error:
        return {"path": name, "singer": work.singer, "reason": str(error)}
    except OSError as error:
        reason = f"{work.path}: cannot be read ({error.strerror}); check its permissions"
        return {"path": name, "singer": work.singer, "reason": reason}


def _stored(store: Store, key: str, name: str) -> Array | None:
    try:
        return store.get(key, name) if store.has(key) else None
    except DataError:
        return None  # damaged: it is made again


def analyse(audio: Audio, config: Config, melody: Array | None = None) -> dict[str, Array]:
    """What the store holds of a file: samples at the model's rate, features, and perturbed content.

    A melody (N,) in Hz, 0 where unvoiced, need not be tracked: another encoder for the words does not change it.
    """
    peak = max(1.0, float(np.abs(audio.samples).max()))
    audio = resample(Audio(audio.samples / np.float32(peak), audio.rate), config.sample_rate)
    found = features.extract(audio, config, None if melody is None else melody.astype(np.float32))
    samples = audio.samples[: len(found.f0) * config.hop]
    return {
        "audio": sixteen_bits(samples),
        "f0": found.f0,
        "voiced": found.voiced,
        "loudness": found.loudness,
        "active": found.loudness >= found.loudness.max() - content.ACTIVE,
        "content": found.content.astype(np.float16),
        "warped": features.warped_content(audio, found.loudness, config).astype(np.float16),
    }
