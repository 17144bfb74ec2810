"""Metrics of symbol sequences: edits, exact matches, BLEU and chrF."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from sklearn_rnn._exceptions import missing_package
from sklearn_rnn.metrics._arrays import check_weights


def symbol_error_rate(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the edit distance per true symbol.

    An edit inserts, deletes or replaces one symbol; the distance is the minimum
    number of edits that turn a prediction into the truth (Levenshtein distance
    [1]_). Its sum over all sequences is divided by the number of true symbols.
    Where symbols are words this is the word error rate (WER), where they are
    characters or phonemes the character (CER) or phoneme error rate.

    Parameters
    ----------
    y_true : array-like of shape (n_sequences,)
        The true sequences: strings, whose symbols are their characters, or
        lists, tuples or 1-D arrays of hashable symbols; one per prediction.
    y_pred : array-like of shape (n_sequences,)
        The predicted sequences, strings where `y_true` has strings.
    sample_weight : array-like of shape (n_sequences,), default=None
        Weights of the sequences; None weighs all equally.

    Returns
    -------
    float
        At least 0; the best is 0. It exceeds 1 where predictions are so long
        that empty ones would do better.

    Raises
    ------
    TypeError
        If `y_true` or `y_pred` is no list of sequences, such as a single
        string, or a sequence or symbol has a wrong type.
    ValueError
        If the numbers of sequences differ, strings are compared with lists of
        symbols, a value is None or NaN, or there is no true symbol.

    See Also
    --------
    sequence_accuracy : A sequence counts only if all of it is correct.

    References
    ----------
    .. [1] V. I. Levenshtein (1966). Binary Codes Capable of Correcting
       Deletions, Insertions and Reversals. Soviet Physics Doklady 10 (8),
       707-710.

    Examples
    --------
    >>> from sklearn_rnn.metrics import symbol_error_rate
    >>> symbol_error_rate(["kitten", "moon"], ["sitting", "moon"])  # 3 edits of 10
    0.3
    >>> symbol_error_rate([["the", "old", "cat"]], [["the", "cat"]]) * 3
    1.0

    As a scorer for model selection:

    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(symbol_error_rate, greater_is_better=False)
    """
    true, pred, _ = _check_pairs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    n_symbols = weights @ [len(sequence) for sequence in true]
    if n_symbols == 0:
        raise ValueError(
            "y_true has no symbol in any sequence that counts: there is nothing to "
            "divide the edits by."
        )
    edits = [_edit_distance(*pair) for pair in zip(true, pred, strict=True)]
    return float(weights @ edits / n_symbols)


def sequence_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the fraction of sequences with every symbol correct.

    Parameters
    ----------
    y_true : array-like of shape (n_sequences,)
        The true sequences: strings, whose symbols are their characters, or
        lists, tuples or 1-D arrays of hashable symbols; one per prediction.
    y_pred : array-like of shape (n_sequences,)
        The predicted sequences, strings where `y_true` has strings.
    sample_weight : array-like of shape (n_sequences,), default=None
        Weights of the sequences; None weighs all equally.

    Returns
    -------
    float
        0 to 1; the best is 1.

    Raises
    ------
    TypeError
        If `y_true` or `y_pred` is no list of sequences, such as a single
        string, or a sequence or symbol has a wrong type.
    ValueError
        If the numbers of sequences differ, strings are compared with lists of
        symbols, or a value is None or NaN.

    See Also
    --------
    symbol_error_rate : Counts the errors within a sequence.

    Examples
    --------
    >>> from sklearn_rnn.metrics import sequence_accuracy
    >>> sequence_accuracy(["kitten", "moon"], ["sitting", "moon"])
    0.5
    """
    true, pred, _ = _check_pairs(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    is_correct = [a == b for a, b in zip(true, pred, strict=True)]
    return float(np.average(is_correct, weights=weights))


def bleu(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    tokenize: str = "13a",
    max_ngram_order: int = 4,
) -> float:
    """Return the BLEU score of translations.

    The geometric mean of the precisions of n-grams, 1 to 4 words long, times a
    brevity penalty on predictions that are shorter in total than the truth [1]_.
    N-grams are counted over all sequences together. It is computed by sacrebleu
    [2]_ with that package's defaults.

    Parameters
    ----------
    y_true : array-like of shape (n_sequences,)
        The true sequences: strings, or lists, tuples or 1-D arrays of hashable
        symbols, which stand for words; one per prediction.
    y_pred : array-like of shape (n_sequences,)
        The predicted sequences, strings where `y_true` has strings.
    tokenize : str, default="13a"
        How sacrebleu splits strings into words: "13a" as in the WMT
        competitions, "intl" by the punctuation of all scripts, "zh" for
        Chinese, "char" into characters, "none" at spaces alone, or another
        that it knows. Lists of symbols are not split.
    max_ngram_order : int, default=4
        The longest n-grams, in words. Published scores use 4.

    Returns
    -------
    float
        0 to 1; the best is 1. Publications often give it in percent.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    TypeError
        If `y_true` or `y_pred` is no list of sequences, such as a single
        string, or a sequence or symbol has a wrong type.
    ValueError
        If the numbers of sequences differ, strings are compared with lists of
        symbols, a value is None or NaN, sacrebleu does not know `tokenize`,
        or no true sequence has `max_ngram_order` words.

    See Also
    --------
    chrf : Compares characters, so that a wrong ending costs less.

    Notes
    -----
    It is meant for many sequences at once: it is 0 where no n-gram of the longest
    order is correct, and random for a few short sequences. Only scores with the
    same `tokenize` and `max_ngram_order` can be compared.

    References
    ----------
    .. [1] K. Papineni, S. Roukos, T. Ward and W.-J. Zhu (2002). BLEU: a Method
       for Automatic Evaluation of Machine Translation. ACL 2002, 311-318.
    .. [2] M. Post (2018). A Call for Clarity in Reporting BLEU Scores. WMT
       2018, 186-191.

    Examples
    --------
    >>> from sklearn_rnn.metrics import bleu
    >>> y_true = ["The cat sat on the mat.", "It rained."]
    >>> y_pred = ["The cat sat on a mat.", "It rained."]
    >>> round(bleu(y_true, y_pred), 3)
    0.539
    """
    sacrebleu = _import_sacrebleu("bleu")
    true, pred, is_text = _check_pairs(y_true, y_pred)
    known = sacrebleu.BLEU.TOKENIZERS
    if tokenize not in known:
        raise ValueError(f"tokenize={tokenize!r} should be one of {sorted(known)}.")
    check_scalar(max_ngram_order, "max_ngram_order", int, min_val=1)
    if not is_text:
        (true, pred), tokenize = _encode_symbols(true, pred), "none"
    # Text that is split already may end in " ."; sacrebleu would log a warning.
    metric = sacrebleu.BLEU(
        tokenize=tokenize, max_ngram_order=max_ngram_order, force=tokenize == "none"
    )
    score = metric.corpus_score(pred, [true]).score / 100
    if score == 0:
        _check_has_ngrams(true, metric.tokenizer, max_ngram_order)
    return min(score, 1.0)  # 100 has a rounding error


def chrf(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
) -> float:
    """Return the chrF score of translations, which compares characters.

    The F-score of n-grams of 1 to 6 characters without spaces, averaged over the
    orders [1]_. It gives credit to words with a wrong ending alone, and suits
    languages with many forms of a word, or without spaces. N-grams are counted
    over all sequences together. It is computed by sacrebleu with that package's
    defaults.

    Parameters
    ----------
    y_true : array-like of shape (n_sequences,)
        The true sequences: strings, or lists, tuples or 1-D arrays of strings;
        one per prediction.
    y_pred : array-like of shape (n_sequences,)
        The predicted sequences, strings where `y_true` has strings.
    char_order : int, default=6
        The longest n-grams, in characters.
    word_order : int, default=0
        The longest n-grams of words that count as well; 2 makes it chrF++.
    beta : int, default=2
        Weight of recall relative to precision.

    Returns
    -------
    float
        0 to 1; the best is 1. Publications often give it in percent.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    TypeError
        If `y_true` or `y_pred` is no list of sequences, such as a single
        string, or a symbol is not a string.
    ValueError
        If the numbers of sequences differ, strings are compared with lists of
        symbols, or a value is None or NaN.

    See Also
    --------
    bleu : Compares words.

    References
    ----------
    .. [1] M. Popovic (2015). chrF: Character N-gram F-score for Automatic MT
       Evaluation. WMT 2015, 392-395.

    Examples
    --------
    >>> from sklearn_rnn.metrics import chrf
    >>> round(chrf(["Die Katzen schlafen."], ["Die Katze schläft."]), 3)
    0.476
    >>> chrf(["It rained."], ["It rained."])
    1.0
    """
    sacrebleu = _import_sacrebleu("chrf")
    true, pred, is_text = _check_pairs(y_true, y_pred)
    check_scalar(char_order, "char_order", int, min_val=1)
    check_scalar(word_order, "word_order", int, min_val=0)
    check_scalar(beta, "beta", int, min_val=1)
    if not is_text:
        true, pred = _join_words(true, "y_true"), _join_words(pred, "y_pred")
    metric = sacrebleu.CHRF(char_order=char_order, word_order=word_order, beta=beta)
    return min(metric.corpus_score(pred, [true]).score / 100, 1.0)


def _edit_distance(true, pred):
    """Return the edit distance of two sequences of hashable symbols.

    Myers' bit vectors (1999) in Hyyrö's form (2003), in Python's long integers:
    column j of the distance table is stored as two bit masks of the rows where it
    increases or decreases by 1. Measured on random text of 20 letters, in
    microseconds per pair, against a plain loop over rows and rows of NumPy:
    5 letters 2, 14, 60; 100 letters 280, 4,000, 1,000; 10,000 letters 76,000,
    over 10 million, 860,000.
    """
    if true == pred:
        return 0
    long, short = (true, pred) if len(true) > len(pred) else (pred, true)
    masks: dict[Any, int] = {}  # positions of each symbol in the long sequence
    bit = 1
    for symbol in long:
        masks[symbol] = masks.get(symbol, 0) | bit
        bit <<= 1
    every = bit - 1
    up, down = every, 0
    for symbol in short:
        equal = masks.get(symbol, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down  # costs nothing
        right_up = down | (every & ~(diagonal | up))
        right_down = diagonal & up
        # Row 0 increases by 1 in every column: a 1 is shifted in.
        right_up, right_down = right_up << 1 | 1, right_down << 1
        up = (right_down | ~(diagonal | right_up)) & every
        down = right_up & diagonal & every
    return len(short) + up.bit_count() - down.bit_count()


def _check_pairs(y_true, y_pred):
    """Return both as lists of str or of lists of symbols, and whether of str."""
    y_true = _check_sequences(y_true, "y_true")
    y_pred = _check_sequences(y_pred, "y_pred")
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} sequences and y_pred {len(y_pred)}: give one "
            "prediction for each true sequence."
        )
    is_text = isinstance(y_true[0], str)
    for name, sequences in [("y_true", y_true), ("y_pred", y_pred)]:
        _check_kind(sequences, name, is_text)
    if not is_text:
        _check_comparable(_distinct(y_true, "y_true"), _distinct(y_pred, "y_pred"))
    return y_true, y_pred, is_text


def _check_sequences(y, name):
    if isinstance(y, str):
        raise TypeError(
            f"{name} is the string {y[:20]!r}: give a list of strings, one per "
            f"sequence, such as [{y[:20]!r}]."
        )
    has_order = isinstance(y, Iterable) and not isinstance(y, (bytes, Mapping, Set))
    if not has_order or hasattr(y, "columns"):  # iterating a table yields names
        raise TypeError(
            f"{name} is of type {type(y).__name__}: give a list, array or Series of "
            "sequences."
        )
    sequences = [_check_sequence(item, f"{name}[{i}]") for i, item in enumerate(y)]
    if not sequences:
        raise ValueError(f"{name} is empty: there is no sequence to compare.")
    return sequences


def _check_sequence(item, place):
    if isinstance(item, str):
        return item
    if isinstance(item, (list, tuple)):
        return list(item)
    if hasattr(item, "tolist") and np.ndim(item) == 1:
        return item.tolist()
    if _is_missing(item):
        raise ValueError(f"{place} is {item}: leave out sequences that are missing.")
    raise TypeError(
        f"{place} is {item!r:.60}, of type {type(item).__name__}: give a string, or a "
        "list, tuple or 1-D array of symbols."
    )


def _is_missing(value):
    return pd.api.types.is_scalar(value) and pd.isna(value)


def _check_kind(sequences, name, is_text):
    kinds = {True: "a string", False: "a list of symbols"}
    for i, sequence in enumerate(sequences):
        if isinstance(sequence, str) != is_text:
            raise ValueError(
                f"{name}[{i}] is {kinds[not is_text]}, but y_true[0] is "
                f"{kinds[is_text]}: a string is compared by characters. Give strings "
                "alone or lists alone, say text.split() for words. Several true "
                "sequences for one prediction are not supported."
            )


def _distinct(sequences, name):
    """Return the set of symbols, all of which must be present and hashable."""
    try:
        symbols = set().union(*sequences)
    except TypeError:
        symbols = None
    if symbols is not None and not any(map(_is_missing, symbols)):
        return symbols
    for i, sequence in enumerate(sequences):
        for j, symbol in enumerate(sequence):
            _check_symbol(symbol, f"{name}[{i}][{j}]")


def _check_symbol(symbol, place):
    if _is_missing(symbol):
        raise ValueError(f"{place} is {symbol}: leave out symbols that are missing.")
    try:
        hash(symbol)
    except TypeError:
        raise TypeError(
            f"{place} is {symbol!r:.60}, of type {type(symbol).__name__}, which is not "
            "hashable and so no symbol. Give one list of symbols per sequence; several "
            "true sequences for one prediction are not supported."
        ) from None


def _check_comparable(true, pred):
    """Check that not all symbols of one side are strings and none of the other."""
    are_text = [
        {isinstance(symbol, str) for symbol in symbols} for symbols in (true, pred)
    ]
    if are_text in ([{True}, {False}], [{False}, {True}]):
        raise ValueError(
            f"y_true has symbols such as {min(true, key=str)!r} and y_pred such as "
            f"{min(pred, key=str)!r}: strings and other symbols are never equal. "
            "Bring both into one form."
        )


def _import_sacrebleu(metric):
    """Import sacrebleu, or raise an error with the command that installs it."""
    try:
        import sacrebleu
    except ImportError as error:
        raise missing_package(metric, "sacrebleu", "text") from error
    return sacrebleu


def _encode_symbols(y_true, y_pred):
    """Return texts of integer ids: symbols may be other types, or contain spaces."""
    ids: dict[Any, int] = {}
    return [
        [
            " ".join(str(ids.setdefault(s, len(ids))) for s in sequence)
            for sequence in sequences
        ]
        for sequences in (y_true, y_pred)
    ]


def _join_words(sequences, name):
    """Join strings by spaces, as words."""
    for i, sequence in enumerate(sequences):
        for symbol in sequence:
            if not isinstance(symbol, str):
                raise TypeError(
                    f"{name}[{i}] has the symbol {symbol!r}, of type "
                    f"{type(symbol).__name__}: chrf compares characters, so that "
                    "symbols should be strings."
                )
    return [" ".join(sequence) for sequence in sequences]


def _check_has_ngrams(y_true, tokenizer, order):
    """Raise an error if BLEU is 0 even for perfect predictions."""
    longest = max(len(tokenizer(text).split()) for text in y_true)
    if longest < order:
        raise ValueError(
            f"the longest sequence of y_true has {longest} words, so that BLEU with "
            f"max_ngram_order={order} is 0 even of perfect predictions: pass "
            f"max_ngram_order={max(longest, 1)}, or more sequences."
        )
