/* A pair of rows of scales s and s' at the angle theta by the closed form, nearly parallel ones included. With
   R(s)^2 = E[sigma(s Z)^2]: tau = T / (R R'), slope = Tdot s s' / (R R'), gap = 1 - tau. The steps are those of
   `_pairs.py`, `_gaps.py` and `_distances.py`, where they are explained. */

#define RAY_NEAR 0.02
#define RAY_REACH 0.06
#define RAY_FLAT 16.0
#define RAY_EQUAL 1e-7
#define RAY_PARALLEL 1e-7
#define RAY_NARROW 0.3
#define RAY_TINIEST 1e-306
#define RAY_ALIKE 2e-15
#define RAY_NUDGE (1.0 + 4.440892098500626e-16)
#define RAY_TINY 1e-2
#define RAY_AGREED 4e-15
#define RAY_SETTLED 1.5
#define APART_UNKNOWN 1e300
#define GAP_FELT 2e-3
#define GAP_NARROW 0.2
#define GAP_SAME 1e-13
#define GAP_LOW (1.0 / 32.0)
#define LINE_BEYOND 1e-12
#define LINE_RESOLVED 1e-6
#define LINE_ROUNDING 1e-29
#define LINE_HALVINGS 4
#define RAY_BELOW (1.0 - 2.220446049250313e-16)

/* T is read like Tdot where sigma jumps: it is not differentiable where the rows are parallel. */
#define JUMPS (!CLOSED_SLOPE && !SMOOTH)

/* How far kinks lie from one another and from 0, in standard deviations, at most 1. */
INLINE double kink_reach(double one, double other) {
    const double reach = KINKS_APART / sqrt(one * other);
    return reach < 1.0 ? reach : 1.0;
}

INLINE double closed_value(int slope, double q11, double cross, double q22) {
#if CLOSED_SLOPE
    return slope ? closed_slope(q11, cross, q22) : closed_dual(q11, cross, q22);
#else
    return closed_dual(q11, cross, q22);
#endif
}

/* 1 - q12^2 / (q11 q22) with a small relative error, for numbers of any size. */
INLINE double sine_squared(double q11, double cross, double q22) {
    int first, second, third;
    double one = frexp(q11, &first), other = frexp(q22, &second), middle = frexp(cross, &third);
    const int both = first + second, odd = both & 1;
    one = odd ? 2.0 * one : one;
    middle = ldexp(middle, third - (both - odd) / 2);
    const double product = one * other, square = middle * middle;
    return ((product - square) + (fma(one, other, -product) - fma(middle, middle, -square))) / product;
}

INLINE double not_negative(double value) {
    return value > 0.0 ? value : 0.0;
}

/* T, or Tdot for `slope`, at an angle of this sine, between its values at two neighbouring q12. `cusped`: it goes like
   the angle, not like its square. */
APART double between(int slope, double q11, double cross, double q22, double sine, int cusped) {
    double target = sine * sine;
    for (int k = 0; k < 2; ++k) {
        cross = cross + 0.5 * (sine_squared(q11, cross, q22) - target) * (q11 * (q22 / cross));
    }
    double first = not_negative(sine_squared(q11, cross, q22));
    const double beside = nextafter(cross, first > target ? 2.0 * cross : 0.0);
    double second = not_negative(sine_squared(q11, beside, q22));
    if (cusped) {
        first = sqrt(first);
        second = sqrt(second);
        target = sine;
    }
    double share = first != second ? (first - target) / (first - second) : 0.0;
    share = share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
    return (1.0 - share) * closed_value(slope, q11, cross, q22) + share * closed_value(slope, q11, beside, q22);
}

/* T, or Tdot for `slope`, at the angle theta, or pi - theta where `sign` is -1. `closest`: the angle is not that of one
   q12, which has rounded it. */
APART double raw_value(int slope, double one, double other, double theta, double sign, int closest) {
    if (fabs(one - other) <= RAY_ALIKE * other) {
        one = sqrt(one * other);
        other = one;
    }
    const double cosine = sign * cos(theta), q11 = one * one, q22 = other * other;
    double cross = one * other * cosine;
    if (one != other && (slope || JUMPS)) {
        cross *= fabs(cosine) == 1.0 ? RAY_NUDGE : 1.0;
    } else if (one != other) {
        /* 2 |q12| <= q11 + q22 holds of the rounded numbers too */
        const double limit = 0.5 * (q11 + q22) * RAY_BELOW;
        cross = cross > limit ? limit : cross < -limit ? -limit : cross;
    }
    const double sine = sin(theta);
    if (closest && sine > 0.0 && sine < RAY_NARROW && fabs(cross) > RAY_TINIEST && q11 > RAY_TINIEST &&
        q22 > RAY_TINIEST && (slope || JUMPS || sine > RAY_PARALLEL || one == other)) {
        return between(slope, q11, cross, q22, sine, JUMPS || (slope && !SMOOTH));
    }
    return closed_value(slope, q11, cross, q22);
}

INLINE double row_size(double s) {
    const double square = closed_dual(s * s, s * s, s * s);
    return sqrt(square > 0.0 ? square : 0.0);
}

/* The polynomial through values at grid, at one point. */
INLINE double barycentric(const double* grid, const double* weights, const double* values, int count, double at) {
    double above = 0.0, below = 0.0;
    for (int k = 0; k < count; ++k) {
        if (at == grid[k]) {
            return values[k];
        }
        const double share = weights[k] / (at - grid[k]);
        above += share * values[k];
        below += share;
    }
    return above / below;
}

/* T or Tdot of nearly parallel or antiparallel rows. */
APART double near_value(int slope, double one, double other, double theta) {
    const double sign = theta > 0.5 * PI ? -1.0 : 1.0;
    theta = sign < 0.0 ? PI - theta : theta;
    const double apart = log(one / other), share = kink_reach(one, other);
    const double reach = RAY_NEAR * share, far = fabs(apart);
    int fixed = 1;
    double limit = reach;
    if (MOVING) {
        fixed = far >= reach && theta <= share * far / RAY_FLAT;
        limit = fixed && 2.0 * share * far / RAY_FLAT < reach ? 2.0 * share * far / RAY_FLAT : reach;
    } else if (far < RAY_EQUAL) {
        one = sqrt(one * other);
        other = one;
    }
    const double size = fixed || theta > far ? theta : far;
    if (!fixed && size >= reach) {
        return raw_value(slope, one, other, theta, sign, 1);
    }
    double steps = size > 0.0 ? limit / size : 1.0;
    steps = steps > 1.0 ? steps : 1.0;
    const double middle = sqrt(one * other);
    double values[SLOPE_POINTS];
    for (int k = 0; k < SLOPE_POINTS; ++k) {
        const double ray = steps * SLOPE_GRID[k];
        const double spread = exp(0.5 * apart * ray);
        const double left = fixed ? one : middle * spread, right = fixed ? other : middle / spread;
        values[k] = raw_value(slope, left, right, ray * theta, sign, 1);
    }
    return barycentric(SLOPE_GRID, SLOPE_WEIGHTS, values, SLOPE_POINTS, 1.0 / steps);
}

/* T or Tdot, along rays where the closed form alone does not serve. */
INLINE double ray_value(int slope, double one, double other, double theta) {
    const double angle = theta < PI - theta ? theta : PI - theta;
    if (!SMOOTH && one > 0.0 && other > 0.0 && (theta != 0.0 || one != other) &&
        angle < RAY_NEAR * kink_reach(one, other)) {
        return near_value(slope, one, other, theta);
    }
    return raw_value(slope, one, other, theta, 1.0, 1);
}

INLINE double tau_of(double one, double other, double theta, double scale) {
    if (!(scale > 0.0)) {
        return 0.0;
    }
    return (JUMPS ? ray_value(0, one, other, theta) : raw_value(0, one, other, theta, 1.0, 1)) / scale;
}

INLINE double slope_of(double one, double other, double theta, double scale) {
    return scale > 0.0 ? ray_value(1, one, other, theta) * one * other / scale : 0.0;
}

/* 1 - tau of nearly parallel rows of nearly one norm: lambda^2 times a smooth function, lambda at a jump. */
APART double near_gap(double middle, double apart, double theta) {
    const double size = theta > fabs(apart) ? theta : fabs(apart);
    if (!(size > 0.0)) {
        return 0.0;
    }
    const double steps = RAY_REACH * kink_reach(middle, middle) / size;
    double values[GAP_POINTS];
    for (int k = 0; k < GAP_POINTS; ++k) {
        const double ray = steps * GAP_GRID[k];
        const double spread = exp(0.5 * apart * ray);
        const double left = middle * spread, right = middle / spread;
        const double scale = row_size(left) * row_size(right);
        const double tau = scale > 0.0 ? raw_value(0, left, right, ray * theta, 1.0, 1) / scale : 0.0;
        values[k] = (1.0 - tau) / (JUMPS ? ray : ray * ray);
    }
    const double result = barycentric(GAP_GRID, GAP_WEIGHTS, values, GAP_POINTS, 1.0 / steps);
    return result > 0.0 ? result : 0.0;
}

/* 1 - tau of rows so small that sigma is nearly sigma(0): lambda^2 times a smooth function of (lambda s, lambda s').
   Nearly equal rows are taken farther apart, where roundings are smaller: it goes like the square of their distance. */
APART double tiny_gap(double one, double other, double theta, double apart) {
    const double top = one > other ? one : other;
    const double size = theta > fabs(apart) ? theta : fabs(apart);
    double share = 1.0;
    if (one > 0.0 && other > 0.0 && size < RAY_NEAR) {
        const double factor = RAY_NEAR / size;
        const double middle = sqrt(one * other), spread = exp(0.5 * apart * factor);
        const double near = sinh(0.5 * apart), turn = sin(0.5 * theta);
        const double far = sinh(0.5 * apart * factor), wide = sin(0.5 * theta * factor);
        share = (near * near + turn * turn) / (far * far + wide * wide);
        one = middle * spread;
        other = middle / spread;
        theta *= factor;
    }
    const double steps = RAY_REACH * KINKS_APART / top;
    double values[GAP_POINTS];
    for (int k = 0; k < GAP_POINTS; ++k) {
        const double ray = steps * GAP_GRID[k];
        const double left = one * ray, right = other * ray, scale = row_size(left) * row_size(right);
        const double tau = scale > 0.0 ? raw_value(0, left, right, theta, 1.0, 1) / scale : 0.0;
        values[k] = (1.0 - tau) / (ray * ray);
    }
    return share * barycentric(GAP_GRID, GAP_WEIGHTS, values, GAP_POINTS, 1.0 / steps);
}

/* Whether sigma(0) is not 0, and R(s) is nearly |sigma(0)| as far as the ray to small rows begins. */
APART int settles(void) {
    const double origin = DUAL_AT_ORIGIN ? row_size(0.0) : 0.0;
    return origin > 0.0 && row_size(RAY_REACH * KINKS_APART) < RAY_SETTLED * origin;
}

#if ACTIVATION
/* What is summed over the line: the squared distance by all points and by every other one, R^2 over itself. */
typedef struct {
    double all, half, left, right;
} Line;

/* One part of the line, from `start` on. */
INLINE void add_part(Line* line, double one, double other, double first, double second, double sign, double start,
                     double width) {
    for (int k = 0; k < LINE_COUNT; ++k) {
        const double z = start + width * LINE_POINTS[k], weight = width * DENSITY_AT_ZERO * exp(-0.5 * z * z);
        const double u = activation_of(one, sign * one * z) / first;
        const double v = activation_of(other, sign * other * z) / second;
        const double apart = u - v;
        line->all += weight * LINE_ALL[k] * (apart * apart);
        line->half += weight * LINE_HALF[k] * (apart * apart);
        line->left += weight * LINE_ALL[k] * (u * u);
        line->right += weight * LINE_ALL[k] * (v * v);
    }
}

/* E[(sigma(s Z) / R - sigma(s' Z) / R')^2] / 2, or -1 where no rule resolves it. */
APART double parallel_gap(double one, double other, double first, double second) {
    if (one == other) {
        return 0.0;
    }
    const int level = level_of(one > other ? one : other);
    for (int halvings = 0; halvings <= LINE_HALVINGS; ++halvings) {
        Line line = {0.0, 0.0, 0.0, 0.0};
        for (int side = 0; side < 2; ++side) {
            const double sign = side ? -1.0 : 1.0;
            for (double start = 0.0; start < LINE_CUTS[LINE_CUT_COUNT - 1];) {
                const double end = next_edge(start, one, other, sign, level);
                const double width = ldexp(end - start, -halvings);
                for (int k = 0; k < 1 << halvings; ++k) {
                    add_part(&line, one, other, first, second, sign, start + k * width, width);
                }
                start = end;
            }
        }
        if (fabs(line.all - line.half) <= LINE_RESOLVED * line.all + LINE_ROUNDING &&
            fabs(line.left - 1.0) <= LINE_BEYOND && fabs(line.right - 1.0) <= LINE_BEYOND) {
            return 0.5 * line.all;
        }
    }
    return -1.0;
}

/* What the angle adds to the gap. */
APART double turned_gap(double one, double other, double theta, double scale) {
#if CLOSED_SLOPE
    double total = 0.0;
    for (int k = 0; k < TURN_COUNT; ++k) {
        const double angle = theta * TURN_NODES[k];
        total += TURN_WEIGHTS[k] * sin(angle) * raw_value(1, one, other, angle, 1.0, 0);
    }
    return total * theta * one * other / scale;
#else
    const double start = raw_value(0, one, other, 0.0, 1.0, 1);
#if MOVING
    return (start - raw_value(0, one, other, theta, 1.0, 1)) / scale;
#else
    const double reach = RAY_REACH * kink_reach(one, other);
    if (!(theta < GAP_LOW * reach)) {
        return (start - raw_value(0, one, other, theta, 1.0, 1)) / scale;
    }
    double values[GAP_POINTS];
    for (int k = 0; k < GAP_POINTS; ++k) {
        const double angle = reach * GAP_GRID[k];
        values[k] = (start - raw_value(0, one, other, angle, 1.0, 1)) / angle;
    }
    return theta * barycentric(GAP_GRID, GAP_WEIGHTS, values, GAP_POINTS, theta / reach) / scale;
#endif
#endif
}

/* Whether the gap 1 - tau is taken from distances. */
INLINE int gap_is_felt(double one, double other, double theta, double gap) {
    const double top = one > other ? one : other;
    if (!(gap < GAP_FELT && top > 0.0)) {
        return 0;
    }
    if (!JUMPS) {
        return theta < GAP_NARROW || top < RAY_TINY * KINKS_APART;
    }
    if (!(theta < GAP_NARROW && one > 0.0 && other > 0.0)) {
        return 0;
    }
    const double apart = fabs(log(one / other));
    return !MOVING || (theta > apart ? theta : apart) >= RAY_NEAR * kink_reach(one, other);
}

/* The gap from distances, or -1 where they do not serve. */
APART double distance_gap(double one, double other, double theta) {
    const double first = row_size(one), second = row_size(other), scale = first * second;
    if (!(scale > 0.0)) {
        return -1.0;
    }
    const double parallel = parallel_gap(one, other, first, second);
    const double gap = parallel + turned_gap(one, other, theta, scale);
    const double direct = 1.0 - raw_value(0, one, other, theta, 1.0, 1) / scale, top = one > other ? one : other;
    return parallel >= 0.0 && fabs(gap - direct) <= GAP_SAME * (10.0 + top) ? gap : -1.0;
}
#endif

/* `known`: log(one / other) where it is known better than from both, else APART_UNKNOWN. */
INLINE double gap_of(double one, double other, double theta, double tau, double known) {
    if (SMOOTH) {
        return 1.0 - tau;
    }
    const int positive = one > 0.0 && other > 0.0;
    const double top = one > other ? one : other;
    const double apart = known < APART_UNKNOWN ? known : positive ? log(one / other) : 1.0;
#if ACTIVATION
    if (gap_is_felt(one, other, theta, 1.0 - tau)) {
        const double gap = distance_gap(one, other, theta);
        if (gap >= 0.0) {
            return gap;
        }
    }
#endif
    if (top > 0.0 && top < RAY_TINY * KINKS_APART && 1.0 - tau < RAY_TINY && (theta != 0.0 || apart != 0.0) &&
        settles()) {
        const double gap = tiny_gap(one, other, theta, apart);
        if (fabs(gap - (1.0 - tau)) <= RAY_AGREED) {
            return gap > 0.0 ? gap : 0.0;
        }
    }
    if (!positive) {
        return 1.0 - tau;
    }
    const double size = theta > fabs(apart) ? theta : fabs(apart);
    return size < RAY_NEAR * kink_reach(one, other) ? near_gap(sqrt(one * other), apart, theta) : 1.0 - tau;
}
