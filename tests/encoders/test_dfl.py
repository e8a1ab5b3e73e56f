"""The network of the deep feature loss: strides, receptive fields and number of weights as published."""

import torch

from svc.encoders.dfl import CHANNELS, RECEPTIVE_FIELD, DFLNetwork


def test_sizes_are_those_of_the_paper():
    network = DFLNetwork().eval()
    with torch.no_grad():
        outputs = network(torch.zeros(1, RECEPTIVE_FIELD + 1))
    assert [output.shape[1:] for output in outputs[:6]] == [(c, 2**15 >> n) for n, c in enumerate(CHANNELS[:6], 1)]
    convolutions = sum(layer[0].weight.numel() for layer in network.layers)
    shifts = sum(CHANNELS)
    assert convolutions + shifts == 240_704


def test_the_sixth_layer_sees_127_samples():
    audio = torch.zeros(1, 2048, requires_grad=True)
    DFLNetwork(6).eval()(audio)[-1][0, :, 16].sum().backward()
    (seen,) = audio.grad[0].nonzero(as_tuple=True)
    assert int(seen[-1] - seen[0]) + 1 == 127
