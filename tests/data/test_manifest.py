"""Manifest of a prepared folder."""

from pathlib import Path

from svc.data.manifest import Clip, Manifest


def band_limits(*bands: float) -> list[float]:
    clips = tuple(Clip(f"{n}.wav", "Ann", f"{n}", 10, 5, "train", band=band) for n, band in enumerate(bands))
    return list(Manifest(Path(), clips, (), {}, "").band_limits(44_100).values())


def test_band_limit_of_a_clip_is_its_own_below_the_widest():
    assert band_limits(8_000, 16_000, 15_500) == [8_000, 22_050, 22_050]
    assert band_limits(8_000) == [22_050]
    assert band_limits(8_000, 0) == [8_000, 22_050]  # one of unknown band
