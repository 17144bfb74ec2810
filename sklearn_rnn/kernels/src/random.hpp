// Dropout masks from a counter-based generator, the same as in kernels/_random.py: what is
// dropped depends on seed, update, site and position alone.
#pragma once
#include <cstdint>

namespace {

inline uint64_t mix(uint64_t z) {  // the finalizer of SplitMix64
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// p is rounded to a multiple of 2^-24.
struct Mask {
  static constexpr uint64_t GOLDEN = 0x9E3779B97F4A7C15u;
  uint64_t stream, threshold;

  Mask(uint64_t seed, uint64_t update, int site, double p)
      : stream(mix(mix(seed + GOLDEN * (update + 1)) + GOLDEN * ((uint64_t)site + 1))),
        threshold(round(p)) {}

  bool drops(uint64_t i) const { return is_below(i, threshold); }

  // With another probability than that of the others.
  bool drops(uint64_t i, double p) const { return is_below(i, round(p)); }

 private:
  static uint64_t round(double p) { return (uint64_t)(p * 16777216.0 + 0.5); }

  bool is_below(uint64_t i, uint64_t bound) const {
    return (mix(stream + GOLDEN * (i + 1)) >> 40) < bound;
  }
};

}  // namespace
