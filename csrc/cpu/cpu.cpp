#include "../kernels.h"
#include "neighborhood.h"

// Chooses the instruction set once, and holds what is too small to be compiled for each.

namespace dinfgrid::cpu {

namespace portable {
template <typename Scalar>
void gather(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
template <typename Scalar>
void scatter(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
}  // namespace portable

#if defined(__x86_64__)
namespace avx2 {
template <typename Scalar>
void gather(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
template <typename Scalar>
void scatter(const Call<Scalar>&, const Scalar*, Scalar*, const Parallel&);
}  // namespace avx2
static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif

template <typename Scalar>
void gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, const Parallel& parallel) {
#if defined(__x86_64__)
  if (has_avx2) return avx2::gather(call, features, y, parallel);
#endif
  portable::gather(call, features, y, parallel);
}

template <typename Scalar>
void scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features,
             const Parallel& parallel) {
#if defined(__x86_64__)
  if (has_avx2) return avx2::scatter(call, y, features, parallel);
#endif
  portable::scatter(call, y, features, parallel);
}

const char* instruction_set() {
#if defined(__x86_64__)
  if (has_avx2) return "avx2";
#endif
  return "portable";
}

template <typename Scalar>
void tables(const Grid<Scalar>& grid, int level, int axis, int order, int64_t points,
            const Scalar* x, int64_t* nodes, Scalar* weights) {
  using P = Pack<Scalar>;
  const int count = 2 * grid.basis.rho;
  for (int64_t point = 0; point < points; point += P::lanes) {
    Scalar lanes[P::lanes];
    for (int l = 0; l < P::lanes; ++l) lanes[l] = x[point + l < points ? point + l : points - 1];
    const Location<Scalar> where = locate(grid, level, axis, lanes);
    Rows<P, kMaxOrder, AnyNodes> rows;
    axis_rows<kMaxOrder>(grid, level, axis, where, rows);
    for (int l = 0; l < P::lanes && point + l < points; ++l) {
      for (int k = 0; k < count; ++k) {
        nodes[(point + l) * count + k] = node_index(
            grid.boundary[axis], grid.level[level].cells[axis], grid.basis.rho, where.cell[l], k);
        for (int m = 0; m <= order; ++m)
          weights[((point + l) * (order + 1) + m) * count + k] = rows[m][k].v[l];
      }
    }
  }
}

template void gather(const Call<float>&, const float*, float*, const Parallel&);
template void gather(const Call<double>&, const double*, double*, const Parallel&);
template void scatter(const Call<float>&, const float*, float*, const Parallel&);
template void scatter(const Call<double>&, const double*, double*, const Parallel&);
template void tables(const Grid<float>&, int, int, int, int64_t, const float*, int64_t*, float*);
template void tables(const Grid<double>&, int, int, int, int64_t, const double*, int64_t*, double*);

}  // namespace dinfgrid::cpu
