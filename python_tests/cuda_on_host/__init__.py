"""The CUDA sources of csrc/cuda, compiled by the C++ compiler and run on the CPU."""
