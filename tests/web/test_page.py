"""The page as people use it: a server, and Chromium clicking through it. Nothing but 127.0.0.1 can be reached."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio import files
from svc.audio.files import Audio
from svc.features.speaker import Speaker
from svc.inference import speakers

pytest.importorskip("selenium", reason="clicks through the page with selenium")
if not find_spec("gradio"):
    pytest.skip("needs gradio", allow_module_level=True)
if not shutil.which("chromium") or not shutil.which("chromedriver"):
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

TERMINATE_SECONDS = 240.0  # on a machine that does ten things at once
SERVER = """
import os, sys, time

def audit(event, args):
    addresses = {"socket.connect": args[1:2], "socket.getaddrinfo": args[:1]}.get(event, ())
    hosts = [each[0] if isinstance(each, tuple) else each for each in addresses]
    if set(hosts) - {"127.0.0.1", "localhost"}:
        print("network:", event, hosts)

sys.addaudithook(audit)
from svc.cli import main
from svc.web import jobs, service

script = '''
import pathlib, shutil, sys, time
print("train:  50%|#####     | 1/2 [00:01<00:02,  1.00s/step]", flush=True)
while not pathlib.Path("../../../ready").exists():
    time.sleep(0.1)
shutil.copy(*sys.argv[1:])
'''
more = os.path.abspath("more.safetensors")
jobs.fit_command = lambda voice, clips, name, out: [sys.executable, "-c", script, more, str(out)]
convert = service.Converter.convert_file

def slowly(self, source, target, options, progress):
    try:
        while source.stem == "endless":
            progress("extract", 0.5)
            time.sleep(0.1)
    except Exception as error:
        print(error, flush=True)
        raise
    if source.stem == "broken":
        raise RuntimeError("secret")
    return convert(self, source, target, options, progress)

service.Converter.convert_file = slowly
main()
"""


class Site:
    """A running server: its address, its folder, its process and what it printed."""

    def __init__(self, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self.temporary = f"http://127.0.0.1:{self.port}", folder / "tmp"
        self.temporary.mkdir()
        self.log = folder / "log.txt"
        words = ["serve", "--voice", "voice.safetensors", "--port", str(self.port), "--max-minutes", "0.1"]
        paths = os.pathsep.join([str(Path(files.__file__).parents[2]), *filter(None, sys.path)])
        environment = os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, *words], cwd=folder, env=environment, stdout=log, stderr=log
            )
        wait(lambda: "next: open" in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, data=data, headers=named)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    @property
    def served(self) -> Path:
        """What browsers may read."""
        return next(self.temporary.glob("svc-serve-*")) / "served"


class Page:
    """A browser on the page."""

    def __init__(self, address: str, downloads: str = ""):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in (
            *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,1000"),
            *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        ):
            options.add_argument(word)
        options.add_experimental_option("prefs", {"download.default_directory": downloads})
        self.driver = webdriver.Chrome(service=Driver(shutil.which("chromedriver")), options=options)
        self.driver.get(address)
        wait(lambda: self.all("#convert"))

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText || ''", selector)

    def click(self, selector: str, text: str = "") -> None:
        result = wait(lambda: [each for each in self.all(selector) if text in each.text and each.is_displayed()])
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", result[0])
        result[0].click()

    def choose(self, menu: str, text: str) -> None:
        self.click(f"{menu} input")
        self.click("[role=option]", text)

    def give(self, where: str, *paths: Path) -> None:
        """Drop files."""
        wait(lambda: self.all(f"{where} input[type=file]"))[0].send_keys("\n".join(map(str, paths)))

    def open_notes(self) -> None:
        """Open the notes, if they are not open from before."""
        wait(lambda: [each for each in self.all("#mend button") if each.is_displayed()])
        if not [each for each in self.all("#notes") if each.is_displayed()]:
            self.click("#mend button", "Mend")

    def write_shift(self, row: int, text: str) -> None:
        """Write by how much a note is to be shifted; again, if the page was too slow to open its cell."""
        selector = f"#notes [data-testid=cell-{row}-3]"

        def written() -> bool:
            cell = wait(lambda: self.all(selector))[0]
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
            keys = ActionChains(self.driver).double_click(cell).key_down(Keys.CONTROL).send_keys("a")
            keys.key_up(Keys.CONTROL).send_keys(text, Keys.ENTER).perform()
            time.sleep(2)
            return text in self.text(selector)

        wait(written)

    def clear(self) -> None:
        """Take the song away."""
        for close in self.all("#song button[aria-label=Clear]"):
            close.click()

    def sing(self, song: Path) -> None:
        """Drop a song in the place of the one that is there, and press the button."""
        self.clear()
        self.give("#song", song)
        wait(lambda: self.all("#song button[aria-label=Clear]"))  # not before it has arrived
        self.click("#convert")


def wait(result, seconds: float = TERMINATE_SECONDS):
    """What comes, as soon as it does."""
    end = time.monotonic() + seconds
    while not (value := result()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def folder(voice, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    voice.save(folder / "voice.safetensors")
    more = speakers.with_speaker(voice, Speaker("Cy", 60.0, 300.0, 200.0, 500.0), speakers.speaker_params(voice, 0))
    more.save(folder / "more.safetensors")
    time_ = np.arange(16_000) / 16_000
    for name in ("song.wav", "endless.wav", "broken.wav", "clip.wav"):
        files.write(folder / name, Audio((0.3 * np.sin(2 * np.pi * 220 * time_)).astype(np.float32), 16_000))
    files.write(folder / "long.wav", Audio(np.tile(np.float32([0.3, -0.3]), 56_000), 16_000))
    (folder / "text.wav").write_text("no song")
    soundfile.write(folder / "huge.wav", np.zeros(1_300_000), 16_000, "DOUBLE")
    return folder


@pytest.fixture(scope="module")
def site(folder):
    site = Site(folder)
    yield site
    if site.process.poll() is None:
        site.process.kill()
        site.process.wait()


@pytest.fixture(scope="module")
def page(site, folder):
    page = Page(site.address, str(folder))
    yield page
    page.driver.quit()


def test_the_voice_and_its_speakers(page, folder):
    assert page.text("#about").strip() == f"Voice {folder.name}, 2 speakers"
    page.click("#about summary")
    assert "licence: CC0" in page.text("#about")
    page.click("#speaker input")
    wait(lambda: "Ann · D3 to G4" in page.text("[role=listbox]"))
    page.click("[role=option]", "Bob Ö.")


def test_a_song_is_converted(page, site, folder):
    page.sing(folder / "song.wav")
    wait(lambda: page.all("#message img"))
    assert "Bob Ö., 12 semitones lower. 1.0 s" in page.text("#message")
    assert page.driver.execute_script("return document.querySelector('#message img').naturalWidth") > 500
    link = wait(lambda: page.all("#result a[download]"))[0].get_attribute("href")
    assert wait(lambda: page.all("#result audio, #result .waveform-container"))
    (folder / "result").write_bytes(site.ask(link.removeprefix(site.address))[1])
    info = soundfile.info(folder / "result")
    assert (info.frames, info.samplerate, info.subtype) == (16_000, 16_000, "PCM_24")


def test_a_note_is_mended(page, site, folder):
    """The tone of 220 Hz, an A3, raised by two semitones, and saved."""
    page.open_notes()
    wait(lambda: "A3" in page.text("#notes"))
    page.write_shift(0, "2")
    page.click("#again")
    wait(lambda: "B3" in page.text("#notes"))
    assert "Bob Ö., 12 semitones lower" in page.text("#message")
    page.click("#save")
    rows = wait(lambda: next(folder.glob("song_melody*.csv"), None)).read_text().split()
    assert rows[0] == "seconds,hz"
    assert float(rows[50].split(",")[1]) == pytest.approx(220 * 2 ** (2 / 12), rel=0.005)


def test_mix_key_and_loudness(page, folder):
    assert not [each for each in page.all("#share, #semitones") if each.is_displayed()]
    page.choose("#second", "Ann")
    page.click("#transpose label", "By semitones")
    page.click("#loudness label", "Streaming")
    steps = wait(lambda: [each for each in page.all("#semitones input[type=number]") if each.is_displayed()])[0]
    steps.send_keys(Keys.CONTROL, "a")
    steps.send_keys("-5", Keys.TAB)
    page.sing(folder / "song.wav")
    wait(lambda: "Ann0.5+Bob Ö.0.5, 5 semitones lower" in page.text("#message"))
    assert "Gain" in page.text("#message")
    page.choose("#second", "nobody")
    page.click("#transpose label", "same key")
    page.click("#loudness label", "The song")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text.wav", "text.wav: not audio that can be read; give a WAV, FLAC, OGG or MP3 file."),
        ("broken.wav", "the reason is in the terminal"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_the_page_goes_on(page, site, folder, name, sentence):
    page.sing(folder / name)
    wait(lambda: sentence in page.text("#message [role=alert]"))
    assert not page.all("#message img, #result a[download]")
    assert "secret" not in page.driver.page_source
    page.sing(folder / "song.wav")
    wait(lambda: page.all("#message img"))


def test_cancel_and_closing_the_page_end_the_conversion(page, site, folder):
    """Also one that waits for its turn."""

    def cancelled() -> int:
        return site.log.read_text().count("the conversion was cancelled")

    other, before = Page(site.address), cancelled()
    try:
        for end in (lambda: other.click("#cancel"), other.driver.quit):
            other.sing(folder / "endless.wav")
            wait(lambda: "30.0%" in other.text("#result"))
            page.sing(folder / "song.wav")
            page.click("#cancel")
            wait(lambda: "The conversion was cancelled." in page.text("#message"))
            assert not [each for each in page.all("#cancel") if each.is_displayed()]
            end()
            before += 1
            wait(lambda count=before: cancelled() == count)
    except BaseException:
        other.driver.quit()  # not twice: the second waits for two minutes
        raise
    page.click("#convert")
    wait(lambda: page.all("#message img"))


def fit_cy(page, folder) -> None:
    page.driver.refresh()
    page.click("[role=tab]", "New speaker")
    page.click("#name textarea, #name input")
    page.all("#name textarea, #name input")[0].send_keys("Cy")
    page.give("#clips", folder / "clip.wav", folder / "song.wav")
    wait(lambda: "clip" in page.text("#clips"))
    wait(lambda: "song" in page.text("#clips"))
    page.click("#fit")
    wait(lambda: "Cy: Learning the voice, 00:02 left" in page.text("#fit-message"))
    assert float(page.all("#fit-message progress")[0].get_attribute("value")) == pytest.approx(0.65)


def test_a_fit_goes_on_when_the_page_is_closed(page, site, folder):
    other = Page(site.address)
    fit_cy(other, folder)
    other.driver.quit()
    page.driver.refresh()
    page.click("[role=tab]", "New speaker")
    wait(lambda: page.all("#fit-message progress"))  # there when it is opened again, by anybody
    (folder / "ready").touch()
    wait(lambda: "Cy is ready" in page.text("#fit-message"))
    assert wait(lambda: page.all("#voice a[download]"))
    assert "gone when the server ends" in page.text("#fit-message")
    page.driver.refresh()
    page.click("[role=tab]", "New speaker")
    assert wait(lambda: page.all("#voice a[download]"))  # for whoever comes back, too
    page.click("[role=tab]", "Convert a song")
    page.choose("#speaker", "Cy")
    page.sing(folder / "song.wav")
    wait(lambda: page.text("#message").startswith("Cy, "))


# Without the browser ---------------------------------------------------------------------------------------------


def test_other_files_are_not_served(site, folder):
    files = (
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "%2Fetc%2Fpasswd",
        "file:///etc/passwd",
        "http://127.0.0.1/x",
    )
    paths = [f"/gradio_api/file={name}" for name in (*files, "voice.safetensors", folder / "voice.safetensors")]
    others = ("/gradio_api/proxy=https://x.hf.space/x", "/static/../../../../../../etc/passwd", "/file=/etc/passwd")
    for path in (*paths, *others):
        assert site.ask(path)[0] in (403, 404), path


def test_a_path_is_no_upload(site, folder):
    """Whoever sends the path of a file of this machine, as if it had been uploaded, gets nothing of it."""
    parts = json.loads(site.ask("/config")[1])["dependencies"]
    number = next(part["id"] for part in parts if len(part["inputs"]) == 9)
    song = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    notes = {"headers": [], "data": [], "metadata": None}
    wish = {"data": [song, "#0", "", 50, "auto", 0, "source", notes, None], "fn_index": number, "session_hash": "me"}
    assert site.ask("/gradio_api/queue/join", json.dumps(wish).encode(), Content_Type="application/json")[0] == 200
    stream = site.ask("/gradio_api/queue/data?session_hash=me")[1].decode()
    output = [json.loads(line[5:]) for line in stream.split("\n") if line.startswith("data:")]
    done = next(each for each in output if each["msg"] == "process_completed")
    assert not done["success"]
    assert not list(site.served.rglob("passwd"))


def test_it_ends_without_traces(page, site, folder):
    page.driver.get("about:blank")
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(TERMINATE_SECONDS) == 0
    assert "are deleted" in site.log.read_text()
    assert not list(site.temporary.glob("svc-serve-*"))
    assert "network:" not in site.log.read_text()
    errors = [line for line in site.log.read_text().splitlines() if "Error: " in line]  # for whoever runs the server
    assert [error.split(":")[0] for error in errors] == ["RuntimeError", "gradio.exceptions.InvalidPathError"]
