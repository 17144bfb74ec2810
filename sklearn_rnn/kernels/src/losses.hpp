// Losses of one row of outputs, and their gradients.
#pragma once
#include "interface.hpp"
#include "simd.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

enum Loss { SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, LOG_LOSS, BERNOULLI };

inline bool has_codes(int loss) { return loss >= LOG_LOSS; }

// Elements of a row of targets.
inline int targets_of(const Network &net) {
  return net.loss == LOG_LOSS   ? 1
         : net.loss == QUANTILE ? net.n_outputs / net.n_levels
                                : net.n_outputs;
}

// Targets of a row that are not missing, as the mean over targets counts them.
template <class T> int count_targets(const Network &net, const void *targets, int64_t row) {
  const int n = targets_of(net);
  if (net.loss == LOG_LOSS || net.loss == BERNOULLI)
    return !net.targets_may_be_missing || ((const int64_t *)targets)[row * n] >= 0;
  if (!net.targets_may_be_missing) return n;
  int found = 0;
  for (int k = 0; k < n; k++) found += !std::isnan(((const T *)targets)[row * n + k]);
  return found;
}

// The loss of an error (output minus target), and its derivative.
template <class T>
inline T error_loss(const Network &net, T error, int level, T *derivative) {
  const T size = std::abs(error), sign = T((error > 0) - (error < 0));
  switch (net.loss) {
    case SQUARED_ERROR: *derivative = 2 * error; return error * error;
    case ABSOLUTE_ERROR: *derivative = sign; return size;
    case HUBER:
      *derivative = size <= 1 ? error : sign;
      return size <= 1 ? error * error / 2 : size - T(0.5);
    default: {  // the pinball loss
      const T q = ((const T *)net.levels)[level];
      *derivative = (sign * T(0.5) + T(0.5) - q) / net.n_levels;
      return (error > 0 ? (1 - q) * error : -q * error) / net.n_levels;
    }
  }
}

// Replace a row of outputs (padded to whole vectors) by the gradient of its loss, times
// `scale` and the row's weight; return the weighted loss.
template <class T> double row_loss(const Network &net, T *out, int padded,
                                   const void *targets, int64_t row, double weight,
                                   double scale) {
  const int n = net.n_outputs, n_targets = targets_of(net);
  double total = 0;
  if (!has_codes(net.loss)) {
    const T *target = (const T *)targets + row * n_targets;
    const int n_levels = net.loss == QUANTILE ? net.n_levels : 1;
    for (int k = 0; k < n; k++) {
      const T target_value = target[k / n_levels];
      T derivative = 0;
      if (!(net.targets_may_be_missing && std::isnan(target_value)))
        total += weight * error_loss(net, out[k] - target_value, k % n_levels, &derivative);
      out[k] = T(scale * weight) * derivative;
    }
    return total;
  }
  const int64_t *code = (const int64_t *)targets + row * n_targets;
  if (net.targets_may_be_missing && *code < 0) {
    std::fill_n(out, padded, T(0));
    return 0;
  }
  if (net.loss == BERNOULLI) {
    for (int k = 0; k < n; k++) {
      const double x = out[k], target_value = (double)code[k],
                   tail = std::exp(-std::abs(x));
      total += std::max(x, 0.0) - x * target_value + std::log1p(tail);
      const double p = x < 0 ? tail / (1 + tail) : 1 / (1 + tail);
      out[k] = T(scale * weight * (p - target_value));
    }
    return weight * total;
  }
  if (net.class_weights) weight *= ((const T *)net.class_weights)[*code];
  T largest = out[0];
  double mean = 0;
  for (int k = 0; k < n; k++) {
    if (out[k] > largest || out[k] != out[k]) largest = out[k];  // NaN stays
    mean += out[k] / (double)n;
  }
  const double of_target = out[*code], smoothing = net.label_smoothing;
  for (int k = 0; k < padded; k += LANES<T>)
    store(out + k, exp<T>(load(out + k) - largest));
  double sum = 0;
  for (int k = 0; k < n; k++) sum += out[k];
  for (int k = 0; k < n; k++) out[k] = T(scale * weight * (out[k] / sum - smoothing / n));
  out[*code] -= T(scale * weight * (1 - smoothing));
  std::fill_n(out + n, padded - n, T(0));
  const double normalizer = std::log(sum) + largest;
  return weight * (normalizer - (1 - smoothing) * of_target - smoothing * mean);
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
