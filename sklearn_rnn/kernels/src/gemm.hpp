// The one matrix product behind every pass: C (+)= A B over tiles of registers.
#pragma once
#include <algorithm>
#include "simd.hpp"

namespace CONCAT(kernels_on_, INSTRUCTION_SET) {

// Where the elements of a product lie. Element (m, k) of A is at m * a_row + k * a_depth,
// row k of B at k * b_depth (a packed B: see `pack`), row m of C at m * c_row. The sum
// runs over `depth` k's in each of `steps` steps, which are a_step and b_step apart.
struct Product {
  int depth;
  int64_t a_row, a_depth, c_row;
  int64_t b_depth = 0;  // 0: B is packed
  bool add = false;     // to what C holds already
  int steps = 1;
  int64_t a_step = 0, b_step = 0;
};

template <class T, int M, int NV>
static void tile(const Product &p, int64_t b_depth, const T *a, const T *b, T *c) {
  typedef Vector<T> V;
  V sum[M][NV];
  for (int m = 0; m < M; m++)
    for (int n = 0; n < NV; n++)
      sum[m][n] = p.add ? load(c + m * p.c_row + n * LANES<T>) : V{};
  for (int s = 0; s < p.steps; s++) {
    const T *a_k = a + s * p.a_step, *b_k = b + s * p.b_step;
    for (int k = 0; k < p.depth; k++, a_k += p.a_depth, b_k += b_depth) {
      V row[NV];
      for (int n = 0; n < NV; n++) row[n] = load(b_k + n * LANES<T>);
      for (int m = 0; m < M; m++)
        for (int n = 0; n < NV; n++) sum[m][n] += a_k[m * p.a_row] * row[n];
    }
  }
  for (int m = 0; m < M; m++)
    for (int n = 0; n < NV; n++) store(c + m * p.c_row + n * LANES<T>, sum[m][n]);
}

template <class T, int NV, int M = MR> inline void tile_of(int rows, const Product &p,
                                                           int64_t b_depth, const T *a,
                                                           const T *b, T *c) {
  if constexpr (M > 1)
    if (rows < M) return tile_of<T, NV, M - 1>(rows, p, b_depth, a, b, c);
  tile<T, M, NV>(p, b_depth, a, b, c);
}

// Multiply `rows` rows; `columns` are whole vectors. Each element of C is one sum in the
// order of k, whatever the number of rows: a row's result does not depend on the other
// rows.
template <class T> static void multiply(int rows, int columns, const Product &p, const T *a,
                                        const T *b, T *c) {
  if (rows < 1) return;
  const int n_tiles = (rows + MR - 1) / MR, tile_rows = (rows + n_tiles - 1) / n_tiles;
  for (int j = 0; j < columns; j += 2 * LANES<T>) {
    const bool is_wide = columns - j >= 2 * LANES<T>;
    const T *b_j = p.b_depth ? b + j : b + (int64_t)j * p.depth;
    const int64_t b_depth = p.b_depth ? p.b_depth : (is_wide ? 2 : 1) * LANES<T>;
    for (int i = 0; i < rows; i += tile_rows) {
      const int here = std::min(tile_rows, rows - i);
      if (is_wide)
        tile_of<T, 2>(here, p, b_depth, a + i * p.a_row, b_j, c + i * p.c_row + j);
      else
        tile_of<T, 1>(here, p, b_depth, a + i * p.a_row, b_j, c + i * p.c_row + j);
    }
  }
}

// Where column `j` of a packed B of `depth` rows begins; its rows are `panel_width` apart.
template <class T> inline int64_t panel_offset(int j, int depth) {
  return (int64_t)j / (2 * LANES<T>)*(2 * LANES<T>)*depth + j % (2 * LANES<T>);
}
template <class T> inline int panel_width(int j, int columns) {
  return std::min(2 * LANES<T>, columns - j / (2 * LANES<T>)*(2 * LANES<T>));
}

// Pack B for `multiply`: panels of two vectors of columns (the last one may be one), row
// after row. fill(k, j, to) writes the vector of columns that begins at j.
template <class T, class Fill>
static void pack(int depth, int columns, T *panel, Fill fill) {
  for (int j = 0; j < columns; j += LANES<T>) {
    T *to = panel + panel_offset<T>(j, depth);
    for (int k = 0; k < depth; k++, to += panel_width<T>(j, columns)) fill(k, j, to);
  }
}

}  // namespace CONCAT(kernels_on_,INSTRUCTION_SET)
