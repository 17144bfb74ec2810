// A whole network for a block of rows: inputs, layers, pooling, head and loss, and back.
#pragma once
#include <numeric>
#include "layer.hpp"
#include "losses.hpp"
#include "random.hpp"
#include "threads.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

enum Pooling { LAST, MEAN, MAX, PER_STEP };
constexpr double LAYER_NORM_EPSILON = 1e-5;

// Which of a batch's random numbers to draw; none outside of training.
struct Dropout {
  bool training;
  uint64_t seed, update;
  // Masks of sequences are those of rows first_row, first_row + row_step, ...
  uint64_t first_row = 0, row_step = 1;

  uint64_t mask_row(int64_t position) const { return first_row + row_step * position; }
};

// Inputs of the first layer per step.
inline int step_size(const Network &net) {
  if (net.n_tokens >= 0) return net.embedding_dim;
  if (!net.n_codes) return net.n_features;
  return std::accumulate(net.feature_sizes, net.feature_sizes + net.n_features, 0);
}

// A network's shape, and its weights packed for one batch.
template <class T> struct Packed {
  const Network &net;
  const int L, D, H, padded, P;  // P: units of all directions, padded
  const int E, n_inputs;         // features per step, before and after joining
  const bool embeds, per_step;   // embeds: tokens
  int n_embedded;                // codes per step
  Weights<T> head;
  std::vector<Weights<T>> layers;  // by layer and direction
  std::vector<const T *> norms;    // weight and bias by layer
  Arena arena;
  T *dropped = nullptr;  // recurrent weights of one layer, after weight drop

  explicit Packed(const Network &net)
      : net(net),
        L(net.n_layers),
        D(net.n_directions),
        H(net.n_units),
        padded(round_up<T>(H)),
        P(D * padded),
        E(step_size(net)),
        n_inputs(E * net.subsampling),
        embeds(net.n_tokens >= 0),
        per_step(net.pooling == PER_STEP),
        n_embedded(embeds ? 1 : 0) {
    for (int f = 0; net.n_codes && f < net.n_features; f++) n_embedded += net.n_codes[f] > 0;
    for (int l = 0; l < L; l++) {
      const int group = l ? H : n_inputs, padded_group = l ? padded : n_inputs;
      layers.insert(
          layers.end(), D,
          {net.cell, H, padded, group, padded_group, l ? P : n_inputs, 0, 0, 0, 0, 0});
      const int at = 4 * L * D + 2 * l;
      if (net.layer_norm)
        norms.insert(norms.end(),
                     {(const T *)net.weights[at], (const T *)net.weights[at + 1]});
    }
    head = {RNN, net.n_outputs, round_up<T>(net.n_outputs), H, padded, P, 0, 0, 0, 0, 0};
  }

  // Positions in the lists of weights and gradients.
  int head_at() const { return 4 * L * D + (net.layer_norm ? 2 * L : 0); }
  int embedding_at() const { return head_at() + 2; }
  bool needs_input_gradient(int layer) const {
    return layer > 0 || (embeds ? net.train_embedding != 0 : n_embedded > 0);
  }
  int64_t recurrent_size() const { return (int64_t)gates_of(net.cell) * H * H; }

  // Weight drop scales each recurrent weight by 0 or 1 / (1 - p).
  void drop(int i, const Dropout &dropout, const T *from, T *to, bool add) const {
    const Mask mask(dropout.seed, dropout.update, net.weight_site + i, net.weight_drop);
    const T scale = T(1 / (1 - net.weight_drop));
    for (int64_t k = 0; k < recurrent_size(); k++)
      to[k] = (add ? to[k] : T(0)) + (mask.drops(k) ? T(0) : from[k] * scale);
  }

  void pack(const Dropout &dropout) {
    const bool back = dropout.training, drops = back && net.weight_drop > 0;
    arena.arrange([&] {
      for (int i = 0; i < L * D + 1; i++) {
        Weights<T> &w = i < L * D ? layers[i] : head;
        const bool is_layer = i < L * D;
        w.inputs = arena.take<T>((int64_t)w.n_inputs * w.width());
        w.states = is_layer ? arena.take<T>((int64_t)H * w.width()) : nullptr;
        w.bias = arena.take<T>(w.row());
        w.states_transposed =
            back && is_layer ? arena.take<T>((int64_t)w.width() * padded) : nullptr;
        w.inputs_transposed =
            back && (!is_layer || needs_input_gradient(i / D))
                ? arena.take<T>((int64_t)w.width() * round_up<T>(w.n_inputs))
                : nullptr;
      }
      dropped = arena.take<T>(drops ? recurrent_size() : 0);
    });
    const T *const *w = (const T *const *)net.weights;
    for (int i = 0; i < L * D; i++) {
      const T *w_hh = w[4 * i + 1];
      if (drops) drop(i, dropout, w_hh, dropped, false), w_hh = dropped;
      layers[i].pack_from(w[4 * i], w_hh, w[4 * i + 2], w[4 * i + 3]);
    }
    head.pack_from(w[head_at()], nullptr, w[head_at() + 1], nullptr);
  }
};

// Sums of gradients over the blocks of one group, which one thread at a time adds to.
template <class T> struct GradientSums {
  std::vector<WeightSums<T>> layers;
  std::vector<T *> norms;
  WeightSums<T> head;
  T *dropped;
  Arena arena;

  void clear(const Packed<T> &p) {
    std::vector<std::pair<T *, int64_t>> parts;
    layers.resize(p.L * p.D);
    norms.resize(p.norms.size());
    arena.arrange([&] {
      parts.clear();
      auto take = [&](int64_t n) {
        parts.emplace_back(arena.take<T>(n), n);
        return parts.back().first;
      };
      for (size_t i = 0; i <= layers.size(); i++) {
        const bool is_layer = i < layers.size();
        const Weights<T> &w = is_layer ? p.layers[i] : p.head;
        WeightSums<T> &sums = is_layer ? layers[i] : head;
        sums = {take((int64_t)w.n_inputs * w.width()),
                is_layer ? take((int64_t)w.n_units * w.width()) : nullptr, take(w.row())};
      }
      for (T *&norm : norms) norm = take(p.P);
      dropped = arena.take<T>(p.net.weight_drop > 0 ? p.recurrent_size() : 0);
    });
    for (auto &part : parts) std::fill_n(part.first, part.second, T(0));
  }

  void add_to_gradients(const Packed<T> &p, const Dropout &dropout) {
    T *const *g = (T *const *)p.net.gradients;
    for (int i = 0; i < p.L * p.D; i++) {
      const bool drops = p.net.weight_drop > 0;
      T *w_hh = drops ? dropped : g[4 * i + 1];
      if (drops) std::fill_n(w_hh, p.recurrent_size(), T(0));
      layers[i].add_to(p.layers[i], g[4 * i], w_hh, g[4 * i + 2], g[4 * i + 3]);
      if (drops) p.drop(i, dropout, dropped, g[4 * i + 1], true);
    }
    for (size_t i = 0; i < norms.size(); i++)
      for (int k = 0; k < p.P; k++)
        if (k % p.padded < p.H)
          g[4 * p.L * p.D + i][k / p.padded * p.H + k % p.padded] += norms[i][k];
    head.add_to(p.head, g[p.head_at()], nullptr, g[p.head_at() + 1], nullptr);
  }
};

// Read element `at` of the steps, of whatever type they are.
enum ValuesType { FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32 };
inline double read_value(const Data &data, int64_t at) {
  auto read = [&](auto type) { return (double)((const decltype(type) *)data.values)[at]; };
  switch (data.values_type) {
    case FLOAT32: return read(float());
    case FLOAT64: return read(double());
    case INT8: return read(int8_t());
    case INT16: return read(int16_t());
    case INT32: return read(int32_t());
    case INT64: return read(int64_t());
    case UINT8: return read(uint8_t());
    case UINT16: return read(uint16_t());
    default: return read(uint32_t());
  }
}

// Steps of a sequence that the layers read, of which each joins some.
inline int64_t joined_steps(const Network &net, const Data &data, int64_t sequence) {
  return (data.lengths[sequence] + net.subsampling - 1) / net.subsampling;
}

// The buffers of a block of rows, sorted by length, the longest first.
template <class T> struct Block {
  Packed<T> &p;
  const Data &data;
  const Dropout &dropout;
  const int64_t *order, *position;  // by row: the sequence, and its place in the batch
  int n_rows, n_steps;
  std::vector<int> lengths, active;
  std::vector<Tape<T>> tapes;
  struct Layer {  // what lies between layers, (T, N, P)
    T *combined, *transformed, *mask, *mean, *deviation;
    const T *out;   // after directions and residual connections: combined, or states
    const T *read;  // after norm and dropout: what the next one reads
  };
  std::vector<Layer> layers;
  T *x, *input_mask, *pooled, *head_mask, *grad_pooled, *outputs, *grad, *grad_below;
  T *carry, *carry_c;
  T *largest;       // for MAX the largest state, and
  int *n_largest;   // how many steps share it
  int32_t *tokens;  // (T * subsampling, N, codes per step)
  T *grad_inputs;   // (T, N, inputs padded)

  int64_t step() const { return (int64_t)n_rows * p.P; }
  int rows_at(int t) const { return active.empty() ? n_rows : active[t]; }
  bool transforms(int l) const {
    return p.net.layer_norm || (drops() && (l + 1 < p.L || p.per_step));
  }
  bool drops() const { return dropout.training && p.net.dropout > 0; }
  bool combines(int l) const { return p.D > 1 || (p.net.residual && l > 0); }
  // The gradient of the last states is handed to the layer as such.
  bool is_direct() const {
    return p.net.pooling == LAST && !p.net.layer_norm && !(p.net.residual && p.L > 1);
  }

  Block(Packed<T> &p, const Data &data, const Dropout &dropout, const int64_t *order,
        const int64_t *position, int n_rows, Arena &arena, Arena &inputs_arena)
      : p(p),
        data(data),
        dropout(dropout),
        order(order),
        position(position),
        n_rows(n_rows),
        tapes(p.L * p.D),
        layers(p.L) {
    const Network &net = p.net;
    for (int r = 0; r < n_rows; r++)
      lengths.push_back((int)joined_steps(net, data, order[r]));
    n_steps = lengths[0];
    if (lengths.back() < n_steps) {
      active.resize(n_steps);
      for (int t = 0, n = n_rows; t < n_steps; t++) {
        while (lengths[n - 1] <= t) n--;
        active[t] = n;
      }
    }
    const bool trains = dropout.training,
               embeds_and_trains = p.needs_input_gradient(0) && trains;
    // Few rows read inputs of several steps at once, and need the gates of all of them.
    const bool keeps = trains || n_rows < MR;
    const int64_t n_states = (int64_t)n_rows * p.padded, all = n_steps * step();
    const int64_t kept = kept_gates_of(net.cell) * n_states;
    arena.arrange([&] {
      x = arena.take<T>((int64_t)n_steps * n_rows * p.n_inputs);
      for (int i = 0; i < p.L * p.D; i++) {
        T *h = arena.take<T>((n_steps + 1) * n_states);
        T *c = net.cell == LSTM ? arena.take<T>((n_steps + 1) * n_states) : h;
        tapes[i] = {n_steps,
                    i % p.D == 1,
                    active.empty() ? nullptr : active.data(),
                    nullptr,
                    0,
                    0,
                    h,
                    c,
                    n_states,
                    arena.take<T>(keeps ? n_steps * kept : kept),
                    keeps ? kept : 0};
      }
      for (int l = 0; l < p.L; l++) {
        const int64_t n_norm = net.layer_norm ? (int64_t)n_steps * n_rows : 0;
        layers[l] = {arena.take<T>(combines(l) ? all : 0),
                     arena.take<T>(transforms(l) ? all : 0),
                     arena.take<T>(drops() ? step() : 0),
                     arena.take<T>(n_norm),
                     arena.take<T>(n_norm),
                     nullptr,
                     nullptr};
      }
      pooled = arena.take<T>(step());
      grad_pooled = arena.take<T>(step());
      largest = arena.take<T>(net.pooling == MAX ? step() : 0);
      n_largest = arena.take<int>(net.pooling == MAX ? step() : 0);
      outputs = arena.take<T>((int64_t)n_rows * p.head.padded);
      carry = arena.take<T>(trains ? step() : 0);
      carry_c = arena.take<T>(trains ? step() : 0);
      const bool has_gradient = trains && (!is_direct() || p.L > 1);
      grad = arena.take<T>(has_gradient ? all : 0);
      grad_below = arena.take<T>(has_gradient ? all : 0);
    });
    head_mask = layers[p.L - 1].mask;
    inputs_arena.arrange([&] {
      input_mask = inputs_arena.take<T>((int64_t)n_rows * p.E);
      tokens = inputs_arena.take<int32_t>(
          (int64_t)n_steps * net.subsampling * n_rows * p.n_embedded);
      grad_inputs = inputs_arena.take<T>(
          embeds_and_trains ? (int64_t)n_steps * n_rows * round_up<T>(p.n_inputs) : 0);
    });
  }

  // Masks of locked dropout: 0 or 1 / (1 - p).
  void draw_mask(T *mask, int site) const {
    const int n_dense = p.D * p.H;
    const Mask drawn(dropout.seed, dropout.update, site, p.net.dropout);
    const T scale = T(1 / (1 - p.net.dropout));
    for (int r = 0; r < n_rows; r++)
      for (int k = 0; k < p.P; k++) {
        const int unit = k % p.padded;
        const uint64_t i = dropout.mask_row(position[r]) * n_dense + k / p.padded * p.H + unit;
        mask[(int64_t)r * p.P + k] = unit < p.H && !drawn.drops(i) ? scale : T(0);
      }
  }

  void draw_input_mask() {
    const double q = dropout.training ? p.net.input_dropout : 0;
    const Mask drawn(dropout.seed, dropout.update, p.net.input_site, q);
    const T scale = p.embeds ? T(1 / (1 - q)) : T(1);
    // Where features are embedded they are hidden as such, not each of their inputs.
    const int n = p.net.n_codes ? p.net.n_features : p.E;
    for (int r = 0; r < n_rows; r++)
      for (int f = 0; f < n; f++)
        input_mask[r * p.E + f] =
            q > 0 && drawn.drops(dropout.mask_row(position[r]) * n + f) ? T(0) : scale;
  }

  double read_step(int64_t at, int f, double center, double factor) const {
    return (read_value(data, at + f) - center) * factor;
  }

  // Read a token as the embedding does: unknown ones are the last row.
  int32_t read_token(int64_t at, const Mask &mask) const {
    const double id = data.center ? read_step(at, 0, data.center[0], data.factor[0])
                                  : read_value(data, at);
    const int unknown = p.net.n_tokens;
    if (!(id >= 0 && id < unknown) || (int)id == p.net.unknown_token) return unknown;
    return dropout.training && hides(mask, (int)id) ? unknown : (int)id;
  }

  bool hides(const Mask &mask, int id) const {
    const double a = p.net.token_dropout, *counts = p.net.token_counts;
    if (a == 0) return false;
    if (!counts) return mask.drops((uint64_t)id);
    return counts[id] > 0 && mask.drops((uint64_t)id, a / (a + counts[id]));
  }

  // Read a feature as the network does: relative to the last step, and scaled. `units`
  // are those of the sequence.
  double read_feature(int64_t at, int64_t last, const double *units, int f) const {
    const double center = data.center ? data.center[f] : 0;
    const double factor = data.center ? data.factor[f] : 1;
    double value = read_step(at, f, center, factor);
    if (data.n_differenced && data.differenced[f])
      value -= read_step(last, f, center, factor);
    if (units && data.differenced[f]) value /= units[data.differenced[f] - 1];
    return (value - p.net.center[f]) * p.net.factor[f];
  }

  // Read a step, with vectors in the place of codes. Hidden features are 0, which is
  // the code of an unknown category.
  void read_embedded(int64_t at, int64_t last, const double *units, const T *mask,
                     int32_t *codes, T *to) const {
    int k = 0;
    for (int f = 0; f < p.net.n_features; f++) {
      const double value = read_feature(at, last, units, f);
      if (!p.net.n_codes[f]) {
        *to++ = T(value) * mask[f];
        continue;
      }
      const bool is_known = mask[f] > 0 && value >= 0 && value < p.net.n_codes[f];
      const int size = p.net.feature_sizes[f];
      codes[k] = is_known ? (int32_t)value : 0;
      const T *vectors = (const T *)p.net.weights[p.embedding_at() + k];
      std::copy_n(vectors + (int64_t)codes[k++] * size, size, to);
      to += size;
    }
  }

  void gather() {
    const Network &net = p.net;
    const T *embedding = p.embeds ? (const T *)net.weights[p.embedding_at()] : nullptr;
    // Above 1 it is no probability, but how strongly tokens are hidden by their counts.
    const double p_token = std::min(1.0, net.token_dropout);
    const Mask mask(dropout.seed, dropout.update, net.token_site, p_token);
    const int size = net.subsampling;
    draw_input_mask();
    for (int r = 0; r < n_rows; r++) {
      const int64_t start = data.starts[order[r]], end = data.lengths[order[r]] - 1;
      const double *units =
          data.units ? data.units + (int64_t)order[r] * data.n_differenced : nullptr;
      for (int t = 0; t < lengths[r]; t++)
        for (int j = 0; j < size; j++) {
          // Beyond its end a sequence repeats its last step.
          const int64_t from = t * (int64_t)size + j;
          const int64_t at = start + std::min(from, end) * data.step_stride;
          const int64_t last = start + end * data.step_stride;
          T *to = x + ((int64_t)t * n_rows + r) * p.n_inputs + j * p.E;
          if (net.n_codes) {
            read_embedded(at, last, units, input_mask + r * p.E,
                          tokens + (from * n_rows + r) * p.n_embedded, to);
            continue;
          }
          if (p.embeds) {
            const int32_t token = read_token(at, mask);
            tokens[from * n_rows + r] = token;
            std::copy_n(embedding + (int64_t)token * p.E, p.E, to);
          } else {
            for (int f = 0; f < p.E; f++) to[f] = T(read_feature(at, last, units, f));
          }
          for (int f = 0; f < p.E; f++) to[f] *= input_mask[r * p.E + f];
        }
    }
  }

  void run_layers() {
    for (int l = 0; l < p.L; l++) {
      Layer &layer = layers[l];
      for (int d = 0; d < p.D; d++) {
        Tape<T> &tape = tapes[l * p.D + d];
        tape.x = l ? layers[l - 1].read : x;
        tape.x_row = l ? p.P : p.n_inputs;
        tape.x_step = n_rows * tape.x_row;
        // A row begins at its own first step, which reversed is its last one.
        const int64_t first =
            tape.reverse && !active.empty() ? 0 : tape.before(tape.step(0));
        const int64_t n = tape.reverse && !active.empty() ? n_steps + 1 : 1;
        std::fill_n(tape.h + first, n * tape.h_step, T(0));
        if (net().cell == LSTM) std::fill_n(tape.c + first, n * tape.h_step, T(0));
        run_forward(p.layers[l * p.D + d], tape, n_rows);
      }
      layer.out = tapes[l * p.D].h + tapes[l * p.D].h_step;
      if (combines(l)) join(l);
      layer.read = layer.out;
      if (drops())
        draw_mask(layer.mask, l + 1 < p.L ? net().layer_site + l : net().head_site);
      if (transforms(l)) transform(l);
    }
  }
  const Network &net() const { return p.net; }

  template <class Do> void for_each_row(Do work) const {
    for (int t = 0; t < n_steps; t++)
      for (int r = 0; r < rows_at(t); r++) work(t, r, t * step() + (int64_t)r * p.P);
  }

  void join(int l) {
    Layer &layer = layers[l];
    for_each_row([&](int t, int r, int64_t at) {
      T *to = layer.combined + at;
      for (int d = 0; d < p.D; d++) {
        const Tape<T> &tape = tapes[l * p.D + d];
        std::copy_n(tape.h + tape.after(t) + (int64_t)r * p.padded, p.padded,
                    to + d * p.padded);
      }
      if (p.net.residual && l > 0)
        for (int k = 0; k < p.P; k++) to[k] += layers[l - 1].out[at + k];
    });
    layer.out = layer.combined;
  }

  // Layer normalisation and locked dropout.
  void transform(int l) {
    Layer &layer = layers[l];
    const bool drops_here = drops() && (l + 1 < p.L || p.per_step);
    for_each_row([&](int t, int r, int64_t at) {
      const T *from = layer.out + at;
      T *to = layer.transformed + at;
      std::copy_n(from, p.P, to);
      if (p.net.layer_norm) {
        double mean = 0, square = 0;
        for_each_unit([&](int k, int) { mean += from[k] / (double)(p.D * p.H); });
        for_each_unit([&](int k, int) { square += (from[k] - mean) * (from[k] - mean); });
        const double deviation = std::sqrt(square / (p.D * p.H) + LAYER_NORM_EPSILON);
        layer.mean[(int64_t)t * n_rows + r] = T(mean);
        layer.deviation[(int64_t)t * n_rows + r] = T(deviation);
        for_each_unit([&](int k, int unit) {
          to[k] = T((from[k] - mean) / deviation) * p.norms[2 * l][unit] +
                  p.norms[2 * l + 1][unit];
        });
      }
      if (drops_here)
        for (int k = 0; k < p.P; k++) to[k] *= layer.mask[(int64_t)r * p.P + k];
    });
    layer.read = layer.transformed;
  }
  template <class Do> void for_each_unit(Do work) const {
    for (int d = 0; d < p.D; d++)
      for (int u = 0; u < p.H; u++) work(d * p.padded + u, d * p.H + u);
  }

  // The gradient with respect to `read` becomes the one with respect to `out`, in place.
  void transform_backward(int l, T *gradient, GradientSums<T> &sums) const {
    const Layer &layer = layers[l];
    const bool drops_here = drops() && (l + 1 < p.L || p.per_step);
    const double n = p.D * p.H;
    for_each_row([&](int t, int r, int64_t at) {
      T *g = gradient + at;
      if (drops_here)
        for (int k = 0; k < p.P; k++) g[k] *= layer.mask[(int64_t)r * p.P + k];
      if (!p.net.layer_norm) return;
      const T mean = layer.mean[(int64_t)t * n_rows + r];
      const T deviation = layer.deviation[(int64_t)t * n_rows + r];
      double total = 0, mean_of_products = 0;
      for_each_unit([&](int k, int unit) {
        const T normal = (layer.out[at + k] - mean) / deviation;
        sums.norms[2 * l][k] += g[k] * normal;
        sums.norms[2 * l + 1][k] += g[k];
        g[k] *= p.norms[2 * l][unit];
        total += g[k] / n;
        mean_of_products += g[k] * normal / n;
      });
      for_each_unit([&](int k, int) {
        const T normal = (layer.out[at + k] - mean) / deviation;
        g[k] = T((g[k] - total - normal * mean_of_products) / deviation);
      });
    });
  }

  void pool() {
    const T *states = layers[p.L - 1].read;
    std::fill_n(pooled, step(), p.net.pooling == MAX ? -T(INFINITY) : T(0));
    if (p.net.pooling == MAX) std::fill_n(n_largest, step(), 0);
    if (p.net.pooling == LAST) {
      for (int r = 0; r < n_rows; r++)
        for (int d = 0; d < p.D; d++) {
          const int64_t at = (int64_t)r * p.P + d * p.padded;
          std::copy_n(states + (d ? 0 : lengths[r] - 1) * step() + at, p.padded,
                      pooled + at);
        }
    } else {
      for_each_row([&](int, int r, int64_t at) {
        T *to = pooled + (int64_t)r * p.P;
        for (int k = 0; k < p.P; k++) {
          const T state = states[at + k];
          if (p.net.pooling == MEAN) {
            to[k] += state / lengths[r];
          } else if (state > to[k] || state != state) {  // NaN stays
            to[k] = state;
            n_largest[(int64_t)r * p.P + k] = 1;
          } else {
            n_largest[(int64_t)r * p.P + k] += state == to[k];
          }
        }
      });
    }
    if (p.net.pooling == MAX) std::copy_n(pooled, step(), largest);
    if (drops())
      for (int64_t k = 0; k < step(); k++) pooled[k] *= head_mask[k];
  }

  // Spread the gradient of the pooled states over the steps.
  void pool_backward() {
    if (drops())
      for (int64_t k = 0; k < step(); k++) grad_pooled[k] *= head_mask[k];
    if (is_direct()) return;
    const int pooling = p.net.pooling;
    const T *states = layers[p.L - 1].read;
    for_each_row([&](int t, int r, int64_t at) {
      for (int k = 0; k < p.P; k++) {
        const int64_t pooled_at = (int64_t)r * p.P + k;
        T part = t == (k < p.padded ? lengths[r] - 1 : 0);  // LAST
        if (pooling == MEAN) part = T(1) / lengths[r];
        if (pooling == MAX)  // steps that share the largest state share the gradient
          part = states[at + k] == largest[pooled_at] ? T(1) / n_largest[pooled_at] : T(0);
        grad[at + k] = grad_pooled[pooled_at] * part;
      }
    });
  }

  // The head on rows of states; with `sums` the loss, and the gradient of the states.
  double run_head(const T *states, int n, int t, double scale, T *grad_states,
                  GradientSums<T> *sums, T *out, const int64_t *output_starts) {
    const Network &net = p.net;
    const int O = net.n_outputs, padded_outputs = p.head.padded;
    for (int r = 0; r < n; r++)
      std::copy_n(p.head.bias, padded_outputs, outputs + (int64_t)r * padded_outputs);
    Product forward{p.P, p.P, 1, padded_outputs};
    forward.add = true;
    multiply(n, padded_outputs, forward, states, p.head.inputs, outputs);
    if (out)
      for (int r = 0; r < n; r++)
        std::copy_n(
            outputs + (int64_t)r * padded_outputs, O,
            out + ((output_starts ? output_starts[position[r]] : position[r]) + t) * O);
    if (!sums) return 0;
    double loss = 0;
    for (int r = 0; r < n; r++) {
      const double weight =
          data.sample_weights ? (double)((const T *)data.sample_weights)[order[r]] : 1.0;
      loss += row_loss<T>(net, outputs + (int64_t)r * padded_outputs, padded_outputs,
                          data.targets, data.target_starts[order[r]] + t, weight, scale);
    }
    multiply(n, p.P, Product{padded_outputs, padded_outputs, 1, p.P}, outputs,
             p.head.inputs_transposed, grad_states);
    multiply(p.P, padded_outputs, Product{n, 1, p.P, padded_outputs, padded_outputs, true},
             states, outputs, sums->head.inputs);
    for (int r = 0; r < n; r++)
      for (int k = 0; k < padded_outputs; k++)
        sums->head.bias[k] += outputs[(int64_t)r * padded_outputs + k];
    return loss;
  }

  // Outputs (if asked for), and with `sums` the loss; gradients are added to the sums.
  double run(double scale, GradientSums<T> *sums, T *out, const int64_t *output_starts) {
    gather();
    run_layers();
    double loss = 0;
    if (p.per_step) {
      for (int t = 0; t < n_steps; t++)
        loss += run_head(layers[p.L - 1].read + t * step(), rows_at(t), t, scale,
                         sums ? grad + t * step() : nullptr, sums, out, output_starts);
    } else {
      pool();
      loss = run_head(pooled, n_rows, 0, scale, grad_pooled, sums, out, output_starts);
      if (sums) pool_backward();
    }
    if (sums) run_layers_backward(*sums);
    return loss;
  }

  void run_layers_backward(GradientSums<T> &sums) {
    if (!is_direct() && transforms(p.L - 1)) transform_backward(p.L - 1, grad, sums);
    for (int l = p.L - 1; l >= 0; l--) {
      const bool direct = l == p.L - 1 && is_direct();
      const bool below = p.needs_input_gradient(l);
      const int64_t below_row = l ? p.P : round_up<T>(p.n_inputs);
      for (int d = 0; d < p.D; d++) {
        std::fill_n(carry, n_rows * p.padded, T(0));
        std::fill_n(carry_c, n_rows * p.padded, T(0));
        if (direct)
          for (int r = 0; r < n_rows; r++)
            std::copy_n(grad_pooled + (int64_t)r * p.P + d * p.padded, p.padded,
                        carry + (int64_t)r * p.padded);
        const StateGradient<T> given{direct ? nullptr : grad + d * p.padded, step(), p.P};
        const InputGradient<T> to{below ? (l ? grad_below : grad_inputs) : nullptr,
                                  n_rows * below_row, below_row, d > 0};
        run_backward(p.layers[l * p.D + d], tapes[l * p.D + d], n_rows, given, carry,
                     carry_c, to, sums.layers[l * p.D + d]);
      }
      if (l == 0) break;
      if (transforms(l - 1)) transform_backward(l - 1, grad_below, sums);
      if (p.net.residual)  // the layer's inputs were added to its states
        for_each_row([&](int, int, int64_t at) {
          for (int k = 0; k < p.P; k++) grad_below[at + k] += grad[at + k];
        });
      std::swap(grad, grad_below);
    }
  }

  // Add the gradient of a step's inputs to the vectors of its codes.
  void scatter_step(const int32_t *codes, const T *from) const {
    int k = 0;
    for (int f = 0; f < p.net.n_features; f++) {
      const int size = p.net.feature_sizes[f];
      if (p.net.n_codes[f]) {
        T *to = (T *)p.net.gradients[p.embedding_at() + k];
        to += (int64_t)codes[k++] * size;
        for (int i = 0; i < size; i++) to[i] += from[i];
      }
      from += size;
    }
  }

  // Add the gradient of the inputs to the rows of the embedding that were read.
  void scatter(std::vector<int64_t> &rows) const {
    T *gradient = (T *)p.net.gradients[p.embedding_at()];
    const int size = p.net.subsampling;
    for (int t = 0; t < n_steps; t++)
      for (int r = 0; r < rows_at(t); r++)
        for (int j = 0; j < size; j++) {
          const int64_t at = (((int64_t)t * size + j) * n_rows + r) * p.n_embedded;
          const T *from =
              grad_inputs + ((int64_t)t * n_rows + r) * round_up<T>(p.n_inputs) + j * p.E;
          if (p.net.n_codes) {  // all rows count as read: they are few
            scatter_step(tokens + at, from);
            continue;
          }
          const int64_t token = tokens[at];
          rows.push_back(token);
          for (int f = 0; f < p.E; f++)
            gradient[token * p.E + f] += from[f] * input_mask[r * p.E + f];
        }
  }
};

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
