// What bench/gpu_model.py builds of the kernels, by way of python_tests/cuda_shim.cu.
#pragma once

#define DINFGRID_FAST(dim, order, nodes)                     \
  ((dim == 2 && (order == 1 || order == 2) && nodes == 6) || \
   (dim == 3 && order == 1 && (nodes == 4 || nodes == 6)))
#define FLOAT_SHAPES \
  SHAPE(2, 1);       \
  SHAPE(2, 2);       \
  SHAPE(3, 1)
#define DOUBLE_SHAPES
