"""What every generated package with the cupy backend carries: `_cupy.py` verbatim, the CUDA text inside `_kernels.cu`.

The CUDA text keeps to what CUDA C++, C++17 and C99 share, so that a C compiler can run the same kernels on a CPU.
"""
