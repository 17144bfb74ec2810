"""Vocabulary: symbols and their ids."""

from collections import Counter
from enum import Enum
from itertools import chain, islice

import numpy as np

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._transforms import Transforms

# Ids of no symbol of the data: every vocabulary begins with two or all of them.
PADDING, UNKNOWN, BEGIN, END = range(4)


class Missing(Enum):
    """Stands for a symbol that is not known; no vocabulary has it."""

    SYMBOL = "unknown"


@plain_type
class Vocabulary:
    """Symbols and their ids, whole numbers from 0.

    The first `n_specials` ids are special: padding and unknown, and with 4 of them
    begin and end.

    Examples
    --------
    >>> from sklearn_rnn.sequences import Vocabulary
    >>> vocabulary = Vocabulary(["b", "a"], n_specials=2)
    >>> vocabulary.encode("abc")
    array([3, 2, 1], dtype=uint8)
    >>> vocabulary.decode([2, 3])
    ['b', 'a']
    """

    def __init__(self, symbols, n_specials=4):
        self.symbols = list(symbols)
        self.n_specials = n_specials
        self._index()

    @classmethod
    def from_sequences(
        cls, rows, *, n_specials=4, min_count=1, max_symbols=None, weights=None
    ):
        """Return a vocabulary of the symbols of sequences, the most frequent first.

        Symbols that occur less often than `min_count` stay unknown, and all but the
        first `max_symbols`. `weights`, above 0, are how often each sequence counts.
        """
        counts = _count_symbols(rows, weights)
        counts.pop(Missing.SYMBOL, None)
        # Rounded: a sum of fractions such as 0.1 may be just below an integer.
        kept = (
            symbol
            for symbol, count in counts.most_common()
            if min_count == 1 or round(count, 9) >= min_count
        )
        return cls(islice(kept, max_symbols), n_specials)

    def _index(self):
        self._dtype = SMALLEST_IDS[np.searchsorted(LARGEST_IDS, len(self))]
        self._ids = {s: i for i, s in enumerate(self.symbols, self.n_specials)}
        self._codes = None
        if all(isinstance(s, str) and len(s) == 1 for s in self.symbols):
            codes = np.array([ord(s) for s in self.symbols], dtype=np.uint32)
            order = np.argsort(codes)
            self._codes = codes[order]
            self._ids_by_code = (order + self.n_specials).astype(self._dtype)

    def __getstate__(self):
        return {"symbols": self.symbols, "n_specials": self.n_specials}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._index()

    def __len__(self):
        return self.n_specials + len(self.symbols)

    def __contains__(self, symbol):
        return symbol in self._ids

    def id_of(self, symbol):
        """Return the id of a symbol, that of unknown for others."""
        return self._ids.get(symbol, UNKNOWN)

    def encode(self, row):
        """Return the ids of a sequence of symbols, of the smallest type for all."""
        if not isinstance(row, str) or self._codes is None or not len(self._codes):
            ids = (self._ids.get(symbol, UNKNOWN) for symbol in row)
            return np.fromiter(ids, dtype=self._dtype, count=len(row))
        codes = np.frombuffer(row.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        positions = np.searchsorted(self._codes, codes)
        positions[positions == len(self._codes)] = 0
        known = self._codes[positions] == codes
        return np.where(known, self._ids_by_code[positions], self._dtype(UNKNOWN))

    def encode_all(self, rows, *, bounded=False):
        """Return sequences of symbols as a SequenceArray of ids.

        If `bounded`, each begins with the id for begin and ends with that for end.
        """
        front = np.array([BEGIN] if bounded else [], self._dtype)
        back = np.array([END] if bounded else [], self._dtype)
        ids = [self.encode(row) for row in rows]
        lengths = np.array([len(row) + len(front) + len(back) for row in ids])
        parts = chain.from_iterable((front, row, back) for row in ids)
        values = np.concatenate(list(parts))[:, np.newaxis]
        return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)

    def decode(self, ids, unknown=None):
        """Return the symbols of ids, without special ids other than that of unknown."""
        first = self.n_specials
        return [
            self.symbols[i - first] if i >= first else unknown
            for i in ids
            if i >= first or i == UNKNOWN
        ]


def _count_symbols(rows, weights):
    counts: Counter = Counter()
    if weights is None:
        for row in rows:
            counts.update(row)
        return counts
    for row, weight in zip(rows, weights.tolist(), strict=True):
        for symbol, n in Counter(row).items():
            counts[symbol] += weight * n
    return counts


def sequences_of_ids(ids, tokens=None):
    """Return arrays of ids as sequences; an empty one becomes one padding id.

    `tokens` is what the ids stand for.
    """
    ids = [row if len(row) else np.array([PADDING], dtype=row.dtype) for row in ids]
    lengths = np.array([len(row) for row in ids])
    values, starts = np.concatenate(ids)[:, np.newaxis], np.cumsum(lengths) - lengths
    return SequenceArray(values, starts, lengths, transforms=Transforms(tokens=tokens))


# How an unknown character is written.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Types that a SequenceArray stores as they are, and how many ids they hold.
SMALLEST_IDS = (np.uint8, np.int16, np.int32)
LARGEST_IDS = (2**8, 2**15)
