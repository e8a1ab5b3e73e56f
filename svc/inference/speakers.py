"""Who is in a voice: what belongs to each singer, and voices with one more, one less, or those of two."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from svc.data.manifest import Singer, checked_name
from svc.errors import DataError, WeightsError
from svc.inference.voice import MAX_SINGERS, Known, Voice
from svc.models.generator import ACCENT

EMBEDDING = "conditioner.embedding"
ROWS = (EMBEDDING, ACCENT)  # the weights of a voice that belong to its singers, a row each

LATER = "joined later"  # a heading of the card

Row = Mapping[str, Tensor]  # one singer's, by these names


def base(voice: Voice) -> str:
    """Hash of everything in a voice but its singers: voices that share it can be merged."""
    digest = hashlib.sha256(repr(voice.config.model).encode() + voice.encoder.encode())
    for name, value in sorted(voice.generator.state_dict().items()):
        if name not in ROWS:
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def row_of(voice: Voice, place: int) -> Row:
    """What belongs to the singer at a place."""
    return {name: voice.generator.get_parameter(name)[place].detach().cpu() for name in ROWS}


def singers_of(voice: Voice) -> str:
    """Hash of what belongs to the singers of a voice."""
    digest = hashlib.sha256()
    for name in ROWS:
        digest.update(voice.generator.get_parameter(name).detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def added(voice: Voice, singer: Singer, row: Row, kind: str = "fitted") -> Voice:
    """The voice with one singer more; everybody else is as before.

    Raises:
        DataError: the name is taken or unfit, or the voice is full.
    """
    name = check_free(voice, singer.name)
    told = (singer.seconds, singer.median_f0, singer.low_f0, singer.high_f0, singer.level)
    known = Known(name, *told, number=voice.given, kind=kind)
    rows = [row_of(voice, place) for place in range(len(voice.singers))]
    return _with(voice, [*rows, row], (*voice.singers, known), voice.given + 1)


def check_free(voice: Voice, name: str) -> str:
    """A name that a new singer of a voice can have, in Unicode's composed form.

    Raises:
        DataError: it is taken or unfit, or the voice is full.
    """
    name = _checked(name)
    if name.casefold() in {known.name.casefold() for known in voice.singers}:
        raise DataError(f"{name}: is in this voice already; choose another name, or remove that singer first")
    if len(voice.singers) >= MAX_SINGERS:
        raise DataError(f"the voice is full with {MAX_SINGERS} singers; remove some")
    return name


def _checked(name: str) -> str:
    name = checked_name(name)
    if name.isdecimal():
        raise DataError(f"{name}: is a number, and singers have one already; give a name")
    return name


def renamed(voice: Voice, who: str, name: str) -> Voice:
    """The voice with another name for a singer.

    Raises:
        WeightsError: the voice has no such singer.
        DataError: the name is taken or unfit.
    """
    place, name = voice.row(who), _checked(name)
    if any(name.casefold() == known.name.casefold() for n, known in enumerate(voice.singers) if n != place):
        raise DataError(f"{name}: is in this voice already; give another name")
    singers = list(voice.singers)
    singers[place] = replace(singers[place], name=name)
    return replace(voice, singers=tuple(singers), card=_card(voice, singers))


def removed(voice: Voice, who: str) -> Voice:
    """The voice without a singer, whose number nobody else gets.

    Raises:
        WeightsError: the voice has no such singer, or no other.
    """
    place = voice.row(who)
    if len(voice.singers) == 1:
        raise WeightsError(f"{voice.singers[0].name} is the only singer of this voice; a voice needs one")
    kept = [n for n in range(len(voice.singers)) if n != place]
    return _with(voice, [row_of(voice, n) for n in kept], tuple(voice.singers[n] for n in kept), voice.given)


def merged(voice: Voice, other: Voice) -> tuple[Voice, list[str]]:
    """A voice with the singers of both, and what became of those of the other, in sentences.

    Singers of the first stay as they are; the other's get the next free numbers. Who is in both is taken once.

    Raises:
        WeightsError: the two sing by other weights, so that a singer of one means nothing to the other.
    """
    if base(voice) != base(other):
        raise WeightsError("the two voices do not sing by the same weights; fit the singer into one of them instead")
    told = []
    for place, singer in enumerate(other.singers):
        row = row_of(other, place)
        same = [known.name for n, known in enumerate(voice.singers) if _equal(row_of(voice, n), row)]
        if same:
            told.append(f"{singer.name} is there already, as {same[0]}")
            continue
        voice = added(voice, singer, row, singer.kind)
        told.append(f"{singer.name} is number {voice.singers[-1].number} now")
    return voice, told


def _equal(one: Row, other: Row) -> bool:
    return all(torch.equal(one[name], other[name]) for name in ROWS)


def _with(voice: Voice, rows: Sequence[Row], singers: tuple[Known, ...], given: int) -> Voice:
    generator = copy.deepcopy(voice.generator).cpu()
    for name in ROWS:
        stacked = torch.stack([row[name] for row in rows])
        setattr(generator.conditioner, name.rpartition(".")[2], nn.Parameter(stacked, requires_grad=False))
    return replace(voice, generator=generator, singers=singers, given=given, card=_card(voice, singers))


def _card(voice: Voice, singers: Sequence[Known]) -> dict[str, str]:
    """The voice's card, and whom it does not speak of: who came later."""
    later = ", ".join(singer.name for singer in singers if singer.kind != "trained")
    card = {heading: text for heading, text in voice.card.items() if heading != LATER}
    return card | ({LATER: f"{later}; what else is said here is not of them: ask them"} if later else {})
