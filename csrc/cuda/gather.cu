#include "gather_dispatch.cuh"

namespace dinfgrid {
namespace cuda {

template <typename Scalar>
int gather(const Call<Scalar>& call, const Scalar* features, Scalar* y, void* stream) {
  switch (call.grid.dim) {
    case 1:
      return gather_in<1>(call, features, y, stream);
    case 2:
      return gather_in<2>(call, features, y, stream);
    case 3:
      return gather_in<3>(call, features, y, stream);
    default:
      return gather_in<4>(call, features, y, stream);
  }
}

template int gather(const Call<float>&, const float*, float*, void*);
template int gather(const Call<double>&, const double*, double*, void*);

}  // namespace cuda
}  // namespace dinfgrid
