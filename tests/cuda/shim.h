/* The words of CUDA for a C or C++ compiler: a block is run by one thread, which takes the part of every thread of
   the block in turn between two barriers. A launch is a loop over blocks outside. */

#ifdef __cplusplus
#define EXPORT extern "C"
extern "C" {
#else
#define EXPORT
#endif
double acos(double), asin(double), atan2(double, double), copysign(double, double), cos(double), exp(double);
double expm1(double), fabs(double), fma(double, double, double), frexp(double, int*), ldexp(double, int), pow(double, double);
double log(double), log1p(double), nextafter(double, double), rint(double), sin(double), sinh(double), sqrt(double);
float acosf(float), fabsf(float), logf(float), sinf(float), sqrtf(float);
#ifdef __cplusplus
}
#endif

typedef struct {
    unsigned x, y, z;
} dim3;

EXPORT dim3 gridDim, blockDim, blockIdx;
dim3 gridDim, blockDim, blockIdx, threadIdx;

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __shared__ static
#define __constant__ static const
#define __syncthreads() ((void)0)
#define EACH_THREAD for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)
