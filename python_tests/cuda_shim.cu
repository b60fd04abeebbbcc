// The CUDA launchers behind a C interface, for a few shapes, so that a test builds them in seconds.
// Another user names its own: DINFGRID_FAST, FLOAT_SHAPES and DOUBLE_SHAPES.

#ifndef DINFGRID_FAST
#define DINFGRID_FAST(dim, order, nodes)                                                 \
  ((dim == 1 && (nodes == 2 || nodes == 8)) || (dim == 2 && order == 2 && nodes == 6) || \
   (dim == 3 && nodes == 4))
#endif

#include "cuda/gather_dispatch.cuh"
#include "cuda/scatter_dispatch.cuh"
#include "cuda/scatter_sorted_dispatch.cuh"
#include "packed_grid.h"

using namespace dinfgrid;

namespace {

enum class Operation : int { gather, scatter, scatter_sorted };

template <int Dim, int Order, typename Scalar>
int run(Operation operation, const Call<Scalar>& call, const Scalar* from, const int64_t* point,
        const int64_t* first, Scalar* to) {
  if (operation == Operation::gather)
    return cuda::gather_order<Dim, Order>(call, from, to, nullptr);
  if (operation == Operation::scatter)
    return cuda::scatter_order<Dim, Order>(call, from, to, nullptr);
  return cuda::scatter_sorted_order<Dim, Order>(call, from, point, first, to, nullptr);
}

}  // namespace

constexpr int kNotBuilt = -1;

#define SHAPE(Dim, Order) \
  if (dim == Dim && order == Order) return run<Dim, Order>(operation, call, from, point, first, to)

#define ENTRY(Scalar, SHAPES)                                                                   \
  extern "C" int64_t tile_count_##Scalar(const int64_t* ints, const double* floats) {           \
    return cuda::tile_count(unpack_grid<Scalar>(ints, floats, 1));                              \
  }                                                                                             \
  extern "C" int tiles_##Scalar(const int64_t* ints, const double* floats, int64_t points,      \
                                const Scalar* x, int64_t* tile) {                               \
    return cuda::tiles(Call<Scalar>{unpack_grid<Scalar>(ints, floats, 1), 0, true, points, x},  \
                       tile, nullptr);                                                          \
  }                                                                                             \
  extern "C" int run_##Scalar(Operation operation, const int64_t* ints, const double* floats,   \
                              int channels, int order, bool concat, int64_t points,             \
                              const Scalar* x, const Scalar* from, const int64_t* point,        \
                              const int64_t* first, Scalar* to) {                               \
    const Call<Scalar> call{unpack_grid<Scalar>(ints, floats, channels), order, concat, points, \
                            x};                                                                 \
    const int dim = call.grid.dim;                                                              \
    SHAPES;                                                                                     \
    return kNotBuilt;                                                                           \
  }

#ifndef FLOAT_SHAPES
#define FLOAT_SHAPES \
  SHAPE(1, 1);       \
  SHAPE(2, 2);       \
  SHAPE(3, 1);       \
  SHAPE(4, 1)
#define DOUBLE_SHAPES \
  SHAPE(1, 3);        \
  SHAPE(2, 1)

#endif

ENTRY(float, FLOAT_SHAPES)
ENTRY(double, DOUBLE_SHAPES)
