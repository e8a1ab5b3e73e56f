"""What goes wrong between two networks shows in their losses: said in a sentence, once, while the run can be mended."""

import math
from collections.abc import Mapping

PERIOD = 10  # logged steps over which losses are averaged
CERTAIN, CHANCE = 0.05, 0.49  # of the discriminator's loss: 0 when it tells everything apart, 1/2 when it guesses
WORSE = 1.3  # of the spectral loss at its best


class Watch:
    """Follows the losses of a run, as they are logged."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._best = math.inf
        self._told: set[str] = set()

    def notice(self, terms: Mapping[str, float]) -> list[str]:
        """What is to be said of the named losses of a step; nothing twice in a run."""
        for name in ("discriminator", "spectral"):
            if math.isfinite(terms.get(name, math.nan)):
                self._follow(name, terms[name])
        found = {}
        judged, spectral = self._settled("discriminator"), self._settled("spectral")
        if judged is not None and judged < CERTAIN:
            found["certain"] = (
                f"the discriminator tells everything apart (loss {judged:.2f} of ½ for guessing) and teaches little; "
                "lower train.discriminator_rate, or let it join later with train.adversary_start"
            )
        if judged is not None and judged > CHANCE:
            found["chance"] = (
                f"the discriminator is at chance (loss {judged:.2f}) and teaches nothing; "
                "raise train.discriminator_rate or discriminator.channels"
            )
        if spectral is not None:
            self._best = min(self._best, spectral)
            if spectral > WORSE * self._best:
                found["worse"] = (
                    f"the spectral loss has risen from {self._best:.2f} to {spectral:.2f}: the generator is being led "
                    "astray; lower loss.adversarial and the other weights, or train.learning_rate"
                )
        new = [sentence for what, sentence in found.items() if what not in self._told]
        self._told |= set(found)
        return new

    def _follow(self, name: str, value: float) -> None:
        count = self._counts.get(name, 0) + 1
        mean = self._means.get(name, value) if count > PERIOD + 1 else value  # a beginning tells nothing
        self._counts[name], self._means[name] = count, mean + (value - mean) / PERIOD

    def _settled(self, name: str) -> float | None:
        return self._means[name] if self._counts.get(name, 0) >= 2 * PERIOD else None
