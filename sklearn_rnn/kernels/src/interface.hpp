// The C interface: plain structs, mirrored field by field in _interface.py. Arrays are
// C-contiguous unless their strides are given; "elements" are of the network's dtype.
#pragma once
#include <cstdint>

extern "C" {

// One layer in one direction. Sequences are sorted by length, the longest first.
struct Recurrence {
  int32_t itemsize;  // 4: float32, 8: float64
  int32_t cell;      // Cell
  int32_t n_steps, n_rows, n_inputs, n_units, padded, reverse, n_threads;
  int32_t inference;      // 1: gates is memory of one step for each row
  const int32_t *active;  // (T,) sequences that have not ended, by step; null: all
  const void *x;          // (T, N, n_inputs)
  const void *w_ih, *w_hh, *b_ih, *b_hh;
  void *h, *c;  // (T + 1, N, padded); the first states are given
  void *gates;  // (T, N, kept gates * padded)
  // Backward: gradients with respect to ...
  const void *grad_h;     // states after each step (T, N, padded), or null
  void *carry, *carry_c;  // last states (N, padded); becomes that of the first
  void *grad_x;           // inputs (T, N, padded inputs), or null
  void *grad_w_ih, *grad_w_hh, *grad_b_ih, *grad_b_hh;  // added to
};

// The description of a network that is computed as a whole.
struct Network {
  int32_t itemsize, cell, n_layers, n_directions, n_units;
  int32_t n_features, subsampling;
  int32_t n_tokens, embedding_dim, unknown_token;  // n_tokens < 0: no embedding
  // By feature, or null: rows of the embedding of its codes, 0 for a number; and how
  // many inputs of the first layer it becomes, 1 for a number.
  const int32_t *n_codes, *feature_sizes;
  int32_t layer_norm, residual;
  int32_t pooling;  // Pooling
  int32_t n_outputs;
  int32_t loss;                    // Loss
  int32_t n_per_target;            // outputs: quantiles, or parameters
  int32_t targets_may_be_missing;  // targets may be missing: code -1, or NaN
  int32_t train_embedding;
  // Dropout: probabilities, and the sites of the counter-based generator.
  int32_t token_site, input_site, layer_site, weight_site, head_site;
  double token_dropout, input_dropout, dropout, weight_drop, label_smoothing;
  const double *token_counts;  // by id: the rarer, the more often hidden; null: alike
  const double *center, *factor;  // inputs enter as (x - center) * factor
  const void *levels, *class_weights, *target_weights;
  // By layer and direction w_ih, w_hh, b_ih, b_hh; by layer the norm's weight and bias
  // (if any); the head's weight and bias; the embedding (if any), or that of
  // each feature with codes, of which several may be one.
  void *const *weights, *const *gradients;
};

// Where sequences and targets lie.
struct Data {
  const void *values;
  int32_t values_type;    // ValuesType
  int32_t n_differenced;  // features that are read relative to the last step
  const int32_t *differenced;  // by feature its number among those, from 1; or 0
  const double *units;         // by sequence and those: what divides them; or null
  const double *center, *factor;  // of the sequences, before the network's; or null
  int64_t step_stride;            // elements between two steps of a sequence
  const int64_t *starts;          // element at which each sequence begins
  const int64_t *lengths;         // its steps
  const void *targets;            // elements, or int64 codes
  const int64_t *target_starts;   // row of the first target of each sequence
  const void *sample_weights;     // elements, or null
};

struct Segment {                               // weights that the optimizer treats alike
  void *weights, *gradients, *first, *second;  // first: mean or momentum
  int64_t size;
  int64_t row_size;  // 0; else only rows that a batch reads are touched (embedding)
  double weight_decay;
};

struct Optimizer {
  int32_t itemsize;
  int32_t kind;  // OptimizerKind
  int32_t n_segments;
  const Segment *segments;
  int64_t n_updates;  // so far
  double beta_1, beta_2, epsilon, momentum;
  int32_t nesterov, decoupled;
  double max_norm, max_value;  // infinity: no bound
  double learning_rate;        // of `update`
  // Results of `clip`.
  double norm;
  int32_t clipped;
};

struct Training {
  const Network *network;
  const Data *data;
  Optimizer *optimizer;
  const int64_t *order;          // sequences, batch after batch
  const int64_t *batch_ends;     // in `order`
  int64_t n_batches, begin;      // begin: batches that are done already
  const double *learning_rates;  // by batch
  uint64_t seed, update;         // of dropout; `update` is that of the first batch
  double n_usual;                // targets per update, 0: each batch by itself
  double max_seconds;            // return after the batch that exceeds them
  int32_t n_threads;
  // Results by batch; `begin` moves on. Training stops at a loss that is not finite.
  double *losses, *norms;
  int64_t *n_targets;
  uint8_t *clipped;
};

// The gradient of one batch, or with `outputs` alone its prediction.
struct Batch {
  const Network *network;
  const Data *data;
  const int64_t *rows;  // sequences of the batch
  int64_t n_rows;
  int32_t training;  // 0: outputs alone, no dropout
  int32_t n_threads;
  uint64_t seed, update;
  uint64_t first_row, row_step;  // in training, of dropout masks; the usual step is 1
  double n_usual;
  void *outputs;                 // (n_rows or n steps, n_outputs), or null
  const int64_t *output_starts;  // row of each sequence's first output
  uint8_t *is_read;              // by row of a trained embedding, set to 1; or null
  // Results.
  double loss;
  int64_t n_targets;
};

}  // extern "C"

struct Kernels {
  const char *name;
  int32_t vector_bytes;
  void (*recurrence_forward)(const Recurrence *);
  void (*recurrence_backward)(const Recurrence *);
  void (*run_batch)(Batch *);
  void (*train)(Training *);
  void (*clip)(Optimizer *);
  void (*update)(Optimizer *);
};
