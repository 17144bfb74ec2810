// All kernels for one instruction set: compiled once per set with -DINSTRUCTION_SET=...
#include "interface.hpp"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

namespace {

void add(const Sum *sum) {
  for (int64_t i = 0; i < sum->size; ++i) sum->out[i] = sum->a[i] + sum->b[i];
}

#if defined(__AVX512F__)
constexpr int32_t VECTOR_BYTES = 64;
#elif defined(__AVX2__)
constexpr int32_t VECTOR_BYTES = 32;
#else
constexpr int32_t VECTOR_BYTES = 16;
#endif

}  // namespace

const Kernels *JOIN(kernels_, INSTRUCTION_SET)() {
  static const Kernels kernels = {TEXT(INSTRUCTION_SET), VECTOR_BYTES, add};
  return &kernels;
}
