// What the library exports: the choice of an instruction set, and the kernels of it.
//
// Compiled for every processor of the architecture, with -DSETS(F)=F(avx512) F(avx2) ...
// naming the instruction sets that were compiled in, the widest first.
#include <cstring>
#include <new>
#include "interface.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#define DECLARE(set) const Kernels *kernels_##set();
SETS(DECLARE)

namespace {

#if defined(__x86_64__)

// __builtin_cpu_supports would do, but not every linker has what it needs.
struct Processor {
  bool avx2 = false, avx512 = false;

  Processor() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool fma = c >> 12 & 1, saves = c >> 27 & 1;  // OSXSAVE
    if (!fma || !saves) return;
    // The operating system has to save the wide registers when threads change.
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    avx2 = (b >> 5 & 1) && (low & 0x06) == 0x06;
    avx512 = avx2 && (b & f_dq_bw_vl) == f_dq_bw_vl && (low & 0xe6) == 0xe6;
  }
};

bool is_usable(const char *set) {
  static const Processor processor;
  if (!std::strcmp(set, "avx512")) return processor.avx512;
  if (!std::strcmp(set, "avx2")) return processor.avx2;
  return true;
}

#else

bool is_usable(const char *) { return true; }

#endif

struct Usable {
  const Kernels *kernels[8] = {};
  char names[64] = "";
  int size = 0;

  Usable() {
#define CONSIDER(set) \
  if (is_usable(#set)) append(kernels_##set());
    SETS(CONSIDER)
  }

  void append(const Kernels *found) {
    if (size) std::strcat(names, ",");
    std::strcat(names, found->name);
    kernels[size++] = found;
  }
};

const Usable usable;
const Kernels *active = usable.kernels[0];

}  // namespace

// Sets may be changed only while no kernel runs, and sizes of buffers depend on them.
EXPORT int set_instruction_set(const char *name) {
  for (int i = 0; i < usable.size; ++i)
    if (!std::strcmp(usable.kernels[i]->name, name)) {
      active = usable.kernels[i];
      return 1;
    }
  return 0;
}

EXPORT const char *instruction_set() { return active->name; }

EXPORT const char *instruction_sets() { return usable.names; }

EXPORT int vector_bytes() { return active->vector_bytes; }

EXPORT const char *interface_hash() { return TEXT(INTERFACE_HASH); }

// The build looks for this text in the file, without loading it.
EXPORT const char *source_hash() {
  static const char text[] = "sources of the kernels: " TEXT(SOURCE_HASH);
  return text + sizeof("sources of the kernels: ") - 1;
}

EXPORT const char *compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

// The kernels return 0; 1 if there was no memory left; 2 for any other failure.
#define EXPORT_KERNEL(name, Struct)    \
  EXPORT int name(Struct *arguments) { \
    try {                              \
      active->name(arguments);         \
    } catch (const std::bad_alloc &) { \
      return 1;                        \
    } catch (...) {                    \
      return 2;                        \
    }                                  \
    return 0;                          \
  }

EXPORT_KERNEL(recurrence_forward, const Recurrence)
EXPORT_KERNEL(recurrence_backward, const Recurrence)
EXPORT_KERNEL(run_batch, Batch)
EXPORT_KERNEL(train, Training)
EXPORT_KERNEL(clip, Optimizer)
EXPORT_KERNEL(update, Optimizer)
