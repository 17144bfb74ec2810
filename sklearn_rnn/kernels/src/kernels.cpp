// All kernels for one instruction set: compiled once per set with -DINSTRUCTION_SET=...
#include "training.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

template <class T> struct Call {
  const Recurrence &a;
  Weights<T> w{a.cell, a.n_units, a.padded, a.n_inputs, a.n_inputs, a.n_inputs, 0, 0, 0, 0, 0};
  Arena arena;

  explicit Call(const Recurrence *a) : a(*a) {}

  void pack(bool back) {
    arena.arrange([&] {
      w.inputs = arena.take<T>((int64_t)w.n_inputs * w.width());
      w.states = arena.take<T>((int64_t)w.n_units * w.width());
      w.bias = arena.take<T>(w.row());
      if (back) w.states_back = arena.take<T>((int64_t)w.width() * w.padded);
      if (back && a.grad_x)
        w.inputs_back = arena.take<T>((int64_t)w.width() * round_up<T>(w.n_inputs));
    });
    w.pack_from((const T *)a.w_ih, (const T *)a.w_hh, (const T *)a.b_ih, (const T *)a.b_hh);
  }

  // Call run(tape, first row, rows, block) for each block of rows.
  template <class Run> void for_each_block(Run run) {
    const int64_t row = w.row();
    const int n_blocks = (a.n_rows + w.block_rows() - 1) / w.block_rows();
    Workers workers(std::min(a.n_threads, n_blocks));
    workers.run(n_blocks, true, [&](int b, int) {
      std::vector<int> active(a.active ? a.n_steps : 0);
      const int64_t begin = (int64_t)b * a.n_rows / n_blocks;
      const int n = (int)((int64_t)(b + 1) * a.n_rows / n_blocks - begin);
      for (size_t t = 0; t < active.size(); t++)
        active[t] = std::max(0, std::min(n, a.active[t] - (int)begin));
      const int64_t h_step = (int64_t)a.n_rows * w.padded;
      run(Tape<T>{a.n_steps, a.reverse != 0, a.active ? active.data() : nullptr,
                  (const T *)a.x + begin * a.n_inputs, (int64_t)a.n_rows * a.n_inputs,
                  a.n_inputs, (T *)a.h + begin * w.padded,
                  (T *)(a.c ? a.c : a.h) + begin * w.padded, h_step,
                  (T *)a.gates + begin * row, a.inference ? 0 : a.n_rows * row},
          begin, n, b);
    });
  }

  void forward() {
    pack(false);
    for_each_block([&](const Tape<T> &tape, int64_t, int n, int) { run_forward(w, tape, n); });
  }

  void backward() {
    pack(true);
    const int n_blocks = (a.n_rows + w.block_rows() - 1) / w.block_rows();
    const int64_t width = w.width();
    std::vector<WeightSums<T>> sums(n_blocks);
    Arena memory;
    memory.arrange([&] {
      for (auto &s : sums)
        s = {memory.take<T>(w.n_inputs * width), memory.take<T>(w.n_units * width),
             memory.take<T>(w.row())};
    });
    const int grad_row = round_up<T>(w.n_inputs);
    for_each_block([&](const Tape<T> &tape, int64_t begin, int n, int b) {
      std::fill_n(sums[b].inputs, w.n_inputs * width, T(0));
      std::fill_n(sums[b].states, w.n_units * width, T(0));
      std::fill_n(sums[b].bias, w.row(), T(0));
      const int64_t at = begin * w.padded;
      const StateGradient<T> given{a.grad_h ? (const T *)a.grad_h + at : nullptr, tape.h_step,
                                   w.padded};
      const InputGradient<T> to{a.grad_x ? (T *)a.grad_x + begin * grad_row : nullptr,
                                (int64_t)a.n_rows * grad_row, grad_row, false};
      run_backward(w, tape, n, given, (T *)a.carry + at, (T *)a.carry_c + at, to, sums[b]);
    });
    for (auto &s : sums)
      s.add_to(w, (T *)a.grad_w_ih, (T *)a.grad_w_hh, (T *)a.grad_b_ih, (T *)a.grad_b_hh);
  }
};

template <class T> struct Of {  // the functions of the table for one type
  static void forward(const Recurrence *a) {
    FlushDenormals flush;
    Call<T>(a).forward();
  }
  static void backward(const Recurrence *a) {
    FlushDenormals flush;
    Call<T>(a).backward();
  }
};

#define BY_TYPE(itemsize, of_float, of_double) \
  ((itemsize) == 4 ? (of_float) : (of_double))

static void recurrence_forward(const Recurrence *a) {
  BY_TYPE(a->itemsize, Of<float>::forward, Of<double>::forward)(a);
}
static void recurrence_backward(const Recurrence *a) {
  BY_TYPE(a->itemsize, Of<float>::backward, Of<double>::backward)(a);
}
static void run_batch(Batch *b) {
  BY_TYPE(b->network->itemsize, run_batch_of<float>, run_batch_of<double>)(b);
}
static void train(Training *t) {
  BY_TYPE(t->network->itemsize, train_of<float>, train_of<double>)(t);
}
static void clip(Optimizer *o) {
  uint8_t clipped;
  o->norm = BY_TYPE(o->itemsize, clip_gradients<float>, clip_gradients<double>)(
      *o, Rows(), &clipped);
  o->clipped = clipped;
}
static void update(Optimizer *o) {
  BY_TYPE(o->itemsize, update_weights<float>, update_weights<double>)(
      *o, o->learning_rate, Rows());
}

}  // namespace

using namespace CONCAT(kernels_on_, INSTRUCTION_SET);

const Kernels *CONCAT(kernels_, INSTRUCTION_SET)() {
  static const Kernels kernels = {
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
      TEXT(INSTRUCTION_SET), VECTOR_BYTES, recurrence_forward, recurrence_backward,
      run_batch, train, clip, update};
  return &kernels;
}
