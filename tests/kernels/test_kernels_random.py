"""Counter-based dropout masks against their definition in Python's integers."""

import copy
import pickle
import threading

import numpy as np
import pytest

from sklearn_rnn.kernels import CounterGenerator

BITS_64 = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z &= BITS_64
    z ^= z >> 30
    z = (z * 0xBF58476D1CE4E5B9) & BITS_64
    z ^= z >> 27
    z = (z * 0x94D049BB133111EB) & BITS_64
    return z ^ (z >> 31)


def expected_mask(seed, update, site, n, p):
    stream = mix(mix(seed + GOLDEN * (update + 1)) + GOLDEN * (site + 1))
    bits = [mix(stream + GOLDEN * (i + 1)) >> 40 for i in range(n)]
    return [b < int(p * 2**24 + 0.5) for b in bits]


def generator_at(update, seed=0):
    generator = CounterGenerator(seed)
    for _ in range(update):
        generator.update += 1
    return generator


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**64 - 1])
@pytest.mark.parametrize(("update", "site", "p"), [(0, 0, 0.5), (3, 7, 0.1)])
def test_masks_follow_the_definition(seed, update, site, p):
    mask = generator_at(update, seed).draw_mask((7, 3), site, p)
    assert mask.shape == (7, 3)
    assert mask.ravel().tolist() == expected_mask(seed, update, site, 21, p)


def test_long_masks_follow_the_definition():
    """They are computed block by block."""
    mask = generator_at(2, 5).draw_mask((20_001,), 1, 0.3)
    assert mask.tolist() == expected_mask(5, 2, 1, 20_001, 0.3)


def test_a_known_value_of_splitmix64():
    """The first outputs of SplitMix64 from state 0, as its authors publish them."""
    assert mix(GOLDEN) == 0xE220A8397B1DCDAF
    assert mix(2 * GOLDEN) == 0x6E789E6AA1B965F4


def test_the_second_mask_of_an_update_is_that_of_a_site_far_away():
    generator = generator_at(4)
    first, second = (generator.draw_mask((64,), 2, 0.5) for _ in range(2))
    assert first.tolist() == expected_mask(0, 4, 2, 64, 0.5)
    assert second.tolist() == expected_mask(0, 4, 2 + 2**32, 64, 0.5)
    generator.update += 1
    third = generator.draw_mask((64,), 2, 0.5)
    assert third.tolist() == expected_mask(0, 5, 2, 64, 0.5)


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.9])
def test_the_dropped_fraction_is_p(p):
    n = 400_000
    fraction = CounterGenerator(1).draw_mask((n,), 0, p).mean()
    assert abs(fraction - p) < 5 * (p * (1 - p) / n) ** 0.5


def test_nothing_is_dropped_at_0_and_all_at_1():
    assert not CounterGenerator(0).draw_mask((9999,), 0, 0.0).any()
    assert CounterGenerator(0).draw_mask((9999,), 0, 1.0).all()
    assert CounterGenerator(0).draw_mask((0, 3), 0, 0.5).shape == (0, 3)


def test_elements_may_have_probabilities_of_their_own():
    p = np.linspace(0, 1, 20_001)
    mask = CounterGenerator(0).draw_mask(p.shape, 0, p)
    for value in (0.25, 0.5, 0.75):
        at = slice(int(20_000 * value), int(20_000 * value) + 1)
        same = CounterGenerator(0).draw_mask(p.shape, 0, value)
        assert (mask[at] == same[at]).all()
    assert (mask.reshape(3, -1).mean(axis=1).round(1) == [0.2, 0.5, 0.8]).all()


def test_masks_of_seeds_updates_sites_rows_and_columns_are_independent():
    """Any two agree on half of their elements, as fair coins do."""
    shape = (100, 100)
    masks = [
        generator_at(update, seed).draw_mask(shape, site, 0.5).ravel()
        for seed in (0, 1)
        for update in (0, 1, 2)
        for site in (0, 1, 2)
    ]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert abs((one == other).mean() - 0.5) < 5 * 0.5 / one.size**0.5
    one = masks[0].reshape(shape)
    for lag in (1, 2, 7):
        for shifted in (one[lag:] == one[:-lag], one[:, lag:] == one[:, :-lag]):
            assert abs(shifted.mean() - 0.5) < 5 * 0.5 / shifted.size**0.5
    assert abs(one.mean(axis=0) - 0.5).max() < 5 * 0.5 / len(one) ** 0.5
    assert abs(one.mean(axis=1) - 0.5).max() < 5 * 0.5 / len(one) ** 0.5


def test_a_mask_of_more_rows_begins_with_the_same_rows():
    short, long = (CounterGenerator(3).draw_mask((n, 37), 0, 0.5) for n in (500, 900))
    np.testing.assert_array_equal(short, long[:500])


def test_the_order_of_sites_does_not_matter():
    one, other = CounterGenerator(3), CounterGenerator(3)
    first = [one.draw_mask((50,), site, 0.5) for site in (0, 1)]
    second = [other.draw_mask((50,), site, 0.5) for site in (1, 0)]
    np.testing.assert_array_equal(first, second[::-1])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_copies_draw_the_same_masks(duplicate):
    generator = generator_at(2, 9)
    generator.draw_mask((4,), 0, 0.5)
    other = duplicate(generator)
    for _ in range(2):
        np.testing.assert_array_equal(
            generator.draw_mask((99,), 0, 0.5), other.draw_mask((99,), 0, 0.5)
        )


def test_masks_of_several_threads_are_those_of_one():
    found = {}

    def draw(seed):
        found[seed] = CounterGenerator(seed).draw_mask((300, 300), 0, 0.5)

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, mask in found.items():
        expected = CounterGenerator(seed).draw_mask((300, 300), 0, 0.5)
        np.testing.assert_array_equal(mask, expected)
