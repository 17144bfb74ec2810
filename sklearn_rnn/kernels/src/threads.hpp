// Threads that live as long as one call, and memory that is kept between its batches.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace {

// Denormal numbers are zero while this lives: gradients that fade through many steps
// would make processors compute with them a hundred times as slowly.
class FlushDenormals {
#if defined(__SSE2__)
  unsigned before = _mm_getcsr();

 public:
  FlushDenormals() { _mm_setcsr(before | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;

 public:
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before));
    asm volatile("msr fpcr, %0" : : "r"(before | (1u << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

// Threads that share the jobs of a call. They are started when first needed, and none
// outlives the call, so forking between calls is safe.
class Workers {
  typedef std::function<void(int job, int worker)> Job;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable work_ready, work_done;
  const Job *current_job = nullptr;
  std::atomic<int> next{0};
  std::exception_ptr failure;
  int n_jobs = 0, running = 0;
  int64_t round = 0;
  bool stopping = false;

  void run_jobs(int worker) {
    try {
      for (int job; (job = next++) < n_jobs;) (*current_job)(job, worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
    }
  }
  void work(int worker, int64_t seen) {
    FlushDenormals flush;
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      work_ready.wait(lock, [&] { return stopping || round != seen; });
      if (stopping) return;
      seen = round;
      lock.unlock();
      run_jobs(worker);
      lock.lock();
      if (--running == 0) work_done.notify_one();
    }
  }

 public:
  const int n;
  explicit Workers(int n) : n(n < 1 ? 1 : n) {}
  ~Workers() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
    }
    work_ready.notify_all();
    for (auto &thread : threads) thread.join();
  }
  // Run job(0), ..., job(n_jobs - 1), each by one of `n` workers.
  void run(int count, bool in_parallel, const Job &job) {
    if (n == 1 || count == 1 || !in_parallel) {
      for (int i = 0; i < count; i++) job(i, 0);
      return;
    }
    for (int i = (int)threads.size() + 1; i < std::min(n, count); i++) try {
        threads.emplace_back([this, i, seen = round] { work(i, seen); });
      } catch (const std::system_error &) {
        break;  // the system allows no more of them: fewer do the work
      }
    {
      std::lock_guard<std::mutex> lock(mutex);
      current_job = &job, n_jobs = count, next = 0, running = (int)threads.size();
      round++;
    }
    work_ready.notify_all();
    run_jobs(0);
    std::unique_lock<std::mutex> lock(mutex);
    work_done.wait(lock, [&] { return running == 0; });
    if (failure) std::rethrow_exception(failure);
  }
};

// Arrays side by side in one allocation, which grows and stays. In a build with
// SEPARATE_ARRAYS each array is an allocation of its own, for the address sanitizer, and
// begins as NaN, so that results tell of elements that are read before they are written.
class Arena {
  static constexpr std::align_val_t ALIGNMENT{64};
  std::vector<char *> allocations;
  size_t size = 0, used = 0;
  bool counts = false;

  char *allocate(size_t n) {
    allocations.push_back((char *)::operator new(n, ALIGNMENT));
#ifdef SEPARATE_ARRAYS
    std::memset(allocations.back(), 0xff, n);
#endif
    return allocations.back();
  }
  void release() {
    for (char *array : allocations) ::operator delete(array, ALIGNMENT);
    allocations.clear();
    size = 0;
  }

 public:
  Arena() = default;
  Arena(const Arena &) = delete;
  ~Arena() { release(); }

  // Call lay_out() twice: once to count, and once to hand out memory.
  template <class LayOut> void arrange(LayOut lay_out) {
    used = 0, counts = true;
    lay_out();
#ifdef SEPARATE_ARRAYS
    release();
#else
    if (used > size || allocations.empty()) {
      release();
      allocate(used);
      size = used;
    }
#endif
    used = 0, counts = false;
    lay_out();
  }
  template <class T> T *take(int64_t n) {
    const size_t bytes = ((size_t)n * sizeof(T) + 63) / 64 * 64, at = used;
    used += bytes;
    if (counts) return nullptr;
#ifdef SEPARATE_ARRAYS
    return (T *)allocate((size_t)n * sizeof(T));
#else
    return (T *)(allocations[0] + at);
#endif
  }
};

}  // namespace
