#include "../gather_dispatch.cuh"

template int dinfgrid::cuda::gather_in<2>(const Call<float>&, const float*, float*, void*);
