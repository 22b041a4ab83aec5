"""Each rule by hand, on numbers that are small enough."""

from math import log

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from remanence.activation.scorers import (
    H2O,
    SCORERS,
    Knorm,
    Random,
    Seen,
    SirLLM,
    SirLLMReleased,
    SnapKV,
    StreamingLLM,
    Tova,
    smoothed,
    surprisal,
)
from remanence.activation.words import words_of
from remanence.errors import InputError
from remanence.models.local.tokenizing import bpe_tokenizer, byte_tokenizer, word_tokenizer

PREDICTIONS = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]]).log()


def seen(ids, *, earlier=(), start=None, words=None, **shown):
    earlier = torch.tensor(earlier) if not isinstance(earlier, torch.Tensor) else earlier
    words = list(range(len(ids))) if words is None else words
    start = earlier.shape[-1] if start is None else start
    return Seen(torch.tensor(ids), torch.tensor(words), start, earlier, **shown)


def test_sirllm_is_the_surprisal_of_what_came():
    scores = SirLLM().score(seen([2, 0, 1], logits=PREDICTIONS, earlier=[9.0]))
    assert scores.tolist() == pytest.approx([9.0, -log(0.25), -log(0.1), -log(0.2)])


def test_the_released_code_looks_one_row_too_far():
    """Row i + 1 is looked up with token i, and the list is moved by one; the first gets the highest of the segment."""
    scores = SirLLMReleased().score(seen([2, 0, 1], logits=PREDICTIONS))
    repeated = [-log(0.1), -log(0.2)]  # of 2 after 2, of 0 after 2 0
    assert scores.tolist() == pytest.approx([max(repeated), *repeated])
    assert SirLLMReleased().score(seen([1], logits=PREDICTIONS[:2])).tolist() == pytest.approx([log(3)])


def test_the_first_token_of_a_dialogue_counts_as_a_blind_guess():
    rows = torch.cat([torch.full((1, 3), torch.nan), PREDICTIONS[1:]])
    assert SirLLM().score(seen([2, 0, 1], logits=rows)).tolist() == pytest.approx([log(3), -log(0.1), -log(0.2)])
    assert surprisal(rows[:1], torch.tensor([0])).tolist() == pytest.approx([log(3)])


def test_smoothing_takes_the_mean_of_neighbours():
    assert smoothed(torch.tensor([3.0, 0.0, 6.0, 0.0]), 3).tolist() == pytest.approx([1.5, 3.0, 2.0, 3.0])
    plain = SirLLM().score(seen([2, 0, 1], logits=PREDICTIONS))
    assert torch.allclose(SirLLM(smooth=3).score(seen([2, 0, 1], logits=PREDICTIONS)), smoothed(plain, 3))
    assert SirLLM(smooth=3, whole_words=True).name == "sirllm+smooth3+words"


def test_a_word_stays_whole():
    scores = SirLLM(whole_words=True).score(seen([2, 0, 1], words=[0, 1, 1], logits=PREDICTIONS))
    assert scores.tolist() == pytest.approx([-log(0.25), -log(0.1), -log(0.1)])


@pytest.mark.parametrize("smooth", [-1, 2, 4])
def test_an_even_window_has_no_middle(smooth):
    with pytest.raises(InputError, match="odd"):
        SirLLM(smooth=smooth)


@pytest.mark.parametrize("options", [{"window": 0}, {"pool": 2}, {"pool": 0}])
def test_snapkv_refuses_windows_that_are_none(options):
    with pytest.raises(InputError, match="window"):
        SnapKV(**options)


def test_streamingllm_prefers_what_came_later():
    assert StreamingLLM().score(seen([5, 5], earlier=[0.0, 1.0])).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_random_is_drawn_once_and_the_same_again():
    first = Random(3).score(seen([1, 2, 3]))
    again = Random(3).score(seen([1, 2, 3]))
    assert torch.equal(first, again)
    assert not torch.equal(first, Random(4).score(seen([1, 2, 3])))
    later = Random(3).score(seen([4], earlier=first[:2], start=3))
    assert torch.equal(later[:2], first[:2])
    assert later[2] not in first


def test_h2o_adds_up_what_a_token_was_given():
    rows = torch.tensor([[[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]])  # one head, two queries, one token from before
    scores = H2O().score(seen([1, 2], earlier=torch.tensor([[[10.0]]]), attention=[rows]))
    assert scores.tolist() == [[pytest.approx([10.7, 0.8, 0.5])]]
    assert rows[0, 0].tolist() == [0.5, 0.5, 0.0], "what was shown is left alone"


def test_snapkv_is_the_mean_of_the_last_queries():
    rows = torch.tensor([[[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.4, 0.2, 0.4]]])
    scores = SnapKV(window=2, pool=1).score(seen([1, 2, 3], earlier=torch.zeros(1, 1, 0), attention=[rows]))
    assert scores.tolist() == [[pytest.approx([0.3, 0.5, 0.2])]]
    pooled = SnapKV(window=2, pool=3).score(seen([1, 2, 3], earlier=torch.zeros(1, 1, 0), attention=[rows]))
    assert pooled.tolist() == [[pytest.approx([0.4, 1 / 3, 0.35])]]


def test_snapkv_fills_a_short_segment_with_what_it_knew():
    rows = torch.tensor([[[0.2, 0.8]]])
    scores = SnapKV(window=4, pool=1).score(seen([1], earlier=torch.tensor([[[0.6]]]), attention=[rows]))
    assert scores.tolist() == [[pytest.approx([0.25 * 0.2 + 0.75 * 0.6, 0.8])]]


def test_tova_is_the_last_query_over_all_heads():
    rows = torch.tensor([[[0.5, 0.5], [0.1, 0.9]], [[0.5, 0.5], [0.3, 0.7]]])  # two heads
    scores = Tova().score(seen([1, 2], attention=[rows]))
    assert scores.tolist() == [[pytest.approx([0.2, 0.8]), pytest.approx([0.2, 0.8])]]


def test_knorm_prefers_small_keys():
    keys = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    assert Knorm().score(seen([1], earlier=[0.0], keys=[keys])).tolist() == [[[-5.0, -1.0]]]


@pytest.mark.parametrize("name", [name for name, scorer in SCORERS.items() if scorer.needs != "nothing"])
def test_a_scorer_says_that_it_was_shown_nothing(name):
    with pytest.raises(InputError, match="not shown"):
        SCORERS[name].score(seen([1, 2]))


def test_only_scores_that_keep_their_meaning_decay():
    assert {name for name, scorer in SCORERS.items() if scorer.decays} == {"sirllm", "sirllm_released", "h2o", "random"}
    assert {name for name, scorer in SCORERS.items() if scorer.shared} == {
        "sirllm",
        "sirllm_released",
        "streamingllm",
        "random",
    }


def test_words_by_the_marks_of_tokenizers():
    pairs = bpe_tokenizer(["the kiln fired the celadon"] * 3, 264)
    ids = pairs("the kiln, fired", add_special_tokens=False)["input_ids"]
    pieces = pairs.convert_ids_to_tokens(ids)
    groups = {}
    for word, piece in zip(words_of(ids, pairs), pieces, strict=True):
        groups[word] = groups.get(word, "") + piece
    assert list(groups.values()) == ["the", "Ġkiln", ",", "Ġfired"]
    assert len(pieces) > 4, "some word has several tokens"

    whole = word_tokenizer(["the kiln fired."])
    ids = whole("the kiln fired.", add_special_tokens=False)["input_ids"]
    assert words_of(ids, whole) == [0, 1, 2, 3]

    letters = byte_tokenizer()
    ids = letters("a kiln", add_special_tokens=False)["input_ids"]
    assert words_of(ids, letters) == [0, 1, 1, 1, 1, 1]

    pieces = ["[UNK]", "kil", "##n", "fi", "##red", "."]
    marked = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({one: i for i, one in enumerate(pieces)}, "[UNK]"))
    )
    assert words_of([1, 2, 3, 4, 5], marked) == [0, 0, 1, 1, 2]
