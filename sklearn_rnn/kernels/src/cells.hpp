// What each cell computes from the sums of its gates: the equations of the papers.
#pragma once
#include "simd.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

enum Cell { RNN = 0, RNN_RELU = 1, GRU = 2, LSTM = 3 };

// Sums of products, side by side: of inputs, of states, and kept for each unit. The GRU
// keeps the two products of its candidate apart: its sums are candidate (of inputs),
// reset, update, candidate (of states); inputs add to the first three and states to the
// last three. The other cells' sums are in torch's order.
inline int gates_of(int cell) { return cell == LSTM ? 4 : cell == GRU ? 3 : 1; }
inline int kept_gates_of(int cell) { return cell >= GRU ? 4 : 1; }
inline int first_state_gate(int cell) { return cell == GRU ? 1 : 0; }

// One unit vector of a row, forwards: `gate` holds the sums, `by` apart, and keeps what
// backward needs; `h` and `c` come before the step, `h_new` and `c_new` after it.
template <class T, int CELL>
inline void cell_forward(T *gate, int64_t by, const T *h, const T *c, T *h_new, T *c_new) {
  typedef Vector<T> V;
  if constexpr (CELL == RNN) {
    store<T>(h_new, tanh(load(gate)));
  } else if constexpr (CELL == RNN_RELU) {
    const V sum = load(gate), zero = {};
    store<T>(h_new, sum < zero ? zero : sum);  // NaN stays
  } else if constexpr (CELL == GRU) {
    // Cho et al. 2014; reset after the product, as in torch.
    const V reset = sigmoid<T>(load(gate + by)), update = sigmoid<T>(load(gate + 2 * by));
    const V candidate = tanh(load(gate) + reset * load(gate + 3 * by));
    store<T>(h_new, candidate + update * (load(h) - candidate));
    store<T>(gate, candidate);
    store<T>(gate + by, reset);
    store<T>(gate + 2 * by, update);
  } else {
    // Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    const V input = sigmoid<T>(load(gate)), forget = sigmoid<T>(load(gate + by));
    const V candidate = tanh(load(gate + 2 * by)), output = sigmoid<T>(load(gate + 3 * by));
    const V state = forget * load(c) + input * candidate;
    store<T>(gate, input);
    store<T>(gate + by, forget);
    store<T>(gate + 2 * by, candidate);
    store<T>(gate + 3 * by, output);
    store<T>(c_new, state);
    store<T>(h_new, output * tanh(state));
  }
}

// Backwards: from dh, the gradient with respect to h_new, the gradients with respect to
// the sums, which replace what `gate` kept. `grad_c` is that of c_new and becomes that of
// c. Returns the part of the gradient of h that does not pass the recurrent product.
template <class T, int CELL>
inline Vector<T> cell_backward(T *gate, int64_t by, const T *h, const T *c, const T *h_new,
                               const T *c_new, Vector<T> dh, T *grad_c) {
  typedef Vector<T> V;
  if constexpr (CELL == RNN) {
    const V state = load(h_new);
    store<T>(gate, dh * (T(1) - state * state));
    return V{};
  } else if constexpr (CELL == RNN_RELU) {
    const V zero = {};
    store<T>(gate, load(h_new) > zero ? dh : zero);
    return V{};
  } else if constexpr (CELL == GRU) {
    const V candidate = load(gate), reset = load(gate + by), update = load(gate + 2 * by);
    const V kept = dh * update;
    const V d_candidate = (dh - kept) * (T(1) - candidate * candidate);
    store<T>(gate + 2 * by, kept * (load(h) - candidate) * (T(1) - update));
    store<T>(gate + by, d_candidate * load(gate + 3 * by) * reset * (T(1) - reset));
    store<T>(gate, d_candidate);
    store<T>(gate + 3 * by, d_candidate * reset);
    return kept;
  } else {
    const V input = load(gate), forget = load(gate + by);
    const V candidate = load(gate + 2 * by), output = load(gate + 3 * by);
    const V squashed = tanh(load(c_new));
    const V dc = load(grad_c) + dh * output * (T(1) - squashed * squashed);
    store<T>(gate, dc * candidate * input * (T(1) - input));
    store<T>(gate + by, dc * load(c) * forget * (T(1) - forget));
    store<T>(gate + 2 * by, dc * input * (T(1) - candidate * candidate));
    store<T>(gate + 3 * by, dh * squashed * output * (T(1) - output));
    store<T>(grad_c, dc * forget);
    return V{};
  }
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
