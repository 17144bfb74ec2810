// Vectors of one instruction set, by the compiler's vector extensions.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define SET_avx512 1
#define SET_avx2 2
#define SET_neon 3
#define SET_baseline 4
#define SET_ID CONCAT(SET_, INSTRUCTION_SET)

// Bytes per vector, and rows of a register tile: 2 * MR sums, two vectors of B and one
// element of A have to fit the registers (32 of AVX-512 and NEON, 16 of the others).
#if SET_ID == SET_avx512
constexpr int VECTOR_BYTES = 64, MR = 12;
#elif SET_ID == SET_avx2
constexpr int VECTOR_BYTES = 32, MR = 6;
#elif SET_ID == SET_neon
constexpr int VECTOR_BYTES = 16, MR = 12;
#else
constexpr int VECTOR_BYTES = 16, MR = 6;
#endif

// Every instruction set has its own copy of all functions below.
namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

template <class T> struct VectorOf;
template <> struct VectorOf<float> {
  typedef float type __attribute__((vector_size(VECTOR_BYTES)));
  typedef int32_t integers __attribute__((vector_size(VECTOR_BYTES)));
};
template <> struct VectorOf<double> {
  typedef double type __attribute__((vector_size(VECTOR_BYTES)));
  typedef int64_t integers __attribute__((vector_size(VECTOR_BYTES)));
};
template <class T> using Vector = typename VectorOf<T>::type;
template <class T> constexpr int LANES = VECTOR_BYTES / sizeof(T);

template <class T> inline int round_up(int size) {
  return (size + LANES<T> - 1) / LANES<T> * LANES<T>;
}

template <class T> inline Vector<T> load(const T *from) {
  Vector<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T> inline void store(T *to, Vector<T> v) { std::memcpy(to, &v, sizeof v); }

// Both bounds let NaN through: a comparison with it is false.
template <class T> inline Vector<T> clamp(Vector<T> x, T low, T high) {
  const Vector<T> zero = {}, lows = low - zero, highs = high - zero;
  x = x > highs ? highs : x;
  return x < lows ? lows : x;
}

// Return 2^k and r with exp(x) = 2^k exp(r), |r| <= log(2) / 2, for |x| < 700 (87).
template <class T> inline Vector<T> split_exponent(Vector<T> x, Vector<T> &r) {
  constexpr bool is_float = sizeof(T) == 4;
  // Adding and subtracting 1.5 * 2^mantissa rounds to an integer, as long as compilers
  // may not reorder sums (no -fassociative-math). log(2) is split into two parts, of which
  // the first has few bits, so that k * high is exact (Cody and Waite).
  constexpr T magic = is_float ? T(12582912.0) : T(6755399441055744.0);
  constexpr T high = is_float ? T(0.693145752) : T(0.69314718036912382);
  constexpr T low = is_float ? T(1.42860677e-6) : T(1.9082149292705877e-10);
  Vector<T> k = (x * T(1.4426950408889634) + magic) - magic;
  r = (x - k * high) - k * low;
  typedef typename VectorOf<T>::integers Integers;
  Integers exponent = __builtin_convertvector(k, Integers) + (is_float ? 127 : 1023);
  exponent <<= is_float ? 23 : 52;
  Vector<T> power;
  std::memcpy(&power, &exponent, sizeof power);
  return power;
}

// Return exp(r) - 1 for |r| <= log(2) / 2, by the Taylor series; what is left out is
// below 3e-8 (float) and 1e-17 (double) of r.
template <class T> inline Vector<T> expm1_near_zero(Vector<T> r) {
  constexpr int degree = sizeof(T) == 4 ? 7 : 14;
  double factorial = 1;
  for (int k = 2; k <= degree; k++) factorial *= k;
  Vector<T> sum = T(1 / factorial) - Vector<T>{};
  for (int k = degree; k > 1; k--) {
    factorial /= k;
    sum = sum * r + T(1 / factorial);
  }
  return sum * r;
}

template <class T> inline Vector<T> exp(Vector<T> x) {
  constexpr T most = sizeof(T) == 4 ? T(87) : T(700);
  Vector<T> r, power = split_exponent<T>(clamp<T>(x, -most, most), r);
  return power + power * expm1_near_zero<T>(r);
}

// float: a rational minimax fit on [-8, 8], within 3.5e-7, and never beyond 1, on which
// derivatives 1 - tanh^2 rely. double: by exp(2x) - 1, to the last bits.
inline Vector<float> tanh(Vector<float> x) {
  x = clamp<float>(x, -8.0f, 8.0f);
  const Vector<float> s = x * x;
  Vector<float> p = s * 1.523047196446301e-08f + 2.1894700248530067e-05f;
  p = ((p * s + 0.003571600331768685f) * s + 0.13444499919864114f) * s;
  Vector<float> q = s * 8.522468539386351e-07f + 0.00034112958020661807f;
  q = ((q * s + 0.02616445170437697f) * s + 0.4677782724033115f) * s + 1.0f;
  return x * (p + 0.9999999935733618f) / q;
}

inline Vector<double> tanh(Vector<double> x) {
  Vector<double> r, power = split_exponent<double>(clamp<double>(2.0 * x, -40, 40), r);
  const Vector<double> m = power * expm1_near_zero<double>(r) + (power - 1.0);
  return m / (m + 2.0);
}

template <class T> inline Vector<T> sigmoid(Vector<T> x) {
  return tanh(x * T(0.5)) * T(0.5) + T(0.5);
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
