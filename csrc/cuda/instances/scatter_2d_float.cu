#include "../scatter_dispatch.cuh"

template int dinfgrid::cuda::scatter_in<2>(const Call<float>&, const float*, float*, void*);
