"""Loaders of sound: recorded drum hits and spoken words, as waveforms."""

import string
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from sklearn_rnn.datasets._files import data_file

DRUMS_RATE, WORDS_RATE = 16_000, 8_000
# The words of the radio alphabet, in the order of their letters.
RADIO_WORDS = """
alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike
november oscar papa quebec romeo sierra tango uniform victor whiskey x-ray yankee
zulu
""".split()
# What is said, by the name of the recording, kind by kind.
SPOKEN = {
    "digits": {f"digits/{digit}": digit for digit in string.digits},
    "letters": {f"letters/{letter}": letter for letter in string.ascii_lowercase},
    "phonetic": {
        "phonetic/9_p": "niner",
        **{f"phonetic/{word[0]}_p": word for word in RADIO_WORDS},
    },
}

DRUMS_DESCRIPTION = """\
Drum hits
=========
Single hits on drums and cymbals, recorded for the drum machine Hydrogen: waveforms of
one channel, 16,000 samples per second, int16. At most the first half second of each hit
is kept, and all have one loudness: a largest sample of 32,000 in size. The task is to
recognise the instrument from the sound.

128 hits: 27 of hi-hats, 35 of cymbals, 26 of snare drums, 22 of toms and 18 of kick
drums. They come from four kits, 86 hits from the largest; one kit has cymbals and kick
drums only. Hits of one kit resemble each other, so that a fair test leaves a kit out
(`kit` as groups).

From the Debian package hydrogen-drumkits. Kits Audiophob (CC0), BJA_Pacific and
circAfrique v4 (CC BY-SA 3.0), rumpf_kit_z01_h2 (CC BY 3.0).
"""

WORDS_DESCRIPTION = """\
Spoken words
============
Words and names of characters said by one English speaker, recorded for the telephone
system Asterisk: waveforms of one channel, 8,000 samples per second, int16, of 0.6 to
1.6 seconds. The task is to recognise the word from the sound, or the words in several
of them one after another.

182 recordings, among them the ten digits, the 26 letters, and the radio alphabet
("alpha", "bravo", ...) with "niner". Each was said once: make more examples of a word
by changes of speed and loudness, and by noise.

From the Debian package asterisk-core-sounds-en-wav 1.6.1, CC BY-SA 3.0.
"""


def load_drum_hits(*, return_X_y: bool = False) -> Any:
    """Load recorded hits on drums and cymbals: waveforms with the instrument.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.

    Returns
    -------
    drums : Bunch
        A dictionary with attributes:

        data : list of ndarray of shape (n_samples,), int16
            One waveform per hit, 128 in all, of 274 to 8,000 samples (0.02 to
            0.5 seconds).
        target : ndarray of shape (128,), str
            The instrument: "cymbal", "hihat", "kick", "snare" or "tom".
        kit : ndarray of shape (128,), str
            Which of four drum kits the hit comes from: groups for
            ``LeaveOneGroupOut`` or ``GroupKFold``.
        sample_rate : int
            16,000 samples per second (Hz).
        target_names : list of str
            The classes, sorted.
        DESCR : str
            A description of the data, with their source.
    (data, target) : tuple
        If `return_X_y` is True.

    Notes
    -----
    From the Debian package hydrogen-drumkits: the kits Audiophob (CC0),
    BJA_Pacific and circAfrique v4 (CC BY-SA 3.0) and rumpf_kit_z01_h2 (CC BY
    3.0); mono, at 16 kHz, cut, and each brought to a largest sample of 32,000.
    Hits of one kit resemble each other: a fair test is on kits that the model was
    not trained on.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_drum_hits
    >>> drums = load_drum_hits()
    >>> len(drums.data), drums.data[0].shape, drums.data[0].dtype
    (128, (6207,), dtype('int16'))
    >>> print(drums.target[0], "of", drums.kit[0])
    kick of Audiophob
    >>> len(drums.data[0]) / drums.sample_rate  # seconds
    0.3879375
    """
    data, about = _load_clips("drum_hits.npz")
    target = about["labels"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        kit=about["kits"],
        sample_rate=DRUMS_RATE,
        target_names=sorted(set(target.tolist())),
        DESCR=DRUMS_DESCRIPTION,
    )


def load_spoken_words(
    *,
    kind: Literal["digits", "letters", "phonetic"] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load words said by one English speaker: waveforms with what is said.

    Parameters
    ----------
    kind : {"digits", "letters", "phonetic"}, default=None
        The digits "0" to "9"; the letters "a" to "z" (the recording "zed" is no
        part of them); or "niner" and the radio alphabet, "alpha" to "zulu".
        None gives all 182 recordings, among them numbers, days, months and
        punctuation.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.

    Returns
    -------
    words : Bunch
        A dictionary with attributes:

        data : list of ndarray of shape (n_samples,), int16
            One waveform per word, of 0.6 to 1.6 seconds.
        target : ndarray of shape (n_words,), str
            What is said, such as "7", "k" or "kilo"; with ``kind=None`` the
            name of the recording, as in `name`.
        name : ndarray of shape (n_words,), str
            Name of the recording, such as "digits/7", "letters/k" or
            "phonetic/k_p".
        sample_rate : int
            8,000 samples per second (Hz).
        DESCR : str
            A description of the data, with their source.
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `kind` is another value.

    Notes
    -----
    From the Debian package asterisk-core-sounds-en-wav 1.6.1 (CC BY-SA 3.0).
    Each word was said once, by one speaker: a model trained on these knows no
    other voice.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_spoken_words
    >>> words = load_spoken_words(kind="digits")
    >>> len(words.data), words.data[7].shape, words.target[7]
    (10, (6561,), np.str_('7'))

    All recordings have their names:

    >>> words = load_spoken_words()
    >>> print(len(words.data), *words.target[[0, 30, 181]])
    182 digits/0 digits/billion phonetic/z_p
    """
    if kind is not None and kind not in SPOKEN:
        raise ValueError(
            f"kind must be one of {', '.join(SPOKEN)}, or None for all of them, got "
            f"{kind!r}."
        )
    data, about = _load_clips("spoken_words.npz")
    name = target = about["names"]
    if kind is not None:
        said = SPOKEN[kind]
        chosen = np.array([name.tolist().index(recording) for recording in said])
        data, name = [data[i] for i in chosen], name[chosen]
        target = np.array(list(said.values()))
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        name=name,
        sample_rate=WORDS_RATE,
        DESCR=WORDS_DESCRIPTION,
    )


def _load_clips(file_name):
    """Return the waveforms of a file, and its other arrays by name."""
    with data_file(file_name).open("rb") as file, np.load(file) as stored:
        about = dict(stored)
    # The file holds differences of neighbouring samples, in two bytes that compress
    # better apart. Sums wrap round in int16, as the differences did.
    steps = 256 * about.pop("high").astype(np.int16) + about.pop("low")
    samples = np.cumsum(steps, dtype=np.int16)
    ends = np.cumsum(about.pop("lengths"))
    # Copies, so that no clip keeps all of them in memory.
    return [clip.copy() for clip in np.split(samples, ends[:-1])], about
