"""Speech with its phones from espeak-ng, a formant synthesiser in a hundred voices: an optional tool of training.

The library is called directly, because its program does not say where phones are.
"""

import ctypes
import ctypes.util
from ctypes import POINTER, c_char, c_char_p, c_int, c_short, c_void_p
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonetics.phones import PHONES, SILENCE, Segment, from_ipa
from svc.audio.files import Audio
from svc.errors import DataError
from svc.utils.units import FRAMES_PER_SECOND

SYNCHRONOUS, PHONE_EVENTS, IPA_EVENTS = 2, 1, 2  # espeak_AUDIO_OUTPUT, espeak_Initialize's options
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8, CHARACTERS = 1, 1
END, PHONE = 0, 7  # espeak_EVENT_TYPE
UNLIKE_PEOPLE = ("whisper", "Demonic", "croak", "UniRobot")  # first letters of voices that are left out


class _Event(ctypes.Structure):
    """espeak_EVENT; of the union at its end the phone."""

    _fields_ = (
        ("type", c_int),
        *((name, c_int) for name in ("identifier", "text_position", "length", "milliseconds")),
        ("sample", c_int),
        ("user", c_void_p),
        ("phone", c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class Espeak:
    """The synthesiser; one a process.

    Attributes:
        variants: names of its voices, to be put behind a language's.
    """

    def __init__(self) -> None:
        library = ctypes.util.find_library("espeak-ng")
        if library is None:
            raise DataError(
                "espeak-ng is not installed; install your system's package of that name, or do without: --synthetic 0"
            )
        self._library = ctypes.CDLL(library)
        self._rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONE_EVENTS | IPA_EVENTS)
        self._blocks: list[NDArray[np.int16]] = []
        self._phones: list[tuple[int, str]] = []
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_Info.restype = c_char_p
        data = c_char_p()
        self._library.espeak_Info(ctypes.byref(data))
        folder = Path((data.value or b"").decode()) / "voices" / "!v"
        names = sorted(path.name for path in folder.iterdir())
        self.variants = tuple(name for name in names if not name.startswith(UNLIKE_PEOPLE))

    def say(
        self, text: str, voice: str, pitch: int = 50, span: int = 50, words: int = 170
    ) -> tuple[Audio, list[Segment]]:
        """Text to speech with phone times; the samples depend a little on what was spoken before.

        Args:
            text: UTF-8.
            voice: language and variant, ``en-us+f3``.
            pitch: 0 to 99.
            span: of the intonation, 0 to 99; with 0 the pitch stays.
            words: a minute, 80 to 450.

        Raises:
            DataError: there is no such voice, or there is no sound for the text.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"espeak-ng has no voice {voice}; list them with `espeak-ng --voices`")
        for parameter, value in ((RATE, words), (PITCH, pitch), (RANGE, span)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._blocks, self._phones = [], []
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, CHARACTERS, 0, UTF8, None, None)
        samples = np.concatenate(self._blocks).astype(np.float32) / np.float32(32_768)
        hop = self._rate / FRAMES_PER_SECOND
        bounds = pairwise([*self._phones, (len(samples), "")])
        segments = [Segment(from_ipa(name), start / hop, end / hop) for (start, name), (end, _) in bounds]
        if all(segment.phones == (PHONES[SILENCE],) for segment in segments):
            raise DataError(f"espeak-ng has no sound for {text!r}; give it words")
        return Audio(samples, self._rate), segments

    def _collect(self, wave: "ctypes._Pointer[c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if count > 0:
            self._blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        number = 0
        while events[number].type != END:
            if events[number].type == PHONE:
                self._phones.append((events[number].sample, events[number].phone.decode(errors="ignore")))
            number += 1
        return 0


@lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The synthesiser of this process.

    Raises:
        DataError: it is not installed.
    """
    return Espeak()
