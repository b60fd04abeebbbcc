// The launchers of csrc/cuda behind a C interface, on packed grids.

#include "kernels.h"

#include "packed_grid.h"

using namespace dinfgrid;

#define ENTRIES(Scalar)                                                                           \
  extern "C" int gather_##Scalar(const int64_t* ints, const double* floats, int channels,         \
                                 int order, int concat, int64_t points, const Scalar* x,          \
                                 const Scalar* features, Scalar* y) {                             \
    const Grid<Scalar> grid = unpack_grid<Scalar>(ints, floats, channels);                        \
    return cuda::gather<Scalar>({grid, order, concat != 0, points, x}, features, y, nullptr);     \
  }                                                                                               \
  extern "C" int scatter_##Scalar(const int64_t* ints, const double* floats, int channels,        \
                                  int order, int concat, int64_t points, const Scalar* x,         \
                                  const Scalar* y, Scalar* features) {                            \
    const Grid<Scalar> grid = unpack_grid<Scalar>(ints, floats, channels);                        \
    return cuda::scatter<Scalar>({grid, order, concat != 0, points, x}, y, features, nullptr);    \
  }                                                                                               \
  extern "C" int64_t tile_count_##Scalar(const int64_t* ints, const double* floats) {             \
    return cuda::tile_count(unpack_grid<Scalar>(ints, floats, 1));                                \
  }                                                                                               \
  extern "C" int tiles_##Scalar(const int64_t* ints, const double* floats, int64_t points,        \
                                const Scalar* x, int64_t* tile) {                                 \
    const Grid<Scalar> grid = unpack_grid<Scalar>(ints, floats, 1);                               \
    return cuda::tiles<Scalar>({grid, 0, true, points, x}, tile, nullptr);                        \
  }                                                                                               \
  extern "C" int scatter_sorted_##Scalar(const int64_t* ints, const double* floats, int channels, \
                                         int order, int concat, int64_t points, const Scalar* x,  \
                                         const Scalar* y, const int64_t* point,                   \
                                         const int64_t* first, Scalar* features) {                \
    const Grid<Scalar> grid = unpack_grid<Scalar>(ints, floats, channels);                        \
    return cuda::scatter_sorted<Scalar>({grid, order, concat != 0, points, x}, y, point, first,   \
                                        features, nullptr);                                       \
  }

ENTRIES(float)
ENTRIES(double)
