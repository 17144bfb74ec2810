"""Vocabulary: symbols and their ids."""

from collections import Counter
from enum import Enum
from itertools import chain, islice

import numpy as np

from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._transforms import Transforms

# Ids that stand for no symbol of the data: every vocabulary begins with some of
# them, in this order.
PADDING, UNKNOWN, BEGIN, END = range(4)


class Missing(Enum):
    """What stands for a symbol that is not known any more; it is never learned."""

    SYMBOL = "unknown"


class Vocabulary:
    """Symbols and their ids, whole numbers from 0.

    The first ids are special: padding, unknown, and for those who write
    sequences, begin and end.

    Parameters
    ----------
    symbols : list of hashable
        Distinct, in the order of their ids.
    n_specials : {2, 4}, default=4
        Ids in front of the symbols': 4 with begin and end.

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
    def learn(cls, rows, *, n_specials=4, min_count=1, max_symbols=None, weights=None):
        """Collect the symbols of sequences, the most frequent first.

        Parameters
        ----------
        rows : iterable of str or list
            Sequences of hashable symbols.
        n_specials : {2, 4}, default=4
            Special ids.
        min_count : int, default=1
            Symbols that are rarer stay unknown.
        max_symbols : int, default=None
            Most symbols to keep; None keeps all.
        weights : ndarray of shape (n_rows,), default=None
            How often each sequence counts, above 0; 2 is as if it came twice.
            They do not matter for a `min_count` of 1, which keeps all symbols.

        Returns
        -------
        Vocabulary
            Equally frequent symbols are in the order in which they come.
        """
        counts = _count_symbols(rows, weights)
        counts.pop(Missing.SYMBOL, None)
        # Rounded, for a sum of fractions such as 0.1 may be just below a whole number.
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
        """Turn a sequence of symbols into ids.

        Parameters
        ----------
        row : str or list
            The symbols.

        Returns
        -------
        ndarray of shape (n_symbols,)
            Of the smallest of uint8, int16 and int32 that holds all ids.
        """
        if not isinstance(row, str) or self._codes is None or not len(self._codes):
            ids = (self._ids.get(symbol, UNKNOWN) for symbol in row)
            return np.fromiter(ids, dtype=self._dtype, count=len(row))
        codes = np.frombuffer(row.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        places = np.searchsorted(self._codes, codes)
        places[places == len(self._codes)] = 0
        known = self._codes[places] == codes
        return np.where(known, self._ids_by_code[places], self._dtype(UNKNOWN))

    def encode_all(self, rows, *, bounded=False):
        """Turn sequences of symbols into sequences of ids.

        Parameters
        ----------
        rows : list of str or list
            The symbols.
        bounded : bool, default=False
            Whether each sequence gets a begin in front and an end behind.

        Returns
        -------
        SequenceArray
            One feature, the id.
        """
        front, back = ([BEGIN], [END]) if bounded else ([], [])
        front, back = np.array(front, self._dtype), np.array(back, self._dtype)
        ids = [self.encode(row) for row in rows]
        lengths = np.array([len(row) + len(front) + len(back) for row in ids])
        parts = chain.from_iterable((front, row, back) for row in ids)
        values = np.concatenate(list(parts))[:, np.newaxis]
        return SequenceArray(values, np.cumsum(lengths) - lengths, lengths)

    def decode(self, ids, unknown=None):
        """Turn ids into symbols.

        Parameters
        ----------
        ids : iterable of int
            Of symbols, or unknown; other special ids are left out.
        unknown : object, default=None
            The symbol for unknown.

        Returns
        -------
        list
            Of symbols.
        """
        first = self.n_specials
        return [
            self.symbols[i - first] if i >= first else unknown
            for i in ids
            if i >= first or i == UNKNOWN
        ]


def _count_symbols(rows, weights):
    counts = Counter()
    if weights is None:
        for row in rows:
            counts.update(row)
        return counts
    for row, weight in zip(rows, weights.tolist(), strict=True):
        for symbol, n in Counter(row).items():
            counts[symbol] += weight * n
    return counts


def sequences_of_ids(ids, tokens=None):
    """Put sequences of ids into one container; an empty one becomes one padding.

    Parameters
    ----------
    ids : list of ndarray of shape (n_ids_i,)
        All of one type.
    tokens : ndarray of object, default=None
        What the ids stand for.

    Returns
    -------
    SequenceArray
        One feature, the id.
    """
    ids = [row if len(row) else np.array([PADDING], dtype=row.dtype) for row in ids]
    lengths = np.array([len(row) for row in ids])
    values, starts = np.concatenate(ids)[:, np.newaxis], np.cumsum(lengths) - lengths
    return SequenceArray(values, starts, lengths, transforms=Transforms(tokens=tokens))


# How a character that is unknown is written: Unicode's own sign for that.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Types that a SequenceArray stores as they are, and how many ids they hold.
SMALLEST_IDS = (np.uint8, np.int16, np.int32)
LARGEST_IDS = (2**8, 2**15)
