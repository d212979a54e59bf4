/* What the kernels are written in: the common part of CUDA C++, C++17 and C99, without headers.
   -DSINGLE=1: REAL is float; without it, double. CLOSED, NORMS: see the pairs. Elsewhere than on a GPU, what runs
   them defines the CUDA words and EACH_THREAD, a loop over the threads of a block between two barriers (on a GPU:
   nothing). */

#ifndef SINGLE
#define SINGLE 0
#endif
#ifndef CLOSED
#define CLOSED 0
#endif
#ifndef NORMS
#define NORMS 0
#endif
#ifndef EACH_THREAD
#define EACH_THREAD
#endif
#ifdef __CUDACC_RTC__
/* one text serves kernels of which each needs a part */
#pragma nv_diag_suppress 177, 550
#endif
#ifdef __cplusplus
#define KERNEL extern "C" __global__ void
#else
#define KERNEL __global__ void
#endif
#define INLINE static __device__ __forceinline__
#define APART static __device__ __noinline__

#if SINGLE
typedef float REAL;
#define CLOSE ((REAL)1e-2)
#define ACOS acosf
#define FABS fabsf
#define LOG logf
#define SIN sinf
#else
typedef double REAL;
#define CLOSE ((REAL)1e-4)
#define ACOS acos
#define FABS fabs
#define LOG log
#define SIN sin
#endif

#define PI 3.141592653589793

typedef unsigned long long size_type;
