"""Speakers of a voice: add, rename, remove and merge them; their own parameters."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from svc.errors import DataError, WeightsError
from svc.features.speaker import Speaker, checked_new_name
from svc.inference.voice import MAX_SPEAKERS, VoiceFile, VoiceSpeaker
from svc.models.weight_names import SPEAKER_PARAM_NAMES

ADAPTED_HEADING = "added later"  # headings of the card
ABOUT = "about "  # and the name of a speaker

SpeakerParams = Mapping[str, NDArray[np.float32]]  # one row of each of SPEAKER_PARAM_NAMES


def shared_weights_hash(voice: VoiceFile) -> str:
    """Hash of all weights but the speakers' own; voices with the same hash can be merged."""
    digest = hashlib.sha256(repr(voice.config.model).encode() + voice.encoder.encode())
    for name, value in sorted(voice.weights.items()):
        if name not in SPEAKER_PARAM_NAMES:
            digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()


def speaker_params(voice: VoiceFile, index: int) -> SpeakerParams:
    """Speaker embedding and FiLM offset of the speaker at an index."""
    return {name: voice.weights[name][index] for name in SPEAKER_PARAM_NAMES}


def speaker_params_hash(voice: VoiceFile) -> str:
    """Hash of the parameters of all speakers."""
    return hashlib.sha256(b"".join(voice.weights[name].tobytes() for name in SPEAKER_PARAM_NAMES)).hexdigest()


def check_new_name(voice: VoiceFile, name: str) -> str:
    """A name for a new speaker of a voice, in Unicode's composed form (NFC).

    Raises:
        DataError: the name is in use or not allowed, or the voice is full.
    """
    if len(voice.speakers) >= MAX_SPEAKERS:
        raise DataError(f"the voice is full with {MAX_SPEAKERS} speakers; remove some")
    return _check_unused(checked_new_name(name), voice.speakers)


def with_speaker(
    voice: VoiceFile, speaker: Speaker, params: SpeakerParams, kind: str = "adapted", about: str = ""
) -> VoiceFile:
    """The voice with one more speaker, the last, described in the card; all others stay the same to the bit.

    Raises:
        DataError: the name is in use or not allowed, or the voice is full.
    """
    name = check_new_name(voice, speaker.name)
    stats = (speaker.seconds, *speaker.range, speaker.level, speaker.band)
    added = VoiceSpeaker(name, *stats, number=voice.next_speaker_id, kind=kind)
    if about:
        voice = replace(voice, card=voice.card | {ABOUT + name: about})
    rows = [speaker_params(voice, index) for index in range(len(voice.speakers))]
    return _replace_speakers(voice, (*voice.speakers, added), [*rows, params], voice.next_speaker_id + 1)


def with_renamed(voice: VoiceFile, who: str, name: str) -> VoiceFile:
    """The voice with another name for a speaker; the number stays.

    Raises:
        WeightsError: the voice has no such speaker.
        DataError: the name is in use or not allowed.
    """
    index = voice.speaker_index(who)
    others = [speaker for n, speaker in enumerate(voice.speakers) if n != index]
    speakers = list(voice.speakers)
    speakers[index] = replace(speakers[index], name=_check_unused(checked_new_name(name), others))
    return replace(voice, speakers=tuple(speakers), card=_update_card(voice, speakers))


def without(voice: VoiceFile, who: str) -> VoiceFile:
    """The voice without a speaker, whose number is never used again.

    Raises:
        WeightsError: the voice has no such speaker, or no other.
    """
    index = voice.speaker_index(who)
    if len(voice.speakers) == 1:
        raise WeightsError(f"{voice.speakers[0].name} is the only speaker of this voice; a voice needs one")
    return subset(voice, [n for n in range(len(voice.speakers)) if n != index])


def subset(voice: VoiceFile, indices: Sequence[int]) -> VoiceFile:
    """The voice with some of its speakers, who keep their numbers."""
    rows = [speaker_params(voice, n) for n in indices]
    return _replace_speakers(voice, tuple(voice.speakers[n] for n in indices), rows, voice.next_speaker_id)


def merge(voice: VoiceFile, other: VoiceFile) -> tuple[VoiceFile, list[str]]:
    """A voice with the speakers of both, and one message for each speaker of the second.

    Speakers of the first keep their numbers; those of the second get the next ones. A speaker of both is taken once.

    Raises:
        WeightsError: the two have different generator weights.
        DataError: two different speakers have one name.
    """
    if shared_weights_hash(voice) != shared_weights_hash(other):
        raise WeightsError("the two voices have different generator weights; add the speaker with `svc fit` instead")
    names = {_params_key(speaker_params(voice, n)): speaker.name for n, speaker in enumerate(voice.speakers)}
    messages, speakers, rows = [], list(voice.speakers), [speaker_params(voice, n) for n in range(len(voice.speakers))]
    for index, speaker in enumerate(other.speakers):
        params = speaker_params(other, index)
        key = _params_key(params)
        if key in names:
            messages.append(f"{speaker.name} is already there, as {names[key]}")
            continue
        number = voice.next_speaker_id + len(rows) - len(voice.speakers)
        speakers.append(replace(speaker, name=_check_unused(speaker.name, speakers), number=number))
        rows.append(params)
        names[key] = speaker.name
        messages.append(f"{speaker.name} is now number {number}")
        if ABOUT + speaker.name in other.card:
            voice = replace(voice, card=voice.card | {ABOUT + speaker.name: other.card[ABOUT + speaker.name]})
    if len(rows) > MAX_SPEAKERS:
        raise DataError(f"together the voices have more than {MAX_SPEAKERS} speakers; remove some")
    next_id = voice.next_speaker_id + len(rows) - len(voice.speakers)
    merged = _replace_speakers(voice, tuple(speakers), rows, next_id)
    return replace(merged, training_data=voice.training_data | other.training_data), messages


def _check_unused(name: str, speakers: Sequence[Speaker]) -> str:
    if name.casefold() in {speaker.name.casefold() for speaker in speakers}:
        raise DataError(f"{name}: is in this voice already; use another name, or remove that speaker first")
    return name


def _params_key(params: SpeakerParams) -> bytes:
    return b"".join(params[name].tobytes() for name in SPEAKER_PARAM_NAMES)


def _replace_speakers(
    voice: VoiceFile, speakers: tuple[VoiceSpeaker, ...], rows: Sequence[SpeakerParams], next_speaker_id: int
) -> VoiceFile:
    stacked = {name: np.stack([row[name] for row in rows]).astype(np.float32) for name in SPEAKER_PARAM_NAMES}
    weights, card = {**voice.weights, **stacked}, _update_card(voice, speakers)
    return replace(voice, weights=weights, speakers=speakers, next_speaker_id=next_speaker_id, card=card)


def _update_card(voice: VoiceFile, speakers: Sequence[VoiceSpeaker]) -> dict[str, str]:
    """The card: what it says about speakers follows their names; one heading names those it says nothing of."""
    names, old = {s.number: s.name for s in speakers}, {ABOUT + s.name: s.number for s in voice.speakers}
    card = {}
    for heading, text in voice.card.items():
        if heading in old and old[heading] in names:
            card[ABOUT + names[old[heading]]] = text
        elif heading not in old and heading != ADAPTED_HEADING:
            card[heading] = text
    later = ", ".join(s.name for s in speakers if s.kind != "trained" and ABOUT + s.name not in card)
    return card | ({ADAPTED_HEADING: f"{later}; this card does not describe them, ask them"} if later else {})
