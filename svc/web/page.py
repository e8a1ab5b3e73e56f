"""Gradio page: layout, and the handlers of its buttons."""

import base64
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from svc.features.transpose import MAX_SEMITONES
from svc.web.limits import MAX_QUEUE
from svc.web.service import ConversionRequest, Result, Service

TRANSPOSITIONS = [("Auto (by octaves)", "auto"), ("Match (changes the key)", "match"), ("By semitones", "semitones")]
NONE = ("none", "")
STAGES = {
    "extract": (0.0, 0.6, "extracting features"),
    "synthesise": (0.6, 0.4, "synthesising"),
}  # start, length, label
CSS = """
.message, .message .html-container { padding: 0 !important; }
.message p { margin: 0; padding: 10px 14px; border-radius: 4px; border: 1px solid var(--border-color-primary); }
.message p.error { border-color: #b91c1c; border-left-width: 6px; }
.message img { width: 100%; margin-top: 12px; border-radius: 4px; background: white; }
body:not(.dark) { --neutral-400: #52525b; }
#title { overflow: visible !important; }
footer { display: none !important; }
"""
WAVE = {"waveform_color": "#71717a", "waveform_progress_color": "#2563eb"}


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
    with gr.Blocks(title="svc", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# Convert a song to another speaker", elem_id="title")
        with gr.Tabs():
            with gr.Tab("Convert a song"):
                menus = _convert_tab(gr, service)
            if fitting:
                with gr.Tab("New speaker"):
                    file = _fit_tab(gr, service, menus)
                page.load(lambda: _saved_voice(gr, service), None, file, queue=False, api_visibility="private")
        page.unload(_on_unload(gr, service))
        page.load(lambda: _menu_choices(gr, service), None, menus, queue=False, api_visibility="private")
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
            with gr.Row():
                speaker = gr.Dropdown(speakers, value=speakers[0][1], label="Speaker", elem_id="speaker")
                second = gr.Dropdown([NONE, *speakers], value="", label="Mixed with", elem_id="second")
            share = gr.Slider(0, 100, 50, step=5, label="How much of the second, %", visible=False, elem_id="share")
            mode = gr.Radio(TRANSPOSITIONS, value="auto", label="Transpose", elem_id="transpose")
            limit = MAX_SEMITONES // 2
            semitones = gr.Slider(-limit, limit, 0, step=1, label="Semitones", visible=False, elem_id="semitones")
            button = gr.Button("Convert", variant="primary", elem_id="convert")
        with gr.Column():
            result = gr.Audio(
                label="Result", type="filepath", interactive=False, buttons=["download"], waveform_options=WAVE,
                elem_id="result",
            )  # fmt: skip
            message = gr.HTML(
                _message_html("Nothing converted yet."), padding=False, elem_id="message", elem_classes="message"
            )

    def convert(
        song: str | None, speaker: str, second: str | None, share: float, mode: str, semitones: float,
        request: Any, bar: Any = gr.Progress(),  # noqa: B008, gradio finds it here
    ) -> tuple[str | None, str]:  # fmt: skip
        def progress(stage: str, part: float) -> None:
            begin, size, name = STAGES.get(stage, (0.0, 1.0, stage))
            bar(begin + size * part, desc=name)

        try:
            conversion = ConversionRequest(
                speaker, second or "", share / 100, f"{semitones:g}" if mode == "semitones" else mode
            )
            converted = service.convert(song, conversion, progress, request.session_hash)
        except Exception as failure:  # whatever it is, the page goes on
            return None, _message_html(service.error_message(failure), error=True)
        return str(converted.audio), _result_html(converted)

    convert.__annotations__["request"] = gr.Request  # by which gradio finds it
    instant: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    second.change(lambda chosen: gr.update(visible=bool(chosen)), second, share, **instant)
    mode.change(lambda chosen: gr.update(visible=chosen == "semitones"), mode, semitones, **instant)
    cleared = button.click(
        lambda: (None, _message_html("Converting; earlier requests come first …")), None, [result, message], **instant
    )
    cleared.then(
        convert, [song, speaker, second, share, mode, semitones], [result, message],
        concurrency_limit=1, concurrency_id="convert", show_progress_on=result, api_visibility="private",
    )  # fmt: skip
    return [speaker, second]


def _fit_tab(gr: Any, service: Service, menus: list[Any]) -> Any:
    """The second tab; returns its file to download."""
    limits = service.limits
    gr.Markdown(
        "Add a speaker from a minute or more of their recordings, speech or singing, without accompaniment. "
        "**Ask them first.**"
    )
    with gr.Row():
        with gr.Column():
            name = gr.Textbox(label="Name", max_length=64, elem_id="name")
            clips = gr.File(
                label=f"Recordings, up to {limits.minutes:g} minutes each, {limits.clip_minutes:g} together",
                file_count="multiple", type="filepath", height=180, elem_id="clips",
            )  # fmt: skip
            button = gr.Button("Fit", variant="primary", elem_id="fit")
        with gr.Column():
            message = gr.HTML(
                _message_html("A fit takes some minutes."), padding=False, elem_id="fit-message", elem_classes="message"
            )
            lines = gr.Textbox(label="Progress", lines=8, interactive=False, elem_id="lines")
            file = gr.File(label="The voice with the new speaker, to download", visible=False, elem_id="voice")

    def fit(name: str, clips: Any) -> Iterator[tuple[Any, ...]]:
        same = (gr.skip(),) * 3
        try:
            for text in service.fit(name or "", clips or []):
                yield _message_html("Fitting; you can convert songs meanwhile."), text, *same
        except Exception as failure:  # whatever it is, the page goes on
            yield _message_html(service.error_message(failure), error=True), gr.skip(), *same
            return
        speakers = service.speakers()
        update = gr.update(choices=speakers, value=speakers[-1][1])
        ready = f"{speakers[-1][0]} is ready, and chosen under Convert a song."
        note = _message_html(f"{ready} Download the voice to keep it: it is gone when the server ends.")
        yield note, gr.skip(), _saved_voice(gr, service), update, gr.update(choices=[NONE, *speakers], value=NONE[1])

    button.click(
        fit, [name, clips], [message, lines, file, *menus],
        concurrency_limit=1, concurrency_id="fit", show_progress_on=lines, api_visibility="private",
    )  # fmt: skip
    return file


def _saved_voice(gr: Any, service: Service) -> Any:
    """Update of the download with the fitted speakers, if there are any."""
    return gr.update(value=str(service.saved_voice), visible=True) if service.saved_voice else gr.skip()


def _on_unload(gr: Any, service: Service) -> Callable[..., None]:
    def cancel(request: Any) -> None:
        service.cancel(request.session_hash)

    cancel.__annotations__["request"] = gr.Request
    return cancel


def _menu_choices(gr: Any, service: Service) -> list[Any]:
    speakers = service.speakers()
    return [gr.update(choices=speakers), gr.update(choices=[NONE, *speakers])]


def _message_html(text: str, error: bool = False) -> str:
    role, kind = ("alert", ' class="error"') if error else ("status", "")
    return f'<p role="{role}"{kind}>{escape(text)}</p>'


def _result_html(result: Result) -> str:
    data = base64.b64encode(result.plot).decode()
    alt = "f0 over time: of the source and of the conversion, over the range of the speaker"
    return f'{_message_html(result.message)}<img alt="{alt}" src="data:image/png;base64,{data}">'
