"""Manifest of a prepared folder."""

from pathlib import Path

from svc.config import load
from svc.data.manifest import Clip, Manifest


def band_limits(*bands: float, **options: bool) -> list[float]:
    clips = tuple(Clip(f"{n}.wav", "Ann", f"{n}", 10, 5, "train", band=band) for n, band in enumerate(bands))
    config = load(None, {f"loss.{name}": value for name, value in options.items()})
    return list(Manifest(Path(), clips, (), {}, "").band_limits(config).values())


def test_band_limit_of_a_clip_is_its_own_below_the_widest():
    assert band_limits(8_000, 16_000, 15_500) == [8_000, 22_050, 22_050]
    assert band_limits(8_000) == [22_050]  # silence is learnt above
    assert band_limits(8_000, limit_widest_band=True) == [8_000]
    assert band_limits(8_000, 0) == [8_000, 22_050]  # one of unknown band
