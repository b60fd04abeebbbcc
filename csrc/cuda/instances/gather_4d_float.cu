#include "../gather_dispatch.cuh"

template int dinfgrid::cuda::gather_in<4>(const Call<float>&, const float*, float*, void*);
