/* A pair of rows of scales s and s' at the angle theta by the closed form, nearly parallel ones included. With
   R(s)^2 = E[sigma(s Z)^2]: tau = T / (R R'), slope = Tdot s s' / (R R'), gap = 1 - tau. The steps are those of
   `_pairs.py`, where they are explained. */

#define RAY_NEAR 0.02
#define RAY_REACH 0.06
#define RAY_FLAT 16.0
#define RAY_EQUAL 1e-7
#define RAY_PARALLEL 1e-7
#define RAY_NARROW 0.3
#define RAY_TINIEST 1e-306
#define RAY_NUDGE (1.0 + 4.440892098500626e-16)
#define RAY_TINY 1e-2
#define RAY_AGREED 4e-15
#define RAY_SETTLED 1.5
#define APART_UNKNOWN 1e300
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

/* sqrt(1 - q12^2 / (q11 q22)) with a small relative error, for numbers of any size. */
INLINE double sine_of(double q11, double cross, double q22) {
    int first, second, third;
    double one = frexp(q11, &first), other = frexp(q22, &second), middle = frexp(cross, &third);
    const int both = first + second, odd = both & 1;
    one = odd ? 2.0 * one : one;
    middle = ldexp(middle, third - (both - odd) / 2);
    const double product = one * other, square = middle * middle;
    const double left = (product - square) + (fma(one, other, -product) - fma(middle, middle, -square));
    return left > 0.0 ? sqrt(left / product) : 0.0;
}

/* T, or Tdot for `slope`, at an angle of this sine, between its values at two neighbouring q12. */
APART double between(int slope, double q11, double cross, double q22, double sine) {
    for (int k = 0; k < 2; ++k) {
        const double now = sine_of(q11, cross, q22);
        cross = cross + 0.5 * (now - sine) * (now + sine) * (q11 * (q22 / cross));
    }
    const double first = sine_of(q11, cross, q22);
    const double beside = nextafter(cross, first > sine ? 2.0 * cross : 0.0), second = sine_of(q11, beside, q22);
    double share = first != second ? (first - sine) / (first - second) : 0.0;
    share = share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
    return (1.0 - share) * closed_value(slope, q11, cross, q22) + share * closed_value(slope, q11, beside, q22);
}

/* T, or Tdot for `slope`, at the angle theta, or pi - theta where `sign` is -1. */
APART double raw_value(int slope, double one, double other, double theta, double sign) {
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
    if (sine < RAY_NARROW && fabs(cross) > RAY_TINIEST && q11 > RAY_TINIEST && q22 > RAY_TINIEST &&
        (sine > RAY_PARALLEL || (one == other && sine > 0.0))) {
        return between(slope, q11, cross, q22, sine);
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
        return raw_value(slope, one, other, theta, sign);
    }
    double steps = size > 0.0 ? limit / size : 1.0;
    steps = steps > 1.0 ? steps : 1.0;
    const double middle = sqrt(one * other);
    double values[SLOPE_POINTS];
    for (int k = 0; k < SLOPE_POINTS; ++k) {
        const double ray = steps * SLOPE_GRID[k];
        const double spread = exp(0.5 * apart * ray);
        const double left = fixed ? one : middle * spread, right = fixed ? other : middle / spread;
        values[k] = raw_value(slope, left, right, ray * theta, sign);
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
    return raw_value(slope, one, other, theta, 1.0);
}

INLINE double tau_of(double one, double other, double theta, double scale) {
    if (!(scale > 0.0)) {
        return 0.0;
    }
    return (JUMPS ? ray_value(0, one, other, theta) : raw_value(0, one, other, theta, 1.0)) / scale;
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
        const double tau = scale > 0.0 ? raw_value(0, left, right, ray * theta, 1.0) / scale : 0.0;
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
        const double tau = scale > 0.0 ? raw_value(0, left, right, theta, 1.0) / scale : 0.0;
        values[k] = (1.0 - tau) / (ray * ray);
    }
    return share * barycentric(GAP_GRID, GAP_WEIGHTS, values, GAP_POINTS, 1.0 / steps);
}

/* Whether sigma(0) is not 0, and R(s) is nearly |sigma(0)| as far as the ray to small rows begins. */
APART int settles(void) {
    const double origin = DUAL_AT_ORIGIN ? row_size(0.0) : 0.0;
    return origin > 0.0 && row_size(RAY_REACH * KINKS_APART) < RAY_SETTLED * origin;
}

/* `known`: log(one / other) where it is known better than from both, else APART_UNKNOWN. */
INLINE double gap_of(double one, double other, double theta, double tau, double known) {
    if (SMOOTH) {
        return 1.0 - tau;
    }
    const int positive = one > 0.0 && other > 0.0;
    const double top = one > other ? one : other;
    const double apart = known < APART_UNKNOWN ? known : positive ? log(one / other) : 1.0;
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
