"""Gradio page: layout, and the handlers of its buttons."""

import base64
from html import escape
from typing import Any

from svc.features.transpose import MAX_SEMITONES
from svc.web import melody
from svc.web.conversion import ConversionRequest, Result
from svc.web.limits import MAX_QUEUE
from svc.web.service import FitStatus, Service

KEYS = [("In the speaker's range, same key", "auto"), ("In the middle of the range, other key", "match"),
        ("By semitones", "semitones")]  # fmt: skip
LOUDNESS = [("The song", "source"), ("The speaker's recordings", "target"), ("Streaming (−14 LUFS)", -14.0)]
NONE = ("nobody", "")
STAGES = {"extract": (0.0, 0.6, "Reading the song"), "synthesise": (0.6, 0.4, "Singing")}  # start, length, label
CSS = """
.message, .message .html-container { padding: 0 !important; }
.message p { margin: 0; padding: 10px 14px; border-radius: 4px; border: 1px solid var(--border-color-primary); }
.message p.error { border-color: #b91c1c; border-left-width: 6px; }
.message img { width: 100%; margin-top: 12px; border-radius: 4px; background: white; }
.message progress { width: 100%; height: 14px; margin-top: 12px; appearance: none; }
.message progress::-webkit-progress-bar { background: var(--border-color-primary); border-radius: 4px; }
.message progress::-webkit-progress-value { background: #2563eb; border-radius: 4px; }
#about .html-container { padding: 0 !important; }
#about summary { cursor: pointer; }
body:not(.dark) { --neutral-400: #52525b; }
#title { overflow: visible !important; }
footer { display: none !important; }
"""
WAVE = {"waveform_color": "#71717a", "waveform_progress_color": "#2563eb"}
INSTANT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def theme(gr: Any) -> Any:
    """Colours with enough contrast, and a font that is installed with gradio."""
    font = gr.themes.utils.fonts.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Default(primary_hue="blue", font=[font, "system-ui", "sans-serif"]).set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        block_label_text_color="*neutral_700",
        block_info_text_color="*neutral_700",
    )


def build(gr: Any, service: Service, fitting: bool) -> Any:
    """The page, as ``gradio.Blocks``.

    Args:
        gr: the module gradio.
        service: conversions and fits.
        fitting: whether speakers can be fitted.
    """
    voice = service.voice
    card = [f"<li>{escape(f'{key}: {text}')}</li>" for key, text in voice.card.items() if text != "not stated"]
    with gr.Blocks(title="svc", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# Convert a song to another speaker", elem_id="title")
        title = f"Voice <b>{escape(service.name)}</b>, {len(voice.speakers)} speakers"
        gr.HTML(f"<details><summary>{title}</summary><ul>{''.join(card)}</ul></details>", elem_id="about")
        with gr.Tabs():
            with gr.Tab("Convert a song"):
                menus = _convert_tab(gr, service)
            if fitting:
                with gr.Tab("New speaker"):
                    _fit_tab(gr, service, menus, page)
        page.load(lambda: _menu_choices(gr, service), None, menus, **INSTANT)
        page.unload(_with_request(gr, lambda request: service.cancel(request.session_hash)))
    return page.queue(max_size=MAX_QUEUE)


def _convert_tab(gr: Any, service: Service) -> list[Any]:
    """The first tab; returns its two menus of speakers."""
    minutes, speakers = service.limits.minutes, service.speakers()
    gr.Markdown(f"Drop or record one voice without accompaniment, up to {minutes:g} minutes. It stays on this machine.")
    with gr.Row():
        with gr.Column():
            song = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="Your song", editable=False, buttons=[],
                waveform_options=WAVE, elem_id="song",
            )  # fmt: skip
            example = gr.Button("Take an example song", size="sm", elem_id="example")
            with gr.Row():
                speaker = gr.Dropdown(speakers, value=speakers[0][1], label="Speaker and range", elem_id="speaker")
                second = gr.Dropdown([NONE, *speakers], value="", label="Mixed with", elem_id="second")
            share = gr.Slider(0, 100, 50, step=5, label="How much of the second, %", visible=False, elem_id="share")
            key = gr.Radio(KEYS, value="auto", label="Key", elem_id="transpose")
            limit = MAX_SEMITONES // 2
            semitones = gr.Slider(-limit, limit, 0, step=1, label="Semitones", visible=False, elem_id="semitones")
            loudness = gr.Radio(LOUDNESS, value="source", label="As loud as", elem_id="loudness")
            with gr.Row():
                button = gr.Button("Convert", variant="primary", elem_id="convert")
                cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
        with gr.Column():
            result = gr.Audio(
                label="Result", type="filepath", interactive=False, buttons=["download"], waveform_options=WAVE,
                elem_id="result",
            )  # fmt: skip
            message = gr.HTML(_message("Nothing converted yet."), padding=False, elem_id="message",
                              elem_classes="message")  # fmt: skip
            with gr.Accordion("Mend the melody", open=False, visible=False, elem_id="mend") as mend:
                gr.Markdown("Wrong note? Write by how many semitones to shift it, or add a row, and convert again.")
                notes = gr.Dataframe(
                    headers=["from, s", "to, s", "note", "shift"], datatype=["number", "number", "str", "number"],
                    type="array", column_count=4, max_height=260, elem_id="notes", interactive=True, buttons=[],
                )  # fmt: skip
                with gr.Row():
                    again = gr.Button("Convert again", elem_id="again")
                    save = gr.DownloadButton("Save the melody", elem_id="save")
    curve = gr.State()  # f0 of the song, as it was found or mended last
    outputs = [result, message, mend, notes, save, curve, cancel]

    def converting(mended: bool) -> Any:
        def convert(request: Any, bar: Any = gr.Progress(), *values: Any) -> tuple[Any, ...]:  # noqa: B008, for gradio
            song, speaker, second, share, key, semitones, loudness, rows, curve = values

            def progress(stage: str, part: float) -> None:
                start, length, label = STAGES[stage]
                bar(start + length * part, desc=label)

            try:
                shift = f"{semitones:g}" if key == "semitones" else key
                conversion = ConversionRequest(speaker, second or "", share / 100, shift, loudness)
                f0 = melody.shift_notes(curve, rows) if mended else None
                converted = service.convert(song, conversion, progress, request.session_hash, f0)
            except Exception as failure:  # whatever it is, the page goes on
                return None, _message(service.error_message(failure), True), *[gr.skip()] * 4, gr.update(visible=False)
            return (str(converted.audio), _result(converted), gr.update(visible=True), melody.find_notes(converted.f0),
                    str(converted.melody), converted.f0, gr.update(visible=False))  # fmt: skip

        return _with_request(gr, convert)

    inputs = [song, speaker, second, share, key, semitones, loudness, notes, curve]
    started = [result, message, cancel]

    def start(request: Any) -> tuple[Any, ...]:
        service.announce(request.session_hash)
        return None, _message("Converting …"), gr.update(visible=True)

    def end(request: Any) -> tuple[Any, ...]:
        service.cancel(request.session_hash)
        return None, _message("The conversion was cancelled."), gr.update(visible=False)

    run: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "convert", "show_progress_on": result}
    runs = [
        press.click(_with_request(gr, start), None, started, **INSTANT).then(
            converting(mended), inputs, outputs, api_visibility="private", **run
        )
        for press, mended in ((button, False), (again, True))
    ]
    cancel.click(_with_request(gr, end), None, started, cancels=runs, **INSTANT)
    song.change(lambda: gr.update(visible=False), None, mend, **INSTANT)
    example.click(lambda: str(service.example()), None, song, **INSTANT)
    second.change(lambda chosen: gr.update(visible=bool(chosen)), second, share, **INSTANT)
    key.change(lambda chosen: gr.update(visible=chosen == "semitones"), key, semitones, **INSTANT)
    return [speaker, second]


def _fit_tab(gr: Any, service: Service, menus: list[Any], page: Any) -> None:
    """The second tab, which shows the fit of the server, whoever started it."""
    limits = service.limits
    gr.Markdown(
        "Add a speaker from ten seconds or more of their recordings, speech or singing, without accompaniment. "
        "**Ask them first.**"
    )
    with gr.Row():
        with gr.Column():
            name = gr.Textbox(label="Name", max_length=64, elem_id="name")
            clips = gr.File(
                label=f"Recordings, up to {limits.minutes:g} minutes each, {limits.clip_minutes:g} together",
                file_count="multiple", type="filepath", height=180, elem_id="clips",
            )  # fmt: skip
            recording = gr.Audio(
                sources=["microphone"], type="filepath", label="Or record yourself", editable=False, buttons=[],
                waveform_options=WAVE, elem_id="recording",
            )  # fmt: skip
            ways = [("In seconds, without training", True), ("In minutes, more alike", False)]
            zero_shot = gr.Radio(
                ways, value=service.zero_shot, label="How", visible=service.zero_shot, elem_id="zero-shot"
            )
            button = gr.Button("Add", variant="primary", elem_id="fit")
        with gr.Column():
            message = gr.HTML("", padding=False, elem_id="fit-message", elem_classes="message")
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel-fit")
            file = gr.File(label="The voice with the new speaker, to download", visible=False, elem_id="voice")
    timer = gr.Timer(1.0, active=False)
    outputs = [message, cancel, timer, file, *menus]

    def show(choose: bool = False) -> list[Any]:
        status = service.fit_status()
        running = status.state == "running"
        shown = [_fit_message(status), gr.update(visible=running), gr.Timer(active=running)]
        if running:
            return [*shown, *[gr.skip()] * 3]
        saved, choices = service.saved_voice, _menu_choices(gr, service)
        if choose and status.state == "finished":
            choices[0] = gr.update(choices=service.speakers(), value=service.speakers()[-1][1])
        return [*shown, gr.update(value=saved and str(saved), visible=bool(saved)), *choices]

    def start(name: str | None, clips: Any, recording: str | None, zero_shot: bool) -> list[Any]:
        try:
            service.start_fit(name or "", [*(clips or []), *([recording] if recording else [])], zero_shot)
        except Exception as failure:  # whatever it is, the page goes on
            return [_message(service.error_message(failure), True), *[gr.skip()] * 5]
        return show(choose=True)

    def end() -> list[Any]:
        service.cancel_fit()
        return show()

    button.click(start, [name, clips, recording, zero_shot], outputs, **INSTANT)
    cancel.click(end, None, outputs, **INSTANT)
    timer.tick(lambda: show(choose=True), None, outputs, **INSTANT)
    page.load(show, None, outputs, **INSTANT)


def _with_request(gr: Any, handler: Any) -> Any:
    """The handler, whose argument ``request`` gradio fills in."""
    handler.__annotations__["request"] = gr.Request
    return handler


def _menu_choices(gr: Any, service: Service) -> list[Any]:
    speakers = service.speakers()
    return [gr.update(choices=speakers), gr.update(choices=[NONE, *speakers])]


def _message(text: str, error: bool = False) -> str:
    role, kind = ("alert", ' class="error"') if error else ("status", "")
    return f'<p role="{role}"{kind}>{escape(text)}</p>'


def _fit_message(status: FitStatus) -> str:
    bar = f'<progress max="1" value="{status.share:.3f}"></progress>' if status.state == "running" else ""
    return _message(status.message, status.state == "failed") + bar


def _result(result: Result) -> str:
    data = base64.b64encode(result.plot).decode()
    alt = "melody over time: of the song and of the result, over the range of the speaker"
    return f'{_message(result.message)}<img alt="{alt}" src="data:image/png;base64,{data}">'
