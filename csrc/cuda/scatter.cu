#include "scatter_dispatch.cuh"

namespace dinfgrid {
namespace cuda {

template <typename Scalar>
int scatter(const Call<Scalar>& call, const Scalar* y, Scalar* features, void* stream) {
  switch (call.grid.dim) {
    case 1:
      return scatter_in<1>(call, y, features, stream);
    case 2:
      return scatter_in<2>(call, y, features, stream);
    case 3:
      return scatter_in<3>(call, y, features, stream);
    default:
      return scatter_in<4>(call, y, features, stream);
  }
}

template int scatter(const Call<float>&, const float*, float*, void*);
template int scatter(const Call<double>&, const double*, double*, void*);

}  // namespace cuda
}  // namespace dinfgrid
