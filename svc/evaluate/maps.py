"""The singers on a map: where their references lie, where sources lie, and where conversions went."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from svc.evaluate.evaluation import Evaluation
from svc.evaluate.report import png

PATHS = 60  # conversions drawn, at most


def embedding_map(found: Evaluation) -> bytes:
    """The two principal axes of the references' embeddings as PNG.

    Dots are references in their singer's colour, arrows lead from a source to its conversion, whose star has the
    colour of the singer it should have become.
    """
    identity = found.panel.identity
    everything = np.concatenate(list(identity.clips.values()))
    plane = PCA(n_components=min(2, *everything.shape)).fit(everything - everything.mean(axis=0))
    colours = {name: colormaps["tab20"](number % 20) for number, name in enumerate(identity.names)}

    def place(embeddings: np.ndarray) -> np.ndarray:
        points = plane.transform(embeddings - everything.mean(axis=0))
        return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))

    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    for name, rows in identity.clips.items():
        points = place(rows)
        axes.scatter(points[:, 0], points[:, 1], color=colours[name], s=14, alpha=0.6)
        axes.annotate(name, points.mean(axis=0), fontsize=9, weight="bold", ha="center")
    step = max(1, -(-len(found.journeys) // PATHS))
    for target, source, output in found.journeys[::step]:
        start, end = place(np.stack([source, output]))
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-", "color": colours[target], "alpha": 0.35})
        axes.scatter(end[0], end[1], color=[colours[target]], marker="*", s=90, edgecolors="black", linewidths=0.4)
    shares = ", ".join(f"{share:.0%}" for share in plane.explained_variance_ratio_)
    axes.set_title(f"dots: references · lines: from source to conversion ★ (two axes hold {shares} of the spread)")
    axes.set_xticks([])
    axes.set_yticks([])
    return png(figure)
