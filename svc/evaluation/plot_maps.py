"""The singers on a map: where their references lie, where sources lie, and where conversions went."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from svc.evaluation.parallel import Evaluation
from svc.evaluation.report import png
from svc.evaluation.scoring import Embedding

JOURNEYS = 60  # conversions drawn, at most
PERPLEXITY = 12.0  # about as many neighbours keep their distances


def embedding_map(found: Evaluation) -> bytes:
    """Embeddings of references, sources and conversions in a plane, as PNG.

    Dots are references in their singer's colour; a line leads from a source to its conversion, whose star has the
    colour of the singer it should have become. Neighbours stay neighbours (t-SNE, van der Maaten and Hinton 2008);
    long distances mean little.
    """
    identity = found.panel.identity
    names = [name for name, rows in identity.clips.items() for _ in rows]
    step = max(1, -(-len(found.scored.journeys) // JOURNEYS))
    journeys = found.scored.journeys[::step]
    vectors = np.concatenate([*identity.clips.values(), *(np.stack([a, b]) for _, a, b in journeys)])
    points = _plane(vectors)
    colours = {name: colormaps["tab20"](number % 20) for number, name in enumerate(identity.names)}
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    for (x, y), name in zip(points, names, strict=False):
        axes.scatter(x, y, color=colours[name], s=14)
    for name in identity.names:
        _label(axes, np.median(points[: len(names)][[name == own for own in names]], axis=0), name)
    for (target, *_), start, end in zip(journeys, points[len(names) :: 2], points[len(names) + 1 :: 2], strict=True):
        axes.plot(*np.stack([start, end]).T, color=colours[target], alpha=0.3, linewidth=0.8)
        axes.scatter(end[0], end[1], color=colours[target], marker="*", s=90, edgecolors="black", linewidths=0.4)
    axes.set_title("dots: references · lines: from a source to its conversion ★, in its target's colour", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    return png(figure)


def _plane(vectors: Embedding) -> NDArray[np.float64]:
    """Places (count, 2) of unit vectors (count, D), the same every time."""
    count = len(vectors)
    if count < 4:
        return np.stack([np.arange(count), np.zeros(count)], axis=1)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors.astype(np.float32))
    return np.asarray(places, dtype=np.float64)


def _label(axes: Axes, place: NDArray[np.float64], name: str) -> None:
    axes.annotate(name, (place[0], place[1]), fontsize=9, weight="bold", ha="center", parse_math=False)
