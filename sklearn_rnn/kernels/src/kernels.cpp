// All kernels for one instruction set: compiled once per set with -DINSTRUCTION_SET=...
#include <stdexcept>
#include "training.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

template <class T> struct RecurrenceCall {
  const Recurrence &a;
  Weights<T> w{a.cell, a.n_units, a.padded, a.n_inputs, a.n_inputs, a.n_inputs,
               0,      0,         0,        0,          0};
  Arena arena;

  explicit RecurrenceCall(const Recurrence *a) : a(*a) {
    if (a->padded != round_up<T>(a->n_units))
      throw std::invalid_argument("buffers of another instruction set");
  }

  void pack(bool back) {
    arena.arrange([&] {
      w.inputs = arena.take<T>((int64_t)w.n_inputs * w.width());
      w.states = arena.take<T>((int64_t)w.n_units * w.width());
      w.bias = arena.take<T>(w.row());
      if (back) w.states_transposed = arena.take<T>((int64_t)w.width() * w.padded);
      if (back && a.grad_x)
        w.inputs_transposed = arena.take<T>((int64_t)w.width() * round_up<T>(w.n_inputs));
    });
    w.pack_from((const T *)a.w_ih, (const T *)a.w_hh, (const T *)a.b_ih, (const T *)a.b_hh);
  }

  int64_t n_blocks() const { return (a.n_rows + w.block_rows() - 1) / w.block_rows(); }

  // Call run(tape, first row, rows, group) for each block of rows. The blocks of a group
  // come one after the other, those of different groups may come at the same time.
  template <class Run> void for_each_block(int n_groups, Run run) {
    const int64_t n_blocks = this->n_blocks(), row = w.row();
    auto run_block = [&](int64_t b, int group) {
      const int64_t begin = b * a.n_rows / n_blocks, end = (b + 1) * a.n_rows / n_blocks;
      const int n = (int)(end - begin);
      std::vector<int> active(a.active ? a.n_steps : 0);
      for (size_t t = 0; t < active.size(); t++)
        active[t] = std::max(0, std::min(n, a.active[t] - (int)begin));
      run(Tape<T>{a.n_steps, a.reverse != 0, a.active ? active.data() : nullptr,
                  (const T *)a.x + begin * a.n_inputs, (int64_t)a.n_rows * a.n_inputs,
                  a.n_inputs, (T *)a.h + begin * w.padded,
                  (T *)(a.c ? a.c : a.h) + begin * w.padded, (int64_t)a.n_rows * w.padded,
                  (T *)a.gates + begin * row, a.inference ? 0 : a.n_rows * row},
          begin, n, group);
    };
    Workers workers(std::min(a.n_threads, n_groups));
    workers.run(n_groups, true, [&](int g, int) {
      for (int64_t b = g * n_blocks / n_groups; b < (g + 1) * n_blocks / n_groups; b++)
        run_block(b, g);
    });
  }

  void forward() {
    pack(false);
    auto run = [&](const Tape<T> &tape, int64_t, int n, int) { run_forward(w, tape, n); };
    for_each_block((int)n_blocks(), run);
  }

  void backward() {
    pack(true);
    const int n_groups = (int)std::min<int64_t>(n_blocks(), MAX_GROUPS);
    const int64_t width = w.width(), grad_row = round_up<T>(w.n_inputs);
    std::vector<WeightSums<T>> sums(n_groups);
    Arena memory;
    memory.arrange([&] {
      for (auto &s : sums)
        s = {memory.take<T>(w.n_inputs * width), memory.take<T>(w.n_units * width),
             memory.take<T>(w.row())};
    });
    for (auto &s : sums) {
      std::fill_n(s.inputs, w.n_inputs * width, T(0));
      std::fill_n(s.states, w.n_units * width, T(0));
      std::fill_n(s.bias, w.row(), T(0));
    }
    for_each_block(n_groups, [&](const Tape<T> &tape, int64_t begin, int n, int g) {
      const int64_t at = begin * w.padded;
      const StateGradient<T> given{a.grad_h ? (const T *)a.grad_h + at : nullptr,
                                   tape.h_step, w.padded};
      const InputGradient<T> to{a.grad_x ? (T *)a.grad_x + begin * grad_row : nullptr,
                                a.n_rows * grad_row, grad_row, false};
      run_backward(w, tape, n, given, (T *)a.carry + at, (T *)a.carry_c + at, to, sums[g]);
    });
    for (auto &s : sums)
      s.add_to(w, (T *)a.grad_w_ih, (T *)a.grad_w_hh, (T *)a.grad_b_ih, (T *)a.grad_b_hh);
  }
};

template <class T> struct ByItemsize {  // the functions of the table for one type
  static void forward(const Recurrence *a) {
    FlushDenormals flush;
    RecurrenceCall<T>(a).forward();
  }
  static void backward(const Recurrence *a) {
    FlushDenormals flush;
    RecurrenceCall<T>(a).backward();
  }
};

#define BY_TYPE(itemsize, of_float, of_double) ((itemsize) == 4 ? (of_float) : (of_double))

static void recurrence_forward(const Recurrence *a) {
  BY_TYPE(a->itemsize, ByItemsize<float>::forward, ByItemsize<double>::forward)(a);
}
static void recurrence_backward(const Recurrence *a) {
  BY_TYPE(a->itemsize, ByItemsize<float>::backward, ByItemsize<double>::backward)(a);
}
static void run_batch(Batch *b) {
  BY_TYPE(b->network->itemsize, run_batch_of<float>, run_batch_of<double>)(b);
}
static void train(Training *t) {
  BY_TYPE(t->network->itemsize, train_of<float>, train_of<double>)(t);
}
// Segments without rows: from Python come the gradients of the rows that were read.
static void clip(Optimizer *o) {
  uint8_t clipped;
  o->norm = BY_TYPE(o->itemsize, clip_gradients<float>, clip_gradients<double>)(*o, Rows(),
                                                                                &clipped);
  o->clipped = clipped;
}
static void update(Optimizer *o) {
  BY_TYPE(o->itemsize, update_weights<float>, update_weights<double>)(*o, o->learning_rate,
                                                                      Rows());
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)

using namespace CONCAT(kernels_on_, INSTRUCTION_SET);

const Kernels *CONCAT(kernels_, INSTRUCTION_SET)() {
  static const Kernels kernels = {
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
      TEXT(INSTRUCTION_SET),
      VECTOR_BYTES,
      recurrence_forward,
      recurrence_backward,
      run_batch,
      train,
      clip,
      update};
  return &kernels;
}
