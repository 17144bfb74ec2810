// Batches: their blocks over threads, and an epoch of updates in one call.
#pragma once
#include <chrono>
#include <memory>
#include "network.hpp"
#include "optimizer.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

// Fewest rows of a block where threads share a batch.
constexpr int MIN_BLOCK_ROWS = 16;
// Multiply-adds of a batch from which its blocks are summed in several groups, so that
// threads can share them (two threads gain above about that); and the most groups. They
// depend on the batch alone: results are the same for any number of threads.
constexpr double MIN_PARALLEL_WORK = 2e7;
constexpr int MAX_GROUPS = 8;

// All that is kept between the batches of one call.
template <class T> struct BatchRunner {
  const Network &net;
  const Data &data;
  Packed<T> packed;
  Workers workers;
  std::vector<std::unique_ptr<Arena>> arenas, input_arenas;
  std::vector<std::unique_ptr<GradientSums<T>>> sums;
  std::vector<int64_t> order, position;
  Rows rows;  // of the embedding, read by the last batch

  BatchRunner(const Network &net, const Data &data, int n_threads)
      : net(net), data(data), packed(net), workers(n_threads) {
    for (int i = 0; i < workers.n; i++) arenas.push_back(std::make_unique<Arena>());
  }

  // Sort a batch by length, the longest first.
  void sort(const int64_t *given, int64_t n) {
    position.resize(n);
    std::iota(position.begin(), position.end(), 0);
    auto longer = [&](int64_t a, int64_t b) {
      return data.lengths[given[a]] > data.lengths[given[b]];
    };
    if (!std::is_sorted(position.begin(), position.end(), longer))
      std::stable_sort(position.begin(), position.end(), longer);
    order.resize(n);
    for (int64_t i = 0; i < n; i++) order[i] = given[position[i]];
  }

  // Multiply-adds of the batch: the products of the forward pass, and twice as many in
  // the backward pass.
  double work() const {
    double steps = 0;
    for (int64_t i : order) steps += (double)data.lengths[i] / net.subsampling;
    const double gates = gates_of(net.cell) * (double)packed.D;
    return 3 * steps * gates * net.n_units *
           (net.n_units * (double)packed.L + packed.n_inputs +
            net.n_units * packed.D * (packed.L - 1.0));
  }

  // Add the gradient of a batch to the weights'; returns the mean loss.
  double gradient(const int64_t *given, int64_t n, const Dropout &dropout, double n_usual,
                  int64_t *n_targets, T *out, const int64_t *output_starts) {
    sort(given, n);
    rows.clear();
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
      const int64_t steps = packed.per_step ? joined_steps(net, data, order[i]) : 1;
      for (int64_t t = 0; t < steps; t++)
        count += count_targets<T>(net, data.targets, data.target_starts[order[i]] + t);
    }
    *n_targets = net.targets_may_be_missing ? count : n;
    if (count == 0) return 0;
    packed.pack(dropout);
    const double scale = (n_usual > 0 ? *n_targets / n_usual : 1.0) / count;
    const bool in_parallel = work() >= MIN_PARALLEL_WORK && n >= 2 * MIN_BLOCK_ROWS;
    const int64_t most = packed.layers.back().block_rows();
    const int64_t shared = std::max<int64_t>(std::max<int64_t>(MIN_BLOCK_ROWS, most / 2),
                                             (n + MAX_GROUPS - 1) / MAX_GROUPS);
    const int64_t rows_per_block = in_parallel ? std::min(shared, most) : most;
    const int64_t n_blocks = (n + rows_per_block - 1) / rows_per_block;
    const int n_groups = in_parallel ? (int)std::min<int64_t>(n_blocks, MAX_GROUPS) : 1;
    const bool embeds = packed.needs_input_gradient(0);
    while ((int)sums.size() < n_groups) sums.push_back(std::make_unique<GradientSums<T>>());
    while ((int64_t)input_arenas.size() < (embeds ? n_blocks : workers.n))
      input_arenas.push_back(std::make_unique<Arena>());
    std::vector<double> losses(n_blocks);
    std::vector<std::unique_ptr<Block<T>>> blocks(embeds ? n_blocks : 0);
    // A group is one worker's at a time: it alone writes to sums[g], and to losses, blocks
    // and outputs of its own rows. Sums are added up in the order of groups, below.
    workers.run(n_groups, in_parallel, [&](int g, int worker) {
      sums[g]->clear(packed);
      for (int64_t b = g * n_blocks / n_groups; b < (g + 1) * n_blocks / n_groups; b++) {
        const int64_t begin = b * n / n_blocks, end = (b + 1) * n / n_blocks;
        auto block = std::make_unique<Block<T>>(
            packed, data, dropout, order.data() + begin, position.data() + begin,
            (int)(end - begin), *arenas[worker], *input_arenas[embeds ? b : worker]);
        losses[b] = block->run(scale, sums[g].get(), out, output_starts);
        // Kept for `scatter`, which reads what lies in the arena of inputs alone: the
        // worker's arena is the next block's from here on.
        if (embeds) blocks[b] = std::move(block);
      }
    });
    for (int g = 0; g < n_groups; g++) sums[g]->add_to_gradients(packed, dropout);
    for (auto &block : blocks) block->scatter(rows);
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    return std::accumulate(losses.begin(), losses.end(), 0.0) / count;
  }

  void predict(const int64_t *given, int64_t n, T *out, const int64_t *output_starts) {
    const Dropout none{false, 0, 0};
    sort(given, n);
    packed.pack(none);
    const int64_t most = packed.layers.back().block_rows();
    const int64_t n_blocks = (n + most - 1) / most;
    for (int i = 0; i < workers.n; i++) input_arenas.push_back(std::make_unique<Arena>());
    workers.run((int)n_blocks, work() >= MIN_PARALLEL_WORK, [&](int b, int worker) {
      const int64_t begin = b * most, end = std::min(n, begin + most);
      Block<T>(packed, data, none, order.data() + begin, position.data() + begin,
               (int)(end - begin), *arenas[worker], *input_arenas[worker])
          .run(0, nullptr, out, output_starts);
    });
  }
};

template <class T> void run_batch_of(Batch *batch) {
  FlushDenormals flush;
  BatchRunner<T> runner(*batch->network, *batch->data, batch->n_threads);
  T *out = (T *)batch->outputs;
  if (!batch->training)
    return runner.predict(batch->rows, batch->n_rows, out, batch->output_starts);
  const Dropout dropout{true, batch->seed, batch->update, batch->first_row,
                        batch->row_step};
  batch->loss = runner.gradient(batch->rows, batch->n_rows, dropout, batch->n_usual,
                                 &batch->n_targets, out, batch->output_starts);
  if (batch->is_read)
    for (int64_t row : runner.rows) batch->is_read[row] = 1;
}

template <class T> void train_of(Training *run) {
  FlushDenormals flush;
  BatchRunner<T> runner(*run->network, *run->data, run->n_threads);
  Optimizer &optimizer = *run->optimizer;
  const auto start = std::chrono::steady_clock::now();
  auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  while (run->begin < run->n_batches) {
    const int64_t i = run->begin, first = i ? run->batch_ends[i - 1] : 0;
    clear_gradients<T>(optimizer, runner.rows);
    const Dropout dropout{true, run->seed, run->update + i};
    run->losses[i] =
        runner.gradient(run->order + first, run->batch_ends[i] - first, dropout,
                         run->n_usual, run->n_targets + i, nullptr, nullptr);
    run->begin++;
    if (!std::isfinite(run->losses[i])) return;
    if (run->n_targets[i] > 0) {
      run->norms[i] = clip_gradients<T>(optimizer, runner.rows, run->clipped + i);
      update_weights<T>(optimizer, run->learning_rates[i], runner.rows);
    }
    if (run->begin < run->n_batches && seconds() > run->max_seconds) {
      // The next call does not know which rows of the embedding this batch has read.
      clear_gradients<T>(optimizer, runner.rows);
      return;
    }
  }
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
