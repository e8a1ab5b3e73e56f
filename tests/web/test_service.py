import asyncio
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from zoo import chunk, fmt, make_zoo, riff, tone

from svc.audio import files
from svc.audio.files import Audio
from svc.errors import DataError, SvcError
from svc.features import f0_csv
from svc.features.speaker import Speaker
from svc.inference import speakers
from svc.inference.voice import VoiceFile
from svc.web import jobs, melody
from svc.web.conversion import ConversionRequest
from svc.web.limits import Limits
from svc.web.origin_check import OriginCheck
from svc.web.service import UNEXPECTED, FitStatus, Service


@pytest.fixture
def service(voice, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    voice.save(tmp_path / "voice.safetensors")
    return Service(tmp_path / "voice.safetensors", folder, Limits(minutes=1, clip_minutes=2, clips=3))


def upload(service: Service, name: str = "song.wav", data: bytes | None = None) -> str:
    """A file where gradio puts uploads: in a folder named by a hash."""
    folder = service.served / "0a1b"
    folder.mkdir(exist_ok=True)
    path = folder / name
    if data is None:
        files.write(path, Audio(tone().astype(np.float32), 16_000))
    else:
        path.write_bytes(data)
    return str(path)


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_song_is_converted(service):
    stages = []
    result = service.convert(
        upload(service), ConversionRequest("#1", transpose="-12"), lambda stage, share: stages.append((stage, share))
    )
    assert result.audio.is_relative_to(service.served)
    assert result.audio.name == "song_Bob Ö..wav"
    info = soundfile.info(result.audio)
    assert (info.frames, info.samplerate) == (16_000, 16_000)
    assert result.plot.startswith(b"\x89PNG")
    assert result.message.startswith("Bob Ö., 12 semitones lower. 1.0 s of song took ")
    assert result.melody.name == "song_melody.csv"
    assert cents_of(result.f0[10:90]) == pytest.approx(0, abs=5)
    assert {stage for stage, _ in stages} == {"extract", "synthesise"}
    assert all(0 <= share <= 1 for _, share in stages)


def cents_of(f0: np.ndarray) -> float:
    """Median f0 in cents above 440 Hz, the tone of the uploads."""
    return float(1200 * np.log2(np.median(f0) / 440))


def test_a_corrected_melody_is_used_and_saved(service):
    """The saved CSV is what was sung, and gives the same again."""
    path = upload(service)
    first = service.convert(path, ConversionRequest("#0", transpose="0"))
    mended = melody.shift_notes(first.f0, [[0.4, 0.6, "", 3]])
    second = service.convert(path, ConversionRequest("#0", transpose="0"), f0_curve=mended)
    assert cents_of(second.f0[42:58]) == pytest.approx(300, abs=5)
    np.testing.assert_allclose(second.f0, mended, rtol=1e-4)
    np.testing.assert_allclose(f0_csv.read_csv(second.melody, len(mended)), mended, rtol=1e-4)
    assert not np.array_equal(files.read(first.audio).samples, files.read(second.audio).samples)


def test_an_example_song(service):
    path = service.example()
    assert path.is_relative_to(service.served)
    assert 3 < files.read(path).seconds < 7
    assert service.example() == path


def test_menu_values_are_unambiguous(voice, service):
    """Also where a name is another speaker's number."""
    assert service.speakers() == [("Ann · D3 to G4", "#0"), ("Bob Ö. · D♯2 to A3", "#1")]
    ann, bob = voice.speakers
    service._converter.voice = replace(voice, speakers=(replace(ann, name="1"), bob))
    words = [word for _, word in service.speakers()]
    assert [service.voice.speaker_index(word) for word in words] == [0, 1]


def test_bad_uploads_give_one_line_and_leave_nothing(service):
    bad, _ = make_zoo(service.served / "zoo")
    del bad["symlink loop"]  # uploads are no links
    before = everything(service.folder)
    for what, path in bad.items():
        with pytest.raises(SvcError) as caught:
            service.convert(str(path), ConversionRequest("#0"))
        sentence = service.error_message(caught.value)
        assert str(service.folder) not in sentence, what
        assert sentence.isprintable(), what
        assert 20 < len(sentence) < 300, what
    assert everything(service.folder) == before
    assert service.convert(upload(service), ConversionRequest("#0")).audio.exists()


@pytest.mark.parametrize(
    ("conversion", "reason"),
    [
        (ConversionRequest("#0", "#9", 0.5), "choose a speaker"),
        (ConversionRequest("#0", transpose="1e9"), "semitones between"),
        (ConversionRequest("#0", "#1", float("nan")), "shares of a mix"),
        (ConversionRequest("/etc/mixes.csv"), "choose a speaker"),
    ],
)
def test_requests_that_are_not_valid(service, conversion, reason):
    with pytest.raises(SvcError, match=reason):
        service.convert(upload(service), conversion)


@pytest.mark.parametrize("path", [None, "", "/etc/passwd", "../voice.safetensors", "served/../../voice.safetensors"])
def test_only_uploads_are_read(service, path):
    with pytest.raises(DataError, match=r"[Dd]rop"):
        service.convert(path and str(service.folder / path), ConversionRequest("#0"))
    with pytest.raises(DataError, match=r"[Dd]rop"):
        service.start_fit("Cy", [path and str(service.folder / path)])


def test_unexpected_errors_are_reported_without_their_text(service, capsys):
    assert service.error_message(RuntimeError("secret")) == UNEXPECTED
    assert "RuntimeError: secret" in capsys.readouterr().err


# Length ---------------------------------------------------------------------------------------------------------


def four_hours() -> tuple[bytes, int]:
    """The head of a WAV of 8 bits at 8 kHz, and how long the file has to be for it to be true."""
    size = 4 * 3600 * 8_000
    return riff(fmt(8_000, bits=8), chunk(b"data", b"", size), length=36 + size), 44 + size


def test_a_forged_header_is_refused(service):
    head, _ = four_hours()
    with pytest.raises(SvcError, match="cut short"):
        service.convert(upload(service, "forged.wav", head + bytes(8_000)), ConversionRequest("#0"))
    soundfile.write(service.served / "forged.flac", tone(), 16_000)
    data = bytearray((service.served / "forged.flac").read_bytes())
    word = struct.unpack(">Q", data[18:26])[0]  # STREAMINFO: rate, channels, bits, and 36 bits of length
    data[18:26] = struct.pack(">Q", word >> 36 << 36 | 4 * 3600 * 16_000)
    with pytest.raises(SvcError, match="longer than"):
        service.convert(upload(service, "forged.flac", bytes(data)), ConversionRequest("#0"))


def test_a_conversion_that_takes_too_long_is_stopped(service, voice):
    hasty = Service(service.voice_file, service.folder, Limits(convert_seconds=0))
    before = everything(service.folder)
    with pytest.raises(DataError, match="took too long"):
        hasty.convert(upload(service), ConversionRequest("#0"))
    assert everything(service.folder) - before == {service.served / "0a1b", service.served / "0a1b" / "song.wav"}


def test_a_closed_page_cancels_its_conversion_only(service):
    path, before = upload(service), everything(service.folder)
    service.announce("mine")

    def cancelling(page):
        return lambda _stage, _share: service.cancel(page)

    with pytest.raises(DataError, match="the conversion was cancelled"):
        service.convert(path, ConversionRequest("#0"), cancelling("mine"), "mine")
    assert everything(service.folder) == before
    service.announce("mine")
    assert service.convert(path, ConversionRequest("#0"), cancelling("yours"), "mine").audio.exists()
    service.announce("mine")
    with pytest.raises(DataError, match="Drop a song first"):
        service.convert(None, ConversionRequest("#0"), page="mine")
    assert not service._cancelled  # nothing is kept of pages that come and go


def test_a_page_that_converts_again_ends_the_conversion_before(service):
    path = upload(service)
    service.announce("mine")

    def again(_stage, _share):
        service.announce("mine")

    with pytest.raises(DataError, match="the conversion was cancelled"):
        service.convert(path, ConversionRequest("#0"), again, "mine")
    assert service.convert(path, ConversionRequest("#0"), page="mine").audio.exists()


# Fitting --------------------------------------------------------------------------------------------------------


def stand_in(monkeypatch, script: str, *words: object) -> None:
    """Instead of the fit a program that gets the folder of clips, the name, the voice to write, and words."""

    def command(voice: Path, clips: Path, name: str, out: Path) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", script, str(clips), name, str(out), *map(str, words)]

    monkeypatch.setattr(jobs, "fit_command", command)
    monkeypatch.setattr(jobs, "TERMINATE_SECONDS", 0.5)


def wait_for_fit(service: Service, state: str, seconds: float = 30.0) -> list[FitStatus]:
    """All different states of a fit, up to one."""
    seen, end = [service.fit_status()], time.perf_counter() + seconds
    while seen[-1].state != state:
        assert time.perf_counter() < end, seen
        time.sleep(0.02)
        if (status := service.fit_status()) != seen[-1]:
            seen.append(status)
    return seen


COPY = """
import os, pathlib, shutil, sys, time
def wait(name):
    while not pathlib.Path(sys.argv[4] + name).exists():
        time.sleep(0.02)
print(*sorted(os.listdir(sys.argv[1])), sep="|", flush=True)
sys.stderr.write("prepare:  50%|#####     | 1/2 [00:01<00:02,  1.00s/file]\\r")
sys.stderr.flush()
wait(".1")
sys.stderr.write("train:  10%|#         | 1/10 [00:01<?, ?step/s]\\r")
sys.stderr.write("train:  90%|######### | 9/10 [00:09<00:01,  1.00s/step, spectral 1.2]\\r")
sys.stderr.flush()
wait(".2")
shutil.copy(sys.argv[4], sys.argv[3])
"""


@pytest.fixture
def fitted(voice, tmp_path) -> Path:
    """The voice that a fit of Cy would write."""
    more = speakers.with_speaker(voice, Speaker("Cy", 60.0, 300.0, 200.0, 500.0), speakers.speaker_params(voice, 0))
    more.save(tmp_path / "more.safetensors")
    return tmp_path / "more.safetensors"


def test_a_speaker_is_fitted_and_used(service, fitted, monkeypatch):
    """With real progress, and whether or not anybody looks."""
    stand_in(monkeypatch, COPY, fitted)
    clips = [upload(service, "a.wav"), upload(service, "$(touch x); rm.WAV")]
    assert service.fit_status().state == "idle"
    service.start_fit(" Cy ", clips)
    with pytest.raises(DataError, match="another fit is running"):
        service.start_fit("Di", clips)
    reading = FitStatus("running", "Cy: Reading the recordings, 00:02 left. You can convert songs meanwhile.", 0.05)
    learning = FitStatus("running", "Cy: Learning the voice, 00:01 left. You can convert songs meanwhile.", 0.3 + 0.63)
    for status, mark in ((reading, ".1"), (learning, ".2")):
        end = time.perf_counter() + 30
        while service.fit_status() != status:
            assert time.perf_counter() < end, service.fit_status()
            time.sleep(0.02)
        Path(f"{fitted}{mark}").touch()
    assert wait_for_fit(service, "finished")[-1].message.startswith("Cy is ready")
    assert service.speakers()[-1] == ("Cy · G3 to B4", "#2")
    assert service.voice_file.name == "voice_Cy.safetensors"
    assert not list(service.folder.glob("fit-*"))
    assert VoiceFile.load(service.voice_file).speakers[2].name == "Cy"
    assert service.convert(upload(service), ConversionRequest("#2")).message.startswith("Cy, ")
    with pytest.raises(DataError, match="in this voice already"):
        service.start_fit("cy", clips)


def test_a_speaker_is_added_without_training(service, monkeypatch):
    """From the recordings that were uploaded, whatever the network makes of them."""
    read: list[str] = []

    def add(voice, name, paths):
        read.extend(path.name for path in paths)
        params = speakers.speaker_params(voice, 0)
        return speakers.with_speaker(voice, Speaker(name, 4.0, 200.0, 150.0, 300.0), params)

    monkeypatch.setattr("svc.web.service.add_speaker", add)
    assert not service.zero_shot
    service.start_fit("Cy", [upload(service)], zero_shot=True)
    assert read == ["song.wav"]
    assert service.fit_status().state == "finished"
    assert service.speakers()[-1] == ("Cy · D3 to D4", "#2")
    assert VoiceFile.read(service.saved_voice).speakers[-1].name == "Cy"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; print('noise'); sys.exit('svc: Cy: nothing usable')", "Cy: nothing usable."),
        ("raise ValueError('secret')", "the fit failed; try other recordings."),
        ("pass", "voice.safetensors: no such file"),
        ("import sys; open(sys.argv[3], 'w').write('no voice')", "not a safetensors file"),
    ],
)
def test_a_fit_that_fails_leaves_nothing(service, monkeypatch, script, reason):
    stand_in(monkeypatch, script)
    clips, voice_file = [upload(service)], service.voice_file
    before = everything(service.folder)
    service.start_fit("Cy", clips)
    assert reason in wait_for_fit(service, "failed")[-1].message
    assert everything(service.folder) == before
    assert (service.voice_file, len(service.voice.speakers)) == (voice_file, 2)


SLEEP = """
import pathlib, subprocess, sys
child = subprocess.Popen(["sleep", "60"])
path = pathlib.Path(sys.argv[4])
path.with_suffix(".new").write_text(str(child.pid))
path.with_suffix(".new").rename(path)
child.wait()
"""


def alive(pid: int, seconds: float = 0.0) -> bool:
    """Whether a process is there, and still is after so many seconds in which it may end."""
    end = time.perf_counter() + seconds
    try:
        while there := "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            if time.perf_counter() > end:
                return there
            time.sleep(0.02)
    except OSError:
        pass
    return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("ended_by", ["cancel", "clock"])
def test_a_fit_ends_with_all_that_it_started(service, monkeypatch, tmp_path, ended_by):
    stand_in(monkeypatch, SLEEP, tmp_path / "pid")
    clips = [upload(service)]
    before = everything(service.folder)
    service.start_fit("Cy", clips)
    end = time.perf_counter() + 30
    while not (tmp_path / "pid").exists():
        assert time.perf_counter() < end
        time.sleep(0.02)
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    if ended_by == "cancel":
        service.cancel_fit()
        assert service.fit_status().message == "The fit was cancelled."
    else:
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 1e6)
        assert "the fit took too long" in service.fit_status().message
    assert not alive(pid, seconds=10)
    assert everything(service.folder) == before


@pytest.mark.parametrize("name", [" ", "../x", "-o", ".hidden", "BOB ö."])
def test_names_that_are_refused(service, monkeypatch, name):
    stand_in(monkeypatch, "raise SystemExit('must not run')")
    with pytest.raises(DataError):
        service.start_fit(name, [upload(service)])


def test_too_many_or_too_long_clips(service):
    clip = upload(service)
    with pytest.raises(DataError, match="3 recordings of 2 minutes at most"):
        service.start_fit("Cy", [clip] * 4)
    minute = upload(service, "minute.wav", riff(fmt(), chunk(b"data", bytes(2 * 16_000 * 55))))
    with pytest.raises(DataError, match="3 recordings of 2 minutes at most"):
        service.start_fit("Cy", [minute] * 3)
    with pytest.raises(DataError, match="Drop some recordings"):
        service.start_fit("Cy", [])


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "007 passwd"),
        ("a;b|c$(d).mp3", "007 a_b_c__d_.mp3"),
        ("Für Élise 🎵.flac", "007 Für Élise _.flac"),
        ("..", "007 __"),
        ("x" * 300 + ".wav", "007 " + "x" * 40 + ".wav"),
    ],
)
def test_names_of_uploads_do_no_harm(name, kept):
    assert jobs.safe_name(7, name) == kept


# Melody and the gate ---------------------------------------------------------------------------------------


def test_notes_are_found_through_vibrato():
    """A4 with a vibrato of 60 cents, C5 after it without a gap, a rest, E4; 50 ms are no note."""
    time_ = np.arange(100) / 100
    wide = 440 * 2 ** (0.6 * np.sin(2 * np.pi * 5.5 * time_) / 12)
    f0 = np.concatenate([np.zeros(20), wide, np.full(60, 523.25), np.zeros(30), np.full(50, 329.63), np.zeros(10),
                         np.full(5, 200.0), np.zeros(5)])  # fmt: skip
    notes = melody.find_notes(f0)
    assert [name for _, _, name, _ in notes] == ["A4", "C5", "E4"]
    np.testing.assert_allclose([note[:2] for note in notes], [[0.2, 1.2], [1.2, 1.8], [2.1, 2.6]], atol=0.03)
    assert melody.find_notes(np.zeros(50)) == melody.find_notes(np.zeros(0)) == []


@pytest.mark.parametrize(
    "row", [["x", 1, "", 1], [0, 1, "", "up"], [1, 0, "", 1], [0, 1, "", 99], [0, float("nan"), "", 1]]
)
def test_notes_that_are_not_valid(row):
    with pytest.raises(DataError, match="note 2"):
        melody.shift_notes(np.full(100, 220.0), [[0, 1, "A3", 0], row])


def test_notes_are_shifted():
    f0 = np.repeat([0.0, 220.0, 330.0], 10)
    rows = [[0.1, 0.2, "A3", -12], [0.2, 0.25, "E4", "7"], [0.0, 0.3, "", ""], [None, "", "", None]]
    fifth = [330 * 2 ** (7 / 12)]
    np.testing.assert_allclose(melody.shift_notes(f0, rows), [*[0] * 10, *[110] * 10, *fifth * 5, *[330] * 5])


def answer(path: str, **headers: str) -> int:
    """The status that the gate lets through or gives."""
    sent = []

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        sent.append(message)

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": named}
    asyncio.run(OriginCheck(page)(scope, None, send))
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (200, "/", {"host": "127.0.0.1:7860"}),
        (200, "/", {"host": "localhost:9000", "origin": "http://localhost:9000"}),
        (403, "/", {}),
        (403, "/", {"host": "127.0.0.1.evil.example"}),
        (403, "/", {"host": "127.0.0.1:7860", "origin": "http://evil.example"}),
        (403, "/", {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:8000"}),
        (403, "/", {"host": "127.0.0.1:7860", "origin": "null"}),
        (403, "/gradio_api/file=http://example.com/x", {"host": "127.0.0.1:7860"}),
        (403, "/gradio_api/proxy=https://x.hf.space", {"host": "127.0.0.1:7860"}),
    ],
)
def test_origin_check(status, path, headers):
    assert answer(path, **headers) == status
