// Losses of one row of outputs, and their gradients.
#pragma once
#include "interface.hpp"
#include "simd.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

enum Loss {
  SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, LOG_LOSS, BERNOULLI,
  GAUSSIAN, STUDENT_T, POISSON, NEGATIVE_BINOMIAL
};
// As in training/_likelihoods.py.
constexpr double SMALLEST_SCALE = 1e-3, SMALLEST_DISPERSION = 1e-6;
constexpr double LARGEST_TAIL = 0.5, SMALLEST_TAIL = 1e-3, LARGEST_LOG_MEAN = 40;
constexpr int MAX_PARAMETERS = 3;

inline bool has_codes(int loss) { return loss == LOG_LOSS || loss == BERNOULLI; }

// Elements of a row of targets.
inline int targets_of(const Network &net) {
  return net.loss == LOG_LOSS ? 1 : net.n_outputs / net.n_per_target;
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
      *derivative = (sign * T(0.5) + T(0.5) - q) / net.n_per_target;
      return (error > 0 ? (1 - q) * error : -q * error) / net.n_per_target;
    }
  }
}

// The logarithm of the gamma function at x > 0, and its derivative: Stirling's series,
// from 10 on to rounding. std::lgamma writes a global variable.
inline double log_gamma(double x, double *digamma) {
  double product = 1, shift = 0;
  for (; x < 10; x++) {
    product *= x;
    shift -= 1 / x;
  }
  const double q = 1 / (x * x), log_x = std::log(x);
  *digamma = shift + log_x - 0.5 / x -
             q * (1. / 12 - q * (1. / 120 - q * (1. / 252 - q * (1. / 240 - q / 132))));
  return (x - 0.5) * log_x - x + 0.91893853320467274178 - std::log(product) +
         (1. / 12 - q * (1. / 360 - q * (1. / 1260 - q * (1. / 1680 - q / 1188)))) / x;
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

// The negative log-likelihood of a count, and its gradient by the outputs.
inline double count_nll(int loss, const double *out, double y, double *gradient) {
  double unused, digamma_r, digamma_sum;
  const double log_mean = std::clamp(out[0], -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN);
  const double mean = std::exp(log_mean), constant = log_gamma(y + 1, &unused);
  const bool is_clipped = log_mean != out[0];
  if (loss == POISSON) {
    gradient[0] = is_clipped ? 0 : mean - y;
    return mean - y * log_mean + constant;
  }
  const double dispersion = softplus(out[1]) + SMALLEST_DISPERSION, r = 1 / dispersion;
  const double log_odds = std::log1p(mean * dispersion);  // of total to r
  const double gammas = log_gamma(y + r, &digamma_sum) - log_gamma(r, &digamma_r);
  const double by_r = digamma_sum - digamma_r - log_odds + (mean - y) / (r + mean);
  gradient[0] = is_clipped ? 0 : (mean - y) / (1 + mean * dispersion);
  gradient[1] = by_r * r * r * sigmoid(out[1]);
  return (r + y) * log_odds - y * (log_mean + std::log(dispersion)) - gammas + constant;
}

// The negative log-likelihood of a target, and its gradient by the outputs.
inline double target_nll(int loss, const double *out, double y, double *gradient) {
  if (loss == POISSON || loss == NEGATIVE_BINOMIAL)
    return count_nll(loss, out, y, gradient);
  const double scale = softplus(out[1]) + SMALLEST_SCALE, z = (y - out[0]) / scale;
  if (loss == GAUSSIAN) {
    gradient[0] = -z / scale;
    gradient[1] = (1 - z * z) / scale * sigmoid(out[1]);
    return z * z / 2 + std::log(scale) + 0.91893853320467274178;
  }
  double digamma_upper, digamma_lower;
  const double s = sigmoid(out[2]), range = LARGEST_TAIL - SMALLEST_TAIL;
  const double v = 1 / (SMALLEST_TAIL + range * s);  // degrees of freedom
  const double by_z = (v + 1) * z / (v + z * z), log_term = std::log1p(z * z / v);
  const double gammas =
      log_gamma((v + 1) / 2, &digamma_upper) - log_gamma(v / 2, &digamma_lower);
  const double by_v =
      (digamma_lower - digamma_upper + 1 / v + log_term - by_z * z / v) / 2;
  gradient[0] = -by_z / scale;
  gradient[1] = (1 - z * by_z) / scale * sigmoid(out[1]);
  gradient[2] = -by_v * v * v * range * s * (1 - s);
  return (v + 1) / 2 * log_term + std::log(scale) - gammas +
         (std::log(v) + 1.14472988584940017414) / 2;  // the logarithm of pi
}

// Replace the outputs for one target by the gradient of its loss, times `scale`; return
// the loss.
template <class T>
double target_loss(const Network &net, T *out, T target, double scale) {
  const int n = net.n_per_target;
  if (net.targets_may_be_missing && std::isnan(target)) {
    std::fill_n(out, n, T(0));
    return 0;
  }
  double total = 0;
  if (net.loss < GAUSSIAN) {
    for (int k = 0; k < n; k++) {
      T derivative = 0;
      total += error_loss(net, out[k] - target, k, &derivative);
      out[k] = T(scale) * derivative;
    }
    return total;
  }
  double outputs[MAX_PARAMETERS], gradient[MAX_PARAMETERS];
  for (int k = 0; k < n; k++) outputs[k] = out[k];
  total = target_nll(net.loss, outputs, target, gradient);
  for (int k = 0; k < n; k++) out[k] = T(scale * gradient[k]);
  return total;
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
    for (int j = 0; j < n_targets; j++) {
      const double own =
          net.target_weights ? weight * ((const T *)net.target_weights)[j] : weight;
      T *const outputs = out + j * net.n_per_target;
      total += own * target_loss(net, outputs, target[j], scale * own);
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
