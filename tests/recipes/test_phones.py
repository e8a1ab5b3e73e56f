"""PhoneDataset by their spelling in three alphabets."""

import pytest
from phonetics.phones import ARPABET, PHONES, from_arpabet, from_ipa, from_kana


@pytest.mark.parametrize(
    ("text", "syllables"),
    [
        ("きききゅきゃきぇ", "ki ki kju kja kje"),
        ("でゅでぃでょ", "dju di djo"),
        ("うぃうわ", "wi u wa"),
        ("ヴぉヴんヴぁ", "vo vu n va"),
        ("つぉとぅつ", "tso tu tsu"),
        ("じょしゃちぇぢ", "dʒo ʃa tʃe dʒi"),
        ("いぇゆよを", "je ju jo o"),
        ("ふぇふらりゅ", "fe fu ɾa ɾju"),
        ("[A3] _う吸・R", "u"),
        ("ゃ", ""),
        ("", ""),
    ],
)
def test_kana(text, syllables):
    assert ["".join(syllable) for syllable in from_kana(text)] == syllables.split()


def test_arpabet_is_covered():
    assert len(ARPABET) == 39
    assert {phone for phones in ARPABET.values() for phone in phones} <= set(PHONES)
    assert from_arpabet("AY1") == ("a", "ɪ")
    assert from_arpabet("SIL") == from_arpabet("+NOISE+") == ("_",)


@pytest.mark.parametrize(
    ("symbol", "phones"),
    [
        ("tʃ", "tʃ"),
        ("ɑːɹ", "ɑ ɹ"),
        ("oʊ", "o ʊ"),
        ("ɡ", "g"),
        ("ɲ", "n"),
        ("n̩", "n"),
        ("aɪɚ", "a ɪ ɝ"),
        ("", "_"),
        ("ʔ", "_"),
    ],
)
def test_ipa(symbol, phones):
    assert from_ipa(symbol) == tuple(phones.split())
