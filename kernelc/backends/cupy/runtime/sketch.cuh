/* Random features of rows. Every number that a row's features are made of (coefficients of its norm, radial factors)
   stands in `facts`: row i's at facts + i * stride, where stride 0 means that all rows share one. */

#ifndef FAST
#define FAST 0
#endif
#define THREADS 256
/* Entries of a transform that a block holds: in float64 two thirds of its shared memory. */
#define LONGEST (SINGLE ? 8192 : 4096)
/* Coefficients of one part of a zonal sketch at most, and directions a thread takes at a time. */
#define MOST_TERMS 24
#define AT_ONCE 4

/* The norms of rows of a CSR matrix. */
KERNEL sparse_norms(const REAL* __restrict__ data, const int* __restrict__ starts, double* __restrict__ norms) {
    __shared__ double part[LANES];
    __shared__ double peak;
    const int first = starts[blockIdx.x];
    row_norm(data + first, starts[blockIdx.x + 1] - first, part, &peak, norms + blockIdx.x);
}

/* x / norm, 0 where the norm is; the inverse of a norm near the ends of float64 would lose digits. */
INLINE double over_norm(double x, double norm) {
    return norm > 1e-290 && norm < 1e290 ? x * (1.0 / norm) : norm > 0.0 ? x / norm : 0.0;
}

/* unit (n, d) = x / norms; `unit` may be x. */
KERNEL directions(const REAL* x, const double* __restrict__ norms, int d, REAL* unit) {
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    const double norm = norms[blockIdx.x];
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < d; k += (int)blockDim.x) {
            unit[start + k] = (REAL)over_norm((double)x[start + k], norm);
        }
    }
}

/* Rows of a CSR matrix over their norms (as they are where there are none), dense (n, columns); with `places` and
   `signs`, their CountSketch in `columns` buckets. One thread owns a column: no order of additions is left open. */
KERNEL scattered(const REAL* __restrict__ data, const int* __restrict__ indices, const int* __restrict__ starts,
                 const double* __restrict__ norms, int scaled, const int* __restrict__ places,
                 const REAL* __restrict__ signs, int counted, int columns, REAL* __restrict__ out) {
    const size_type start = (size_type)blockIdx.x * (size_type)columns;
    const int first = starts[blockIdx.x], last = starts[blockIdx.x + 1];
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < columns; k += (int)blockDim.x) {
            out[start + k] = (REAL)0;
        }
    }
    __syncthreads();
    EACH_THREAD {
        for (int k = first; k < last; ++k) {
            const int index = indices[k];
            const int place = counted ? places[index] : index;
            if (place % (int)blockDim.x == (int)threadIdx.x) {
                const double value = (double)data[k] * (counted ? (double)signs[index] : 1.0);
                out[start + place] += scaled ? (REAL)over_norm(value, norms[blockIdx.x]) : (REAL)value;
            }
        }
    }
}

/* The CountSketch of dense rows over their norms: out (n, buckets); bucket b holds the columns order[starts[b]].. */
KERNEL counted(const REAL* __restrict__ x, const double* __restrict__ norms, const int* __restrict__ order,
               const int* __restrict__ starts, const REAL* __restrict__ signs, int d, int buckets,
               REAL* __restrict__ out) {
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    const size_type target = (size_type)blockIdx.x * (size_type)buckets;
    EACH_THREAD {
        for (int b = (int)threadIdx.x; b < buckets; b += (int)blockDim.x) {
            double sum = 0.0;
            for (int k = starts[b]; k < starts[b + 1]; ++k) {
                sum += (double)x[start + order[k]] * (double)signs[order[k]];
            }
            out[target + b] = (REAL)over_norm(sum, norms[blockIdx.x]);
        }
    }
}

/* The reflection x - 2 v <v, x> of unit rows: the angle to the first axis, and the direction of the rest (n, d - 1). */
KERNEL split(const REAL* __restrict__ unit, const double* __restrict__ v, int d, REAL* __restrict__ rest,
             double* __restrict__ angles) {
    __shared__ double part[THREADS];
    __shared__ double along, length;
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    const size_type target = (size_type)blockIdx.x * (size_type)(d - 1);
    EACH_THREAD {
        double sum = 0.0;
        for (int k = (int)threadIdx.x; k < d; k += THREADS) {
            sum += (double)unit[start + k] * v[k];
        }
        part[threadIdx.x] = sum;
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            along = 0.0;
            for (int k = 0; k < THREADS; ++k) {
                along += part[k];
            }
        }
    }
    __syncthreads();
    EACH_THREAD {
        double sum = 0.0;
        for (int k = 1 + (int)threadIdx.x; k < d; k += THREADS) {
            const double value = (double)unit[start + k] - 2.0 * along * v[k];
            sum += value * value;
        }
        part[threadIdx.x] = sum;
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            double sum = 0.0;
            for (int k = 0; k < THREADS; ++k) {
                sum += part[k];
            }
            length = sqrt(sum);
            angles[blockIdx.x] = atan2(length, (double)unit[start] - 2.0 * along * v[0]);
        }
    }
    __syncthreads();
    EACH_THREAD {
        for (int k = 1 + (int)threadIdx.x; k < d; k += THREADS) {
            const double value = (double)unit[start + k] - 2.0 * along * v[k];
            rest[target + k - 1] = (REAL)(length > 0.0 ? value / length : 0.0);
        }
    }
}

/* weights (n, count): barycentric interpolation at `nodes` of what is known there; see `RadialSeries.weights`. */
KERNEL radial_weights(const double* __restrict__ norms, int n, const double* __restrict__ nodes,
                      const double* __restrict__ signs, int count, double low, double high, double shift, int linear,
                      double* __restrict__ weights) {
    EACH_THREAD {
        const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
        if (i < n) {
            const double held = norms[i] < low ? low : norms[i] > high ? high : norms[i];
            const double position = linear ? held : log(held + shift);
            double* row = weights + (size_type)i * (size_type)count;
            double total = 0.0;
            int hit = -1;
            for (int j = 0; j < count; ++j) {
                const double gap = position - nodes[j];
                hit = fabs(gap) < 1e-14 ? j : hit;
                row[j] = fabs(gap) < 1e-14 ? 0.0 : signs[j] / gap;
                total += row[j];
            }
            for (int j = 0; j < count; ++j) {
                row[j] = hit < 0 ? row[j] / total : (double)(j == hit);
            }
        }
    }
}

/* Monomials of unit rows less their traces, times a factor of the row's norm: `terms` (columns, 4) three columns of x
   (-1: none) and the factor's place in `facts`, `numbers` (columns, 5) weight, constant, traces of the three. */
KERNEL harmonics(const REAL* __restrict__ unit, int d, const int* __restrict__ terms,
                 const double* __restrict__ numbers, int columns, const double* __restrict__ facts, int stride,
                 const double* __restrict__ scale, REAL* __restrict__ out, int width) {
    const REAL* row = unit + (size_type)blockIdx.x * (size_type)d;
    const double* own = facts + (size_type)blockIdx.x * (size_type)stride;
    EACH_THREAD {
        for (int c = (int)threadIdx.x; c < columns; c += (int)blockDim.x) {
            REAL product = (REAL)1, traces = (REAL)numbers[5 * c + 1];
            for (int k = 0; k < 3; ++k) {
                if (terms[4 * c + k] >= 0) {
                    const REAL x = row[terms[4 * c + k]];
                    product *= x;
                    traces += (REAL)numbers[5 * c + 2 + k] * x;
                }
            }
            const REAL factor = (REAL)(own[terms[4 * c + 3]] * scale[blockIdx.x]);
            out[(size_type)blockIdx.x * (size_type)width + c] = (product - traces) * (REAL)numbers[5 * c] * factor;
        }
    }
}

/* out (n, blocks * length): each row (n, d) once a block, times the block's signs, zeros behind it. */
KERNEL padded(const REAL* __restrict__ x, int d, const REAL* __restrict__ signs, int blocks, int length,
              REAL* __restrict__ out) {
    const size_type start = (size_type)blockIdx.x * (size_type)d;
    const size_type target = (size_type)blockIdx.x * (size_type)blocks * (size_type)length;
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < blocks * length; k += (int)blockDim.x) {
            const int place = k % length;
            out[target + k] = place < d ? x[start + place] * signs[k] : (REAL)0;
        }
    }
}

/* Entries 32 apart would meet in one bank of the shared memory. */
#define SPOT(k) ((k) + ((k) >> 5))
#define LINE (LONGEST + LONGEST / 32)

/* Hadamard's transform in natural order of `size` entries, in place; for all threads of a block together. */
INLINE void butterflies(REAL* line, int size) {
    int step = 1;
    for (; step * 2 < size; step *= 4) {
        EACH_THREAD {
            for (int k = (int)threadIdx.x; k < size / 4; k += THREADS) {
                const int first = (k & ~(step - 1)) * 4 + (k & (step - 1));
                const REAL a = line[SPOT(first)], b = line[SPOT(first + step)];
                const REAL c = line[SPOT(first + 2 * step)], d = line[SPOT(first + 3 * step)];
                line[SPOT(first)] = (a + b) + (c + d);
                line[SPOT(first + step)] = (a - b) + (c - d);
                line[SPOT(first + 2 * step)] = (a + b) - (c + d);
                line[SPOT(first + 3 * step)] = (a - b) - (c - d);
            }
        }
        __syncthreads();
    }
    if (step < size) {
        EACH_THREAD {
            for (int k = (int)threadIdx.x; k < size / 2; k += THREADS) {
                const int first = (k & ~(step - 1)) * 2 + (k & (step - 1));
                const REAL a = line[SPOT(first)], b = line[SPOT(first + step)];
                line[SPOT(first)] = a + b;
                line[SPOT(first + step)] = a - b;
            }
        }
        __syncthreads();
    }
}

/* In place: each piece of `size` <= LONGEST entries times its signs (those of the entry's place modulo `period`, none
   where that is 0), transformed. */
KERNEL hadamard(REAL* __restrict__ data, int size, const REAL* __restrict__ signs, int period) {
    __shared__ REAL line[LINE];
    REAL* piece = data + (size_type)blockIdx.x * (size_type)size;
    const int first = period ? (int)((size_type)blockIdx.x * (size_type)size % (size_type)period) : 0;
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < size; k += THREADS) {
            line[SPOT(k)] = period ? piece[k] * signs[first + k] : piece[k];
        }
    }
    __syncthreads();
    butterflies(line, size);
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < size; k += THREADS) {
            piece[k] = line[SPOT(k)];
        }
    }
}

/* In place: one more factor 2 of longer transforms, entries `stride` apart. */
KERNEL hadamard_step(REAL* __restrict__ data, size_type pairs, size_type stride) {
    EACH_THREAD {
        const size_type k = (size_type)blockIdx.x * (size_type)blockDim.x + (size_type)threadIdx.x;
        if (k < pairs) {
            const size_type first = (k & ~(stride - 1)) * 2 + (k & (stride - 1));
            const REAL a = data[first], b = data[first + stride];
            data[first] = a + b;
            data[first + stride] = a - b;
        }
    }
}

/* One part of a zonal sketch: a polynomial in z^2, by powers or by Chebyshev's, times z where odd. */
typedef struct {
    int odd, powers, terms, place;
} Channel;

INLINE Channel channel_of(const int* design, int index) {
    const int* own = design + 9 + 4 * index;
    Channel channel;
    channel.odd = own[0];
    channel.powers = own[1];
    channel.terms = own[2];
    channel.place = own[3];
    return channel;
}

/* A part at AT_ONCE values z, |z| <= 4: sum_j table[j] square^j, or sum_j table[j] T_j(twice / 2). */
INLINE void part_at(const REAL* table, Channel channel, const REAL* z, REAL ratio, REAL* values) {
    REAL variable[AT_ONCE], last[AT_ONCE];
#pragma unroll
    for (int k = 0; k < AT_ONCE; ++k) {
        variable[k] = channel.powers ? z[k] * z[k] : z[k] * z[k] * ratio - (REAL)2;
        values[k] = channel.powers ? table[channel.terms - 1] : (REAL)0;
        last[k] = (REAL)0;
    }
    if (channel.powers) {
        for (int j = channel.terms - 2; j >= 0; --j) {
#pragma unroll
            for (int k = 0; k < AT_ONCE; ++k) {
                values[k] = values[k] * variable[k] + table[j];
            }
        }
    } else {
        for (int j = channel.terms - 1; j > 0; --j) {
#pragma unroll
            for (int k = 0; k < AT_ONCE; ++k) {
                const REAL next = variable[k] * values[k] - last[k] + table[j];
                last[k] = values[k];
                values[k] = next;
            }
        }
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            values[k] = variable[k] * values[k] * (REAL)0.5 - last[k] + table[0];
        }
    }
    if (channel.odd) {
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            values[k] *= z[k];
        }
    }
}

/* What the sketched block of a row is multiplied by, from the sum of its squares. */
INLINE double length_factor(const int* design, const double* numbers, const double* own, double scale, double squares) {
    double kept = 0.0;
    if (!design[5]) {
        return scale * numbers[1];
    }
    for (int k = 0; k < design[7]; ++k) {
        kept += own[design[6] + k] * own[design[6] + k];
    }
    return squares > 0.0 ? sqrt(kept) * scale / sqrt(squares) : 0.0;
}

/* The sketched block of one row a block of threads. `design`: directions, channels, width of z (FAST: of the row), length
   of a transform (0 where none), columns of out, whether rows are scaled to their length, place and number of the factors
   that make it, the first column, then each channel. `numbers`: 4 / limit^2, 1 / sqrt(directions). `order`: where direction q of a
   transform stands. FAST: the row is taken through both transforms here; else z holds what <w, x> sqrt(d) are. */
KERNEL __launch_bounds__(THREADS)
zonal(const REAL* __restrict__ z, const REAL* __restrict__ first, const REAL* __restrict__ second,
      const int* __restrict__ order, const int* __restrict__ design, const double* __restrict__ numbers,
      const double* __restrict__ facts, int stride, const double* __restrict__ scale, REAL* __restrict__ out) {
    __shared__ REAL table[2 * MOST_TERMS];
    __shared__ REAL part[THREADS];
    __shared__ double few[16];
    __shared__ REAL factor;
#if FAST
    __shared__ REAL line[LINE];
#endif
    const int total = design[0], channels = design[1], width = design[2], length = design[3];
    const double* own = facts + (size_type)blockIdx.x * (size_type)stride;
    const REAL* source = z + (size_type)blockIdx.x * (size_type)width;
    REAL* target = out + ((size_type)blockIdx.x * (size_type)design[4] + (size_type)design[8]);
    const REAL ratio = (REAL)numbers[0];
    const int pieces = FAST ? (total + length - 1) / length : 1;
    EACH_THREAD {
        part[threadIdx.x] = (REAL)0;
        for (int c = 0; c < channels; ++c) {
            const Channel channel = channel_of(design, c);
            for (int k = (int)threadIdx.x; k < channel.terms; k += THREADS) {
                table[c * MOST_TERMS + k] = (REAL)own[channel.place + k];
            }
        }
    }
    __syncthreads();
    for (int piece = 0; piece < pieces; ++piece) {
        const int begin = FAST ? piece * length : 0;
        const int end = FAST && begin + length < total ? begin + length : total;
#if FAST
        EACH_THREAD {
            for (int k = (int)threadIdx.x; k < length; k += THREADS) {
                line[SPOT(k)] = k < width ? source[k] * first[begin + k] : (REAL)0;
            }
        }
        __syncthreads();
        butterflies(line, length);
        EACH_THREAD {
            for (int k = (int)threadIdx.x; k < length; k += THREADS) {
                line[SPOT(k)] *= second[begin + k];
            }
        }
        __syncthreads();
        butterflies(line, length);
#endif
        EACH_THREAD {
            REAL squares = (REAL)0;
            for (int q = begin + (int)threadIdx.x; q < end; q += AT_ONCE * THREADS) {
                REAL at[AT_ONCE], values[AT_ONCE];
#pragma unroll
                for (int k = 0; k < AT_ONCE; ++k) {
                    const int place = q + k * THREADS;
                    at[k] = (REAL)0;
                    if (place < end) {
#if FAST
                        const int spot = order[place - begin];
                        at[k] = line[SPOT(spot)];
#else
                        at[k] = source[length ? place - place % length + order[place % length] : place];
#endif
                        at[k] = at[k] > (REAL)4 ? (REAL)4 : at[k] < (REAL)-4 ? (REAL)-4 : at[k];
                    }
                }
                for (int c = 0; c < channels; ++c) {
                    part_at(table + c * MOST_TERMS, channel_of(design, c), at, ratio, values);
#pragma unroll
                    for (int k = 0; k < AT_ONCE; ++k) {
                        if (q + k * THREADS < end) {
                            target[(size_type)c * (size_type)total + q + k * THREADS] = values[k];
                            squares += values[k] * values[k];
                        }
                    }
                }
            }
            part[threadIdx.x] += squares;
        }
        __syncthreads();
    }
    EACH_THREAD {
        if (threadIdx.x < 16) {
            double sum = 0.0;
            for (int k = 0; k < THREADS / 16; ++k) {
                sum += (double)part[16 * k + (int)threadIdx.x];
            }
            few[threadIdx.x] = sum;
        }
    }
    __syncthreads();
    EACH_THREAD {
        if (threadIdx.x == 0) {
            double sum = 0.0;
            for (int k = 0; k < 16; ++k) {
                sum += few[k];
            }
            factor = (REAL)length_factor(design, numbers, own, scale[blockIdx.x], sum);
        }
    }
    __syncthreads();
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < channels * total; k += THREADS) {
            target[k] *= factor;
        }
    }
}

/* out (n, count) = factor * previous * vector[rows], previous being 1 where `alone`; out's rows are `width` apart, `start` is
   its first column. */
KERNEL sampled(const REAL* __restrict__ vector, int length, const int* __restrict__ rows, int count, double factor,
               const REAL* __restrict__ previous, int alone, REAL* __restrict__ out, int width, int start) {
    const REAL* source = vector + (size_type)blockIdx.x * (size_type)length;
    const size_type own = (size_type)blockIdx.x * (size_type)count;
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < count; k += (int)blockDim.x) {
            const REAL before = alone ? (REAL)1 : previous[own + k];
            out[(size_type)blockIdx.x * (size_type)width + (size_type)(start + k)] = (REAL)factor * before * source[rows[k]];
        }
    }
}

/* One degree's vector (n, inner), times its factor and signs, into joined (n, length) from column `start`. */
KERNEL joined(const REAL* __restrict__ vector, int inner, const double* __restrict__ facts, int stride, int place,
              const double* __restrict__ scale, const REAL* __restrict__ signs, REAL* __restrict__ out, int length,
              int start) {
    const REAL weight = (REAL)(facts[(size_type)blockIdx.x * (size_type)stride + place] * scale[blockIdx.x]);
    const REAL* source = vector + (size_type)blockIdx.x * (size_type)inner;
    REAL* target = out + ((size_type)blockIdx.x * (size_type)length + (size_type)start);
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < inner; k += (int)blockDim.x) {
            target[k] = source[k] * weight * signs[start + k];
        }
    }
}

/* product (n, bins) of complex numbers = transform * product + u: the first time product is u_last; u_k is a factor of
   the row's norm at place k of `facts`, 0 where the place is -1. */
KERNEL spectrum(const REAL* __restrict__ transform, int bins, const double* __restrict__ facts, int stride, int last,
                int next, const double* __restrict__ scale, REAL* __restrict__ product) {
    const double* own = facts + (size_type)blockIdx.x * (size_type)stride;
    const size_type start = (size_type)blockIdx.x * (size_type)bins * 2;
    const REAL begin = last < 0 ? (REAL)0 : (REAL)(own[last] * scale[blockIdx.x]);
    const REAL more = next < 0 ? (REAL)0 : (REAL)(own[next] * scale[blockIdx.x]);
    EACH_THREAD {
        for (int k = (int)threadIdx.x; k < bins; k += (int)blockDim.x) {
            const size_type place = start + 2 * (size_type)k;
            const REAL a = transform[place], b = transform[place + 1];
            const REAL c = last < 0 ? product[place] : begin, d = last < 0 ? product[place + 1] : (REAL)0;
            product[place] = a * c - b * d + more;
            product[place + 1] = a * d + b * c;
        }
    }
}
