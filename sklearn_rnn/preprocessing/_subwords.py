"""Subwords: pieces of words, and the one place that imports tokenizers."""

import json
import os
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError, missing_package

# Every byte is a token, so no text has an unknown one.
N_BYTES = 256
# The library writes a byte as a printable character: these as themselves, the
# others, in order, as the characters from 256.
PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
OTHERS = [byte for byte in range(N_BYTES) if byte not in PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {
    chr(N_BYTES + i): byte for i, byte in enumerate(OTHERS)
}


class Subwords:
    """Pieces of words and their ids, by byte-level byte pair encoding.

    The pieces that most often stand side by side are joined, again and again,
    beginning with single bytes. A blank belongs to the word behind it.

    Parameters
    ----------
    state : str
        What was learned, as JSON.
    n_specials : int, default=2
        Ids in front of the pieces'.

    Attributes
    ----------
    symbols : list of str
        The pieces in the order of their ids; those that are no whole
        characters by their bytes, such as ``"<0xe2><0x80>"``.

    References
    ----------
    Sennrich, Haddow and Birch, "Neural machine translation of rare words with
    subword units", ACL 2016. Radford et al., "Language models are unsupervised
    multitask learners", 2019 (bytes).
    """

    def __init__(self, state, n_specials=2):
        self.state = state
        self.n_specials = n_specials
        ids = json.loads(state)["model"]["vocab"]
        names = sorted(ids, key=ids.get)
        self._pieces = [bytes(BYTE_OF[c] for c in name) for name in names]
        self.symbols = [_readable(piece) for piece in self._pieces]
        n_ids = n_specials + len(self.symbols)
        self._dtype = np.int16 if n_ids <= 2**15 else np.int32

    @classmethod
    def learn(cls, texts, *, max_symbols, min_count=1):
        """Learn which pieces texts are made of.

        Parameters
        ----------
        texts : list of str
            What to learn from.
        max_symbols : int
            Most pieces, at least 256.
        min_count : int, default=1
            Pieces are joined if they meet so often, and at least twice.

        Returns
        -------
        Subwords
            The same for the same texts.
        """
        library = import_tokenizers()
        byte_level = library.pre_tokenizers.ByteLevel
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=max_symbols,
            min_frequency=max(2, min_count),
            initial_alphabet=byte_level.alphabet(),
            special_tokens=[],
            show_progress=False,
        )
        with _one_thread():
            tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def __getstate__(self):
        return {"state": self.state, "n_specials": self.n_specials}

    def __setstate__(self, kept):
        self.__init__(**kept)

    def encode(self, text):
        """Turn a text into ids.

        Parameters
        ----------
        text : str
            Without lone surrogates.

        Returns
        -------
        ndarray of int16 or int32 of shape (n_pieces,)
            At least `n_specials`.
        """
        ids = _load(self.state).encode(text, add_special_tokens=False).ids
        return np.array(ids, dtype=self._dtype) + self._dtype(self.n_specials)

    def decode(self, ids, unknown="\ufffd"):
        """Turn ids into a text.

        Parameters
        ----------
        ids : iterable of int
            Of pieces; of special ids, 1 is unknown and others are left out.
        unknown : str, default="\\ufffd"
            What stands for unknown, and for broken characters.

        Returns
        -------
        str
            The pieces, joined.
        """
        first = self.n_specials
        pieces = (
            self._pieces[i - first] if i >= first else unknown.encode()
            for i in ids
            if i >= first or i == 1
        )
        return b"".join(pieces).decode(errors="replace")


def _readable(piece):
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02x}>" for byte in piece)


def check_encodable(texts, name="X"):
    """Refuse texts that have no bytes.

    Parameters
    ----------
    texts : list of str
        The texts.
    name : str, default="X"
        What they are, for the message.

    Raises
    ------
    InvalidSequenceError
        If one holds half of a surrogate pair.
    """
    for i, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidSequenceError(
                f"{name}[{i}] holds {text[error.start]!r} at place {error.start}: half "
                "of a surrogate pair, which is no character and has no bytes. Replace "
                "it, say with text.encode('utf-16', 'surrogatepass').decode('utf-16', "
                "'replace')."
            ) from error


def import_tokenizers():
    """Import tokenizers, or say how to get it.

    Returns
    -------
    module
        ``tokenizers``.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        owner = "SequenceTokenizer(level='subword')"
        raise missing_package(owner, "tokenizers", "text") from error
    return tokenizers


# The library's object is made of the JSON once, and not pickled.
@lru_cache(maxsize=4)
def _load(state):
    return import_tokenizers().Tokenizer.from_str(state)


@contextmanager
def _one_thread():
    """Keep the library from starting threads, which a later fork would trip over."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
