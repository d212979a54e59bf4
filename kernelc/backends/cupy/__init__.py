"""The CuPy backend: CUDA kernels beside the NumPy package, for arrays that live on a GPU."""
