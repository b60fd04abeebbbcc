#include "../scatter_dispatch.cuh"

template int dinfgrid::cuda::scatter_in<1>(const Call<float>&, const float*, float*, void*);
