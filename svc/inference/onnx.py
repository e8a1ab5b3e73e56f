"""ONNX export of the generator, checked against PyTorch."""

import contextlib
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
from svc.errors import WeightsError, os_errors_as
from svc.features.conditioning import Conditioning, phase_track
from svc.inference.network import average_speaker
from svc.inference.voice import VoiceFile
from svc.models.generator import Generator
from svc.utils.atomic import write_bytes
from svc.utils.optional import import_optional

INPUTS = tuple(field.name for field in fields(Conditioning))
STATIC_INPUTS = ("speaker", "start_frame")  # of the same shape for any number of frames
TRACE_FRAMES = 50
CHECK_FRAMES = (37, 100)
TOLERANCE = 1e-3  # of the peak


def save_onnx(voice: VoiceFile, path: Path) -> float:
    """Write the generator as an ONNX graph; the file appears whole and checked, or not at all.

    Inputs are the fields of a ``Conditioning`` by their names, with B = 1 and any N; ``speaker`` is (1, S), so a mix
    cannot change over time. The output is ``audio`` (1, N·hop) in fp32. Noise is generated in the graph, seeded by
    ``start_frame``. The metadata, each as JSON: ``sample_rate`` Hz, ``hop`` samples, ``margin`` (frames of context on
    either side of a chunk; chunks of some 10 s keep fp32 positions exact), ``content_channels``, ``speakers`` (names,
    in the order of the weights), ``features`` (their config), ``card`` and ``guidance``, which is that of the voice.

    Returns:
        The largest difference from PyTorch's audio, dB of the peak.

    Raises:
        MissingExtra: the optional libraries are not installed.
        WeightsError: the graph cannot be exported or differs, or the folder cannot be written.
    """
    runtime = import_optional("onnxruntime", "onnx")
    guidance = voice.config.model.guidance
    module = _GeneratorWithTensorInputs(voice.generator, guidance, average_speaker(voice)).eval()
    graph = _export_graph(voice, module, path)
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    difference = max(_difference(module, session, example_inputs(voice, frames)) for frames in CHECK_FRAMES)
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{path}: not written, its audio differs from PyTorch's by {difference:.1e} of the peak; "
            "install the versions in constraints.txt"
        )
    with os_errors_as(WeightsError, path, "cannot be written", "choose another --onnx"):
        write_bytes(path, graph)
    return 20 * math.log10(max(difference, 1e-10))


def example_inputs(voice: VoiceFile, frames: int) -> tuple[Tensor, ...]:
    """Random inputs of N frames, with voiced and unvoiced frames and a mix of all speakers."""
    rng = np.random.default_rng(frames)
    f0 = (220 * 2 ** (0.05 * rng.standard_normal(frames).cumsum())).clip(60, 1500).astype(np.float32)
    conditioning = Conditioning(
        f0=torch.from_numpy(f0)[None],
        voiced=torch.from_numpy(np.arange(frames) % 20 > 4).float()[None],
        phase=torch.from_numpy(phase_track(f0))[None],
        loudness=torch.from_numpy(rng.uniform(-40, -15, (1, frames))).float(),
        relative_loudness=torch.from_numpy(rng.uniform(-20, 10, (1, frames))).float(),
        content=torch.from_numpy(rng.standard_normal((1, voice.generator.content_channels, frames))).float(),
        speaker=torch.from_numpy(rng.dirichlet(np.ones(len(voice.speakers)))).float()[None],
        start_frame=torch.tensor([frames]),
    )
    return tuple(getattr(conditioning, name) for name in INPUTS)


class _GeneratorWithTensorInputs(nn.Module):
    """The generator with its guidance, and the fields of a conditioning as inputs."""

    def __init__(self, generator: Generator, guidance: float, average: Tensor):
        super().__init__()
        self.generator, self.guidance, self.average = generator, guidance, average

    def forward(self, *inputs: Tensor) -> Tensor:
        conditioning = Conditioning(**dict(zip(INPUTS, inputs, strict=True)))
        return self.generator(conditioning, guidance=self.guidance, average=self.average)


def _export_graph(voice: VoiceFile, module: _GeneratorWithTensorInputs, path: Path) -> bytes:
    """The graph with metadata, serialised."""
    import_optional("onnxscript", "onnx")
    clear_metadata = import_optional("onnx_ir.passes.common", "onnx").ClearMetadataAndDocStringPass()
    inputs = example_inputs(voice, TRACE_FRAMES)
    shapes = [
        {} if name in STATIC_INPUTS else {value.ndim - 1: "frames"} for name, value in zip(INPUTS, inputs, strict=True)
    ]
    try:
        with _no_warnings(), torch.no_grad():
            program = torch.onnx.export(
                module,
                inputs,
                input_names=INPUTS,
                output_names=["audio"],
                dynamic_shapes={"inputs": tuple(shapes)},
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise WeightsError(
            f"{path}: PyTorch cannot export the graph ({type(error).__name__}); install the versions in constraints.txt"
        ) from error
    assert program is not None
    clear_metadata(program.model)  # every node names the paths of its source files
    program.model.producer_name, program.model.producer_version = "svc", __version__
    program.model.metadata_props.update(_metadata(voice))
    return program.model_proto.SerializeToString()


def _metadata(voice: VoiceFile) -> dict[str, str]:
    values = {
        "sample_rate": voice.config.sample_rate,
        "hop": voice.config.hop,
        "margin": voice.generator.margin,
        "content_channels": voice.generator.content_channels,
        "speakers": [speaker.name for speaker in voice.speakers],
        "features": to_tree(voice.config.features),
        "card": voice.card,
        "guidance": voice.config.model.guidance,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _difference(module: _GeneratorWithTensorInputs, session: Any, inputs: tuple[Tensor, ...]) -> float:
    """Largest difference of audio, as a share of the peak."""
    with torch.inference_mode():
        expected = module(*inputs).numpy()
    (audio,) = session.run(["audio"], {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})
    return float(np.abs(audio - expected).max() / np.abs(expected).max())


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Without the exporter's warnings, which are about its internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
