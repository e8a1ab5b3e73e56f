"""The watch: silent while all is well, and one sentence in a run when it is not."""

import math

import pytest

from svc.training.gan_health import PERIOD, Watch


def told(watch: Watch, times: int = PERIOD, **losses: float) -> list[str]:
    return [sentence for _ in range(times) for sentence in watch.notice(losses)]


def test_silent_while_all_is_well():
    assert told(Watch(), 100, discriminator=0.3, spectral=1.0) == []


@pytest.mark.parametrize(
    ("loss", "said"), [(0.02, "tells everything apart (loss 0.02"), (0.495, "is at chance (loss 0.49")]
)
def test_what_is_wrong_with_the_discriminator_is_told_once(loss, said):
    watch = Watch()
    assert told(watch, 2 * PERIOD - 1, discriminator=loss) == []
    (sentence,) = told(watch, 50, discriminator=loss)
    assert said in sentence
    assert told(watch, 100, discriminator=0.3) == []
    assert told(watch, 100, discriminator=loss) == []


def test_a_beginning_tells_nothing():
    watch = Watch()
    assert told(watch, PERIOD, discriminator=1.0, spectral=0.1) == []
    assert told(watch, 100, discriminator=0.4, spectral=1.0) == []


def test_a_generator_that_gets_worse_is_told():
    watch = Watch()
    assert told(watch, 50, spectral=1.0) == []
    (sentence,) = told(watch, 50, spectral=1.5)
    assert "risen from 1.00 to 1.3" in sentence


def test_one_bad_step_is_nothing():
    watch = Watch()
    assert told(watch, 50, spectral=1.0, discriminator=0.3) == []
    assert told(watch, 1, spectral=3.0, discriminator=0.0) == []
    assert told(watch, 1, spectral=math.nan, discriminator=math.nan) == []
    assert told(watch, 50, spectral=1.0, discriminator=0.3) == []
