#include "../scatter_sorted_dispatch.cuh"

namespace dinfgrid::cuda {
DINFGRID_SCATTER_SORTED_IN(1, float);
}  // namespace dinfgrid::cuda
