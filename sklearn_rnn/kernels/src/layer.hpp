// One recurrent layer in one direction, for a block of rows of a batch.
//
// Memory, time first (T steps, N rows of the buffers, H units padded to whole vectors):
//
//     x      x[0]     x[1]     ...  x[T-1]          (T, N, inputs)
//     gates  gates[0] gates[1] ...  gates[T-1]      (T, N, kept gates * H)
//     h    h[0]     h[1]     ...          h[T]      (T + 1, N, H); c alike (LSTM)
//
// Forwards, h[t] comes before step t and h[t + 1] after it; a reverse direction reads the
// same buffers from the right: h[t + 1] comes before step t and h[t] after it. What a step
// keeps in gates[t] is replaced by the gradients of its sums in the backward pass.
//
// Rows are sorted by length, the longest first, so that those which have not ended at step
// t are the first active[t] ones. A block of rows goes through all steps before the next
// block begins: its states and the packed weights stay in the nearer caches.
#pragma once
#include "cells.hpp"
#include "gemm.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

// Rows that share a product while there are few: inputs of several steps, and gradients
// of the weights. Weights that are larger than the second cache are read from a slower
// one for each product, so there it is more rows that share it.
constexpr int ROWS_PER_PRODUCT = 64, MORE_ROWS_PER_PRODUCT = 256;
constexpr int64_t CACHE_BYTES = 1 << 20;
// Rows of a block. Many fill the registers' tiles; with few, the states and gates of all
// steps stay in a nearer cache.
constexpr int BLOCK_ROWS = 32, MORE_BLOCK_ROWS = 128;

// Weights packed for the products; null where a pass does not need them. Inputs come in
// groups of `group` columns of the weights, each padded to `padded_group` in memory.
template <class T> struct Weights {
  int cell, n_units, padded, group, padded_group, n_inputs;
  T *inputs, *states, *bias, *states_transposed,
      *inputs_transposed;  // a head has no states

  int gates() const { return gates_of(cell); }
  int width() const { return gates() * padded; }
  int state_column() const { return first_state_gate(cell) * padded; }
  int64_t row() const { return (int64_t)kept_gates_of(cell) * padded; }
  int n_columns() const { return n_inputs / padded_group * group; }
  bool exceeds_cache() const {
    return (n_inputs + n_units) * (int64_t)width() * (int64_t)sizeof(T) > CACHE_BYTES;
  }
  int block_rows() const { return exceeds_cache() ? MORE_BLOCK_ROWS : BLOCK_ROWS; }
  int rows_per_product() const {
    return exceeds_cache() ? MORE_ROWS_PER_PRODUCT : ROWS_PER_PRODUCT;
  }

  // Column of torch's weights that input k reads, or -1 for padding.
  int column(int k) const {
    if (group == padded_group) return k;
    return k % padded_group < group ? k / padded_group * group + k % padded_group : -1;
  }
  // The vector of sums at j belongs to one gate: its first row of torch's weights, of
  // inputs or states, and how many rows it has. The GRU's candidate comes first of inputs.
  int first_row(int j, bool of_inputs) const {
    const int g = j / padded;
    return (cell == GRU && of_inputs ? (g + 2) % 3 : g) * n_units + j % padded;
  }
  int rows_from(int j) const {
    return std::max(0, std::min(LANES<T>, n_units - j % padded));
  }

  void pack_from(const T *w_ih, const T *w_hh, const T *b_ih, const T *b_hh) {
    const int n_columns = this->n_columns();
    auto gather = [&](const T *w, bool of_inputs, int row_size) {
      return [=](int k, int j, T *to) {
        const int n = rows_from(j), at = of_inputs ? column(k) : k;
        const T *from = w + (int64_t)first_row(j, of_inputs) * row_size + at;
        for (int l = 0; l < LANES<T>; l++)
          to[l] = l < n && at >= 0 ? from[(int64_t)l * row_size] : T(0);
      };
    };
    pack(n_inputs, width(), inputs, gather(w_ih, true, n_columns));
    if (states) pack(n_units, width(), states, gather(w_hh, false, n_units));
    // Transposed: row k of the packed matrix is a sum, its columns inputs or units.
    auto transpose = [&](const T *w, bool of_inputs, int row_size) {
      return [=](int k, int j, T *to) {
        const int vector = k / LANES<T> * LANES<T>, lane = k - vector;
        const bool is_row = lane < rows_from(vector);
        const T *from = w + (int64_t)(first_row(vector, of_inputs) + lane) * row_size;
        for (int l = 0; l < LANES<T>; l++) {
          const bool inside = j + l < (of_inputs ? n_inputs : n_units);
          const int at = of_inputs && inside ? column(j + l) : j + l;
          to[l] = is_row && inside && at >= 0 ? from[at] : T(0);
        }
      };
    };
    if (states_transposed)
      pack(width(), padded, states_transposed, transpose(w_hh, false, n_units));
    if (inputs_transposed)
      pack(width(), round_up<T>(n_inputs), inputs_transposed,
           transpose(w_ih, true, n_columns));
    std::fill_n(bias, row(), T(0));
    for (int j = 0; j < width(); j += LANES<T>)
      for (int l = 0; l < rows_from(j); l++) {
        bias[j + l] += b_ih[first_row(j, true) + l];
        if (b_hh) bias[state_column() + j + l] += b_hh[first_row(j, false) + l];
      }
  }
};

// Sums of the weights' gradients in the layout of the products, over blocks of rows.
template <class T> struct WeightSums {
  T *inputs, *states, *bias;

  void add_to(const Weights<T> &w, T *w_ih, T *w_hh, T *b_ih, T *b_hh) const {
    const int width = w.width();
    for (int j = 0; j < width; j += LANES<T>) {
      const int n = w.rows_from(j), of_inputs = w.first_row(j, true);
      const int of_states = w.first_row(j, false);
      auto add = [&](const T *sums, int depth, T *to, int row_size, auto column) {
        // A square at a time: lines of both matrices stay in the nearest cache.
        for (int begin = 0; begin < depth; begin += LANES<T>)
          for (int l = 0; l < n; l++)
            for (int k = begin; k < std::min(depth, begin + LANES<T>); k++)
              if (column(k) >= 0)
                to[(int64_t)l * row_size + column(k)] += sums[(int64_t)k * width + j + l];
      };
      add(inputs, w.n_inputs, w_ih + (int64_t)of_inputs * w.n_columns(), w.n_columns(),
          [&](int k) { return w.column(k); });
      if (w_hh)
        add(states, w.n_units, w_hh + (int64_t)of_states * w.n_units, w.n_units,
            [](int k) { return k; });
      for (int l = 0; l < n; l++) {
        b_ih[of_inputs + l] += bias[j + l];
        if (b_hh) b_hh[of_states + l] += bias[w.state_column() + j + l];
      }
    }
  }
};

// The buffers above, from a block's first row on.
template <class T> struct Tape {
  int n_steps;
  bool reverse;
  const int *active;  // rows of the block that have not ended, by step; null: all
  const T *x;
  int64_t x_step, x_row;
  T *h, *c;
  int64_t h_step;
  T *gates;
  int64_t gates_step;  // 0: one step's memory for all (inference)

  int rows_at(int t, int n_rows) const { return active ? active[t] : n_rows; }
  int step(int s) const { return reverse ? n_steps - 1 - s : s; }
  int64_t before(int t) const { return (t + reverse) * h_step; }
  int64_t after(int t) const { return (t + 1 - reverse) * h_step; }
};

template <class T, int CELL>
void forward_block(const Weights<T> &w, const Tape<T> &tape, int n_rows) {
  const int padded = w.padded, width = w.width();
  const int64_t row = w.row();
  Product of_inputs{w.n_inputs, tape.x_row, 1, row}, of_states{w.n_units, padded, 1, row};
  of_inputs.add = of_states.add = true;
  // With few rows, inputs of several steps share a product: weights are read less often.
  const bool combines = !tape.active && n_rows < MR && tape.x_step == n_rows * tape.x_row &&
                        tape.gates_step == n_rows * row;
  const int ahead = combines ? w.rows_per_product() / n_rows : 1;
  for (int s = 0; s < tape.n_steps; s++) {
    const int t = tape.step(s), n_here = tape.rows_at(t, n_rows);
    T *gates = tape.gates + t * tape.gates_step;
    if (s % ahead == 0) {
      const int n = std::min(ahead, tape.n_steps - s), first = tape.reverse ? t - n + 1 : t;
      T *sums = tape.gates + first * tape.gates_step;
      for (int r = 0; r < n * n_here; r++) std::copy_n(w.bias, row, sums + r * row);
      multiply(n * n_here, width, of_inputs, tape.x + first * tape.x_step, w.inputs, sums);
    }
    const T *h = tape.h + tape.before(t), *c = tape.c + tape.before(t);
    T *h_new = tape.h + tape.after(t), *c_new = tape.c + tape.after(t);
    multiply(n_here, width, of_states, h, w.states, gates + w.state_column());
    for (int r = 0; r < n_here; r++)
      for (int u = 0; u < padded; u += LANES<T>) {
        const int64_t at = (int64_t)r * padded + u;
        cell_forward<T, CELL>(gates + r * row + u, padded, h + at, c + at, h_new + at,
                              c_new + at);
      }
  }
}

// Gradients with respect to the states after each step, (T, N, at least H); null: zero.
template <class T> struct StateGradient {
  const T *values;
  int64_t step, row;
};

// Gradients with respect to the inputs, (T, N, inputs padded to whole vectors), or null.
template <class T> struct InputGradient {
  T *values;
  int64_t step, row;
  bool add;
};

// `carry` and `carry_c` (N, H) hold the gradients with respect to the last states, and
// then those with respect to the first ones.
template <class T, int CELL>
void backward_block(const Weights<T> &w, const Tape<T> &tape, int n_rows,
                    const StateGradient<T> &grad, T *carry, T *carry_c,
                    const InputGradient<T> &grad_x, const WeightSums<T> &sums) {
  const int padded = w.padded, width = w.width();
  const int64_t row = w.row();
  Product to_states{width, row, 1, padded}, to_inputs{width, row, 1, grad_x.row};
  to_states.add = CELL == GRU;
  to_inputs.add = grad_x.add;
  for (int s = 0; s < tape.n_steps;) {
    const int t = tape.step(tape.n_steps - 1 - s), n_here = tape.rows_at(t, n_rows);
    // Steps that share a product for the gradient with respect to the weights.
    int n = 1;
    while (n * n_here < w.rows_per_product() && s + n < tape.n_steps &&
           tape.rows_at(tape.step(tape.n_steps - 1 - s - n), n_rows) == n_here)
      n++;
    s += n;
    if (n_here == 0) continue;
    for (int i = 0; i < n; i++) {
      const int step = tape.reverse ? t + i : t - i;
      T *gates = tape.gates + step * tape.gates_step;
      const T *given = grad.values ? grad.values + step * grad.step : nullptr;
      for (int r = 0; r < n_here; r++)
        for (int u = 0; u < padded; u += LANES<T>) {
          const int64_t at = (int64_t)r * padded + u;
          const int64_t before = tape.before(step) + at, after = tape.after(step) + at;
          Vector<T> dh = load(carry + at);
          if (given) dh += load(given + r * grad.row + u);
          dh = cell_backward<T, CELL>(gates + r * row + u, padded, tape.h + before,
                                      tape.c + before, tape.h + after, tape.c + after, dh,
                                      carry_c + at);
          if (CELL == GRU) store(carry + at, dh);
        }
      multiply(n_here, padded, to_states, gates + w.state_column(), w.states_transposed,
               carry);
      if (grad_x.values)
        multiply(n_here, round_up<T>(w.n_inputs), to_inputs, gates, w.inputs_transposed,
                 grad_x.values + step * grad_x.step);
    }
    const int first = tape.reverse ? t : t - n + 1;
    const T *gates = tape.gates + first * tape.gates_step;
    Product by_inputs{n_here, 1, tape.x_row,  width,          row,
                      true,   n, tape.x_step, tape.gates_step};
    Product by_states{n_here, 1, padded, width, row, true, n, tape.h_step, tape.gates_step};
    multiply(w.n_inputs, width, by_inputs, tape.x + first * tape.x_step, gates,
             sums.inputs);
    multiply(w.n_units, width, by_states, tape.h + tape.before(first),
             gates + w.state_column(), sums.states);
    for (int i = 0; i < n; i++)
      for (int r = 0; r < n_here; r++) {
        const T *gate = gates + i * tape.gates_step + r * row;
        for (int64_t k = 0; k < row; k += LANES<T>)
          store(sums.bias + k, load(sums.bias + k) + load(gate + k));
      }
  }
}

template <class T> void run_forward(const Weights<T> &w, const Tape<T> &tape, int n_rows) {
  switch (w.cell) {
    case RNN: return forward_block<T, RNN>(w, tape, n_rows);
    case RNN_RELU: return forward_block<T, RNN_RELU>(w, tape, n_rows);
    case GRU: return forward_block<T, GRU>(w, tape, n_rows);
    default: return forward_block<T, LSTM>(w, tape, n_rows);
  }
}

template <class T> void run_backward(const Weights<T> &w, const Tape<T> &tape, int n_rows,
                                     const StateGradient<T> &grad, T *carry, T *carry_c,
                                     const InputGradient<T> &grad_x,
                                     const WeightSums<T> &sums) {
  auto run = [&](auto backward) {
    backward(w, tape, n_rows, grad, carry, carry_c, grad_x, sums);
  };
  switch (w.cell) {
    case RNN: return run(backward_block<T, RNN>);
    case RNN_RELU: return run(backward_block<T, RNN_RELU>);
    case GRU: return run(backward_block<T, GRU>);
    default: return run(backward_block<T, LSTM>);
  }
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
