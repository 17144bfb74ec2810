// Clipping of the gradient, and the optimizers' updates, as torch.optim defines them.
#pragma once
#include <vector>
#include "interface.hpp"
#include "simd.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

enum OptimizerKind { ADAM = 0, SGD = 1 };

// Rows of row-wise segments that the batch has read, each once.
typedef std::vector<int64_t> Rows;

// Call run(offset, size) for each run of elements of a segment that has a gradient.
template <class Run>
inline void for_each_range(const Segment &segment, const Rows &rows, Run run) {
  if (segment.row_size == 0) return run(0, segment.size);
  for (int64_t row : rows) run(row * segment.row_size, segment.row_size);
}

template <class T> void clear_gradients(const Optimizer &o, const Rows &rows) {
  for (int i = 0; i < o.n_segments; i++)
    for_each_range(o.segments[i], rows, [&](int64_t at, int64_t n) {
      std::memset((T *)o.segments[i].gradients + at, 0, n * sizeof(T));
    });
}

template <class T> double squared_norm(const Optimizer &o, const Rows &rows) {
  double total = 0;
  for (int i = 0; i < o.n_segments; i++)
    for_each_range(o.segments[i], rows, [&](int64_t at, int64_t n) {
      const T *g = (const T *)o.segments[i].gradients + at;
      double sums[8] = {};  // several, so that additions need not wait for one another
      int64_t k = 0;
      for (; k + 8 <= n; k += 8)
        for (int l = 0; l < 8; l++) sums[l] += (double)g[k + l] * g[k + l];
      for (; k < n; k++) sums[0] += (double)g[k] * g[k];
      for (double sum : sums) total += sum;
    });
  return total;
}

// Bound the gradient by value, then by norm. Returns the norm before.
template <class T>
double clip_gradients(const Optimizer &o, const Rows &rows, uint8_t *clipped) {
  auto for_each = [&](auto transform) {
    for (int i = 0; i < o.n_segments; i++)
      for_each_range(o.segments[i], rows, [&](int64_t at, int64_t n) {
        T *g = (T *)o.segments[i].gradients + at;
        for (int64_t k = 0; k < n; k++) g[k] = transform(g[k]);
      });
  };
  const double before = std::sqrt(squared_norm<T>(o, rows));
  double norm = before;
  *clipped = 0;
  if (norm > o.max_value) {  // no element is larger than the norm
    const T bound = (T)o.max_value;
    bool is_bounded = false;
    for_each([&](T g) {
      const bool is_large = std::abs(g) > bound;
      is_bounded |= is_large;
      return is_large ? std::copysign(bound, g) : g;
    });
    *clipped = is_bounded;
    norm = std::sqrt(squared_norm<T>(o, rows));
  }
  if (norm > o.max_norm) {
    const T factor = (T)(o.max_norm / norm);
    for_each([&](T g) { return g * factor; });
    *clipped = 1;
  }
  return before;
}

// Rows of an embedding miss what momentum brings in updates that do not read them: their
// gradient has all of its effect at once, as if each update had had the same one.
template <class T> static void adam(const Optimizer &o, const Segment &segment, double rate,
                                    int64_t at, int64_t n) {
  T *w = (T *)segment.weights + at, *mean = (T *)segment.first + at;
  T *square = (T *)segment.second + at;
  const T *gradient = (const T *)segment.gradients + at;
  const double steps = (double)o.n_updates, decay = segment.weight_decay;
  const T one_minus_beta_1 = T(1 - o.beta_1), beta_2 = T(o.beta_2),
          one_minus_beta_2 = T(1 - o.beta_2);
  const double correction_1 = 1 - std::pow(o.beta_1, steps);
  const T step_size = T(rate / correction_1);
  const T correction = T(1 / std::sqrt(1 - std::pow(o.beta_2, steps)));
  const T epsilon = T(o.epsilon), l2_penalty = T(o.decoupled ? 0 : decay);
  const T bias_correction_1 = T(correction_1);
  const T decay_factor = T(o.decoupled ? rate * decay : 0);
  for (int64_t k = 0; k < n; k++) {
    const T g = gradient[k] + l2_penalty * w[k];
    mean[k] = segment.row_size ? bias_correction_1 * g
                               : mean[k] + one_minus_beta_1 * (g - mean[k]);
    square[k] = beta_2 * square[k] + one_minus_beta_2 * g * g;
    const T denominator = correction * std::sqrt(square[k]) + epsilon;
    w[k] -= decay_factor * w[k] + step_size * mean[k] / denominator;
  }
}

template <class T> static void sgd(const Optimizer &o, const Segment &segment, double rate,
                                   int64_t at, int64_t n) {
  T *w = (T *)segment.weights + at, *velocity = (T *)segment.first + at;
  const T *gradient = (const T *)segment.gradients + at;
  const T momentum = (T)o.momentum, l2_penalty = (T)segment.weight_decay,
          step_size = (T)rate;
  for (int64_t k = 0; k < n; k++) {
    T g = gradient[k] + l2_penalty * w[k];
    if (momentum != 0) {
      velocity[k] = segment.row_size ? g / (1 - momentum) : momentum * velocity[k] + g;
      g = o.nesterov ? g + momentum * velocity[k] : velocity[k];
    }
    w[k] -= step_size * g;
  }
}

template <class T> void update_weights(Optimizer &o, double rate, const Rows &rows) {
  o.n_updates++;
  for (int i = 0; i < o.n_segments; i++)
    for_each_range(o.segments[i], rows, [&](int64_t at, int64_t n) {
      if (o.kind == ADAM)
        adam<T>(o, o.segments[i], rate, at, n);
      else
        sgd<T>(o, o.segments[i], rate, at, n);
    });
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
