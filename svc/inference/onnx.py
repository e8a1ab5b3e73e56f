"""The generator as an ONNX graph: for those who sing without PyTorch, from the same conditioning."""

import contextlib
import copy
import importlib
import json
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svc import __version__
from svc.config import to_tree
from svc.errors import SvcError, WeightsError
from svc.features.conditioning import Conditioning, phase_track
from svc.inference.voice import Voice
from svc.models.generator import Generator
from svc.utils.atomic import write_bytes

INPUTS = tuple(field.name for field in fields(Conditioning))
STEADY = ("singer", "start")  # inputs that are as long for any song
TRACED = 50  # frames of the conditioning that the graph is drawn after …
CHECKED = (37, 100)  # … and of those that it is tried on
TOLERANCE = 1e-3  # of the peak


def save(voice: Voice, path: Path) -> float:
    """Write the generator as a graph that sings like it; the file appears whole and tried, or not at all.

    The inputs are the fields of a `Conditioning` by their names, B = 1, N of any size; the output is ``audio``
    (1, N·hop), fp32. ``singer`` is (1, S): of mixes that change the graph knows nothing. The noise is made by the
    graph, from ``start``. ``effort`` is the loudness less its median over voiced frames within 40 dB of the loudest.
    The metadata, each as JSON, say the rest:
    ``sample_rate`` Hz, ``hop`` samples, ``margin`` (frames on either side that a stretch of a song needs to come out
    as in the whole; stretches of some 10 s are best, as places within them are counted in fp32), ``content_channels``,
    ``singers`` (names, in the order of the weights), ``features`` (how recordings are analysed) and ``card``.

    Returns:
        The largest difference from PyTorch's audio, dB of the peak.

    Raises:
        SvcError: the optional libraries are not installed.
        WeightsError: the graph cannot be drawn or sings something else, or the folder does not take it.
    """
    runtime = _library("onnxruntime")
    singing = _Singing(voice.generator).eval()
    graph = _draw(voice, singing, path)
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    difference = max(_difference(singing, session, example(voice, frames)) for frames in CHECKED)
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{path}: not written, its audio is {difference:.1e} of the peak off PyTorch's; "
            "install the versions in constraints.txt"
        )
    try:
        write_bytes(path, graph)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written ({error.strerror}); choose another --onnx") from None
    return 20 * math.log10(max(difference, 1e-10))


def example(voice: Voice, frames: int) -> tuple[Tensor, ...]:
    """Inputs of that many frames: a wandering melody with pauses, sung by all singers at once."""
    draw = np.random.default_rng(frames)
    f0 = (220 * 2 ** (0.05 * draw.standard_normal(frames).cumsum())).clip(60, 1500).astype(np.float32)
    conditioning = Conditioning(
        f0=torch.from_numpy(f0)[None],
        voiced=torch.from_numpy(np.arange(frames) % 20 > 4).float()[None],
        phase=torch.from_numpy(phase_track(f0))[None],
        loudness=torch.from_numpy(draw.uniform(-40, -15, (1, frames))).float(),
        effort=torch.from_numpy(draw.uniform(-20, 10, (1, frames))).float(),
        content=torch.from_numpy(draw.standard_normal((1, voice.generator.content, frames))).float(),
        singer=torch.from_numpy(draw.dirichlet(np.ones(len(voice.singers)))).float()[None],
        start=torch.tensor([frames]),
    )
    return tuple(getattr(conditioning, name) for name in INPUTS)


class _Singing(nn.Module):
    """The generator in fp32, its parameters shared, with the fields of a conditioning as its inputs."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = copy.copy(generator)
        self.generator.bf16 = False

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.generator(Conditioning(**dict(zip(INPUTS, inputs, strict=True))))


def _draw(voice: Voice, singing: _Singing, path: Path) -> bytes:
    """The graph and its metadata, serialised."""
    _library("onnxscript")
    tidy = _library("onnx_ir.passes.common").ClearMetadataAndDocStringPass()
    inputs = example(voice, TRACED)
    axes = [{} if name in STEADY else {value.ndim - 1: "frames"} for name, value in zip(INPUTS, inputs, strict=True)]
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                singing,
                inputs,
                input_names=INPUTS,
                output_names=["audio"],
                dynamic_shapes={"inputs": tuple(axes)},
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise WeightsError(
            f"{path}: PyTorch cannot draw the graph ({type(error).__name__}); install the versions in constraints.txt"
        ) from error
    assert program is not None
    tidy(program.model)  # every node names the paths of its source files
    program.model.producer_name, program.model.producer_version = "svc", __version__
    program.model.metadata_props.update(_metadata(voice))
    return program.model_proto.SerializeToString()


def _metadata(voice: Voice) -> dict[str, str]:
    plain = {
        "sample_rate": voice.config.sample_rate,
        "hop": voice.config.hop,
        "margin": voice.generator.margin,
        "content_channels": voice.generator.content,
        "singers": [singer.name for singer in voice.singers],
        "features": to_tree(voice.config.features),
        "card": voice.card,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in plain.items()}


def _difference(singing: _Singing, session: Any, inputs: tuple[Tensor, ...]) -> float:
    """Largest difference of what the two sing, as a share of the peak."""
    with torch.inference_mode():
        wanted = singing(*inputs).numpy()
    (audio,) = session.run(["audio"], {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})
    return float(np.abs(audio - wanted).max() / np.abs(wanted).max())


def _library(name: str) -> Any:
    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError:
        raise SvcError("--onnx needs the extra onnx: pip install -e '.[onnx]' -c constraints.txt") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the exporter, which are about its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
