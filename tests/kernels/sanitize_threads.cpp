// Train and predict with several threads, for the thread sanitizer: see sanitize.py.
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>
#include "interface.hpp"

extern "C" int train(Training *);
extern "C" int run_batch(Batch *);
extern "C" int recurrence_forward(const Recurrence *);

constexpr int N_ROWS = 200, N_STEPS = 30, N_FEATURES = 5, N_UNITS = 24, N_TOKENS = 50;

struct Model {
  std::vector<std::vector<float>> weights, gradients, means, squares;
  std::vector<void *> weight_addresses, gradient_addresses;
  std::vector<Segment> segments;
  std::vector<int64_t> tokens, starts, lengths, target_starts, order, ends;
  std::vector<float> targets;
  Network network{};
  Data data{};
  Optimizer optimizer{};

  Model() {
    // A GRU of one layer in both directions, its head, and the embedding.
    for (int d = 0; d < 2; d++)
      for (int size : {3 * N_UNITS * N_FEATURES, 3 * N_UNITS * N_UNITS, 3 * N_UNITS,
                       3 * N_UNITS})
        add(size, 0);
    add(2 * N_UNITS, 0);
    add(1, 0);
    add((N_TOKENS + 1) * N_FEATURES, N_FEATURES);
    for (size_t i = 0; i < weights.size(); i++) {
      weight_addresses.push_back(weights[i].data());
      gradient_addresses.push_back(gradients[i].data());
      segments[i].weights = weights[i].data();
      segments[i].gradients = gradients[i].data();
      segments[i].first = means[i].data();
      segments[i].second = squares[i].data();
    }
    network.itemsize = 4, network.cell = 2, network.n_layers = 1;
    network.n_directions = 2, network.n_units = N_UNITS, network.n_features = 1;
    network.subsampling = 1, network.n_tokens = N_TOKENS;
    network.embedding_dim = N_FEATURES, network.unknown_token = -1;
    network.pooling = 1, network.n_outputs = 1, network.n_levels = 1;
    network.train_embedding = 1, network.dropout = 0.2, network.head_site = 4;
    network.weights = weight_addresses.data();
    network.gradients = gradient_addresses.data();
    for (int i = 0; i < N_ROWS * N_STEPS; i++) tokens.push_back(i * 7 % (N_TOKENS + 3));
    for (int i = 0; i < N_ROWS; i++) {
      starts.push_back(i * N_STEPS);
      lengths.push_back(N_STEPS - i % 5);
      target_starts.push_back(i);
      targets.push_back(std::sin(i));
      order.push_back(i);
    }
    ends = {N_ROWS / 2, N_ROWS};
    data.values = tokens.data(), data.values_type = 2, data.step_stride = 1;
    data.starts = starts.data(), data.lengths = lengths.data();
    data.targets = targets.data(), data.target_starts = target_starts.data();
    optimizer.itemsize = 4, optimizer.n_segments = (int)segments.size();
    optimizer.segments = segments.data(), optimizer.beta_1 = 0.9;
    optimizer.beta_2 = 0.999, optimizer.epsilon = 1e-8;
    optimizer.max_norm = 1, optimizer.max_value = INFINITY;
  }

  void add(int size, int row_size) {
    std::vector<float> values(size);
    for (int i = 0; i < size; i++) values[i] = 0.3f * std::sin(i * 1.7f + size);
    weights.push_back(values);
    for (auto *zeros : {&gradients, &means, &squares}) zeros->emplace_back(size);
    segments.push_back(Segment{});
    segments.back().size = size, segments.back().row_size = row_size;
  }

  double fit(int n_threads) {
    std::vector<double> rates(2, 0.01), losses(2), norms(2);
    std::vector<int64_t> n_targets(2);
    std::vector<uint8_t> clipped(2);
    Training run{};
    run.network = &network, run.data = &data, run.optimizer = &optimizer;
    run.order = order.data(), run.batch_ends = ends.data(), run.n_batches = 2;
    run.learning_rates = rates.data(), run.max_seconds = 100, run.n_threads = n_threads;
    run.losses = losses.data(), run.norms = norms.data();
    run.n_targets = n_targets.data(), run.clipped = clipped.data();
    for (int epoch = 0; epoch < 3; epoch++) run.begin = 0, train(&run);
    return losses[1];
  }

  std::vector<float> predict(int n_threads) {
    std::vector<float> outputs(N_ROWS);
    Batch batch{};
    batch.network = &network, batch.data = &data, batch.rows = order.data();
    batch.n_rows = N_ROWS, batch.n_threads = n_threads, batch.outputs = outputs.data();
    run_batch(&batch);
    return outputs;
  }
};

int main() {
  Model alone, shared;
  if (alone.fit(1) != shared.fit(4) || alone.weights != shared.weights) {
    std::puts("threads change what is learned");
    return 1;
  }
  const std::vector<float> expected = alone.predict(1);
  // One model predicts in several threads, each of which starts its own.
  std::vector<std::vector<float>> found(3);
  std::vector<std::thread> callers;
  for (auto &outputs : found)
    callers.emplace_back([&] { outputs = shared.predict(3); });
  for (auto &caller : callers) caller.join();
  for (auto &outputs : found)
    if (outputs != expected) {
      std::puts("threads change predictions");
      return 1;
    }
  std::puts("passed");
  return 0;
}
