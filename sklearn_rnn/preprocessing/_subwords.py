"""Subword tokens, and the one place that imports tokenizers."""

import json
import os
from collections.abc import Iterable
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError, missing_package
from sklearn_rnn._plain_state import plain_type

# Every byte is a token, so no text has an unknown one.
N_BYTES = 256
# The library writes a byte as a printable character: these as themselves, the
# others, in order, as the characters from 256.
PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
OTHERS = [byte for byte in range(N_BYTES) if byte not in PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {
    chr(N_BYTES + i): byte for i, byte in enumerate(OTHERS)
}


@plain_type
class Subwords:
    """Subword tokens and their ids, by byte-level byte pair encoding.

    The pair of tokens that is most frequent is merged into a new one, again and again,
    beginning with single bytes. A blank belongs to the next word.

    `state` is the trained tokenizer as JSON, `n_specials` the number of ids before
    those of the tokens. `symbols` are the tokens in the order of their ids; those that
    are not whole characters by their bytes, such as ``"<0xe2><0x80>"``.

    References
    ----------
    Sennrich, Haddow and Birch, "Neural machine translation of rare words with
    subword units", ACL 2016. Radford et al., "Language models are unsupervised
    multitask learners", 2019 (bytes).
    """

    def __init__(self, state: str, n_specials: int = 2) -> None:
        self.state = state
        self.n_specials = n_specials
        ids = json.loads(state)["model"]["vocab"]
        names = sorted(ids, key=ids.get)
        self._tokens = [bytes(BYTE_OF[c] for c in name) for name in names]
        self.symbols = [_readable(token) for token in self._tokens]
        n_ids = n_specials + len(self.symbols)
        self._dtype = np.dtype(np.int16 if n_ids <= 2**15 else np.int32)

    @classmethod
    def train(
        cls, texts: list[str], *, max_symbols: int, min_count: int = 1
    ) -> "Subwords":
        """Train on a list of texts; deterministic.

        Tokens are merged only if the pair occurs `min_count` times, and at least twice.
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

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.state, "n_specials": self.n_specials}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Subwords.__init__(self, **state)

    def encode(self, text: str) -> np.ndarray:
        """Return the ids, int16 or int32, of a text without lone surrogates."""
        ids = _load(self.state).encode(text, add_special_tokens=False).ids
        return np.array(ids, dtype=self._dtype) + self._dtype.type(self.n_specials)

    def decode(self, ids: Iterable[int], unknown: str = "\ufffd") -> str:
        """Return the text of ids, without special ids except 1, the unknown token."""
        first = self.n_specials
        tokens = (
            self._tokens[i - first] if i >= first else unknown.encode()
            for i in ids
            if i >= first or i == 1
        )
        return b"".join(tokens).decode(errors="replace")


def _readable(token):
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02x}>" for byte in token)


def check_encodable(texts: Iterable[str], name: str = "X") -> None:
    """Check that texts have bytes, thus no half of a surrogate pair."""
    for i, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidSequenceError(
                f"{name}[{i}] holds {text[error.start]!r} at position {error.start}: "
                "half of a surrogate pair, which has no encoding in UTF-8. Replace "
                "it, say with text.encode('utf-16', 'surrogatepass').decode('utf-16', "
                "'replace')."
            ) from error


def import_tokenizers() -> ModuleType:
    """Import tokenizers, or raise an error that says how to install it."""
    try:
        import tokenizers
    except ImportError as error:
        estimator_name = "SequenceTokenizer(level='subword')"
        raise missing_package(estimator_name, "tokenizers", "text") from error
    return tokenizers


# Cached, as parsing the JSON is slow; the library's object is not pickled.
@lru_cache(maxsize=4)
def _load(state):
    return import_tokenizers().Tokenizer.from_str(state)


@contextmanager
def _one_thread():
    """Keep the library from starting threads, which a later fork could deadlock on."""
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
