// The C interface: plain structs, and the functions of one instruction set.
#pragma once
#include <cstdint>

constexpr int32_t ABI_VERSION = 1;

extern "C" {

struct Sum {
  const float *a, *b;
  float *out;
  int64_t size;
};

}  // extern "C"

struct Kernels {
  const char *name;
  int32_t vector_bytes;
  void (*add)(const Sum *);
};
