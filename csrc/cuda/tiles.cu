#include "launch.h"
#include "neighborhood.h"
#include "tiles.h"

namespace dinfgrid {
namespace cuda {

template <typename Scalar>
__global__ void __launch_bounds__(kThreads)
    tiles_kernel(const __grid_constant__ Call<Scalar> call, int64_t* tile) {
  const int level = blockIdx.y;
  const int64_t point = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (point >= call.points) return;
  const Grid<Scalar>& grid = call.grid;
  int64_t cell = 0;
  for (int axis = 0; axis < grid.dim; ++axis) {
    const int32_t cells = grid.level[level].cells[axis];
    const Scalar t = grid_coordinate(grid, level, axis, call.x[point * grid.dim + axis]);
    cell = cell * cells + cell_of(t, cells);
  }
  tile[level * call.points + point] = first_tile(grid, level) + cell;
}

template <typename Scalar>
int64_t tile_count(const Grid<Scalar>& grid) {
  return first_tile(grid, grid.levels);
}

template <typename Scalar>
int tiles(const Call<Scalar>& call, int64_t* tile, void* stream) {
  if (call.points == 0) return 0;
  const dim3 blocks(blocks_for(call.points, kThreads), call.grid.levels);
  return launch(tiles_kernel<Scalar>, blocks, kThreads, 0, stream, call, tile);
}

template int64_t tile_count(const Grid<float>&);
template int64_t tile_count(const Grid<double>&);
template int tiles(const Call<float>&, int64_t*, void*);
template int tiles(const Call<double>&, int64_t*, void*);

}  // namespace cuda
}  // namespace dinfgrid
