/* A pair of rows of scales s and s' at the angle theta by the closed form, nearly parallel ones included. With
   R(s)^2 = E[sigma(s Z)^2]: tau = T / (R R'), slope = Tdot s s' / (R R'), gap = 1 - tau. The steps are those of
   `_pairs.py`, where they are explained. */

#define RAY_NEAR 0.02
#define RAY_REACH 0.06
#define RAY_FLAT 16.0
#define RAY_EQUAL 1e-7
#define RAY_NUDGE (1.0 + 4.440892098500626e-16)
#define RAY_BELOW (1.0 - 2.220446049250313e-16)

/* What the activation is like: no kink at all; kinks off zero. */
typedef struct {
    int smooth, moving;
} Kinks;

INLINE double raw_dual(double one, double other, double theta) {
    const double q11 = one * one, q22 = other * other;
    double cross = one * other * cos(theta);
    if (one != other) {
        /* 2 |q12| <= q11 + q22 holds of the rounded numbers too */
        const double limit = 0.5 * (q11 + q22) * RAY_BELOW;
        cross = cross > limit ? limit : cross < -limit ? -limit : cross;
    }
    return closed_dual(q11, cross, q22);
}

INLINE double row_size(double s) {
    const double square = closed_dual(s * s, s * s, s * s);
    return sqrt(square > 0.0 ? square : 0.0);
}

/* Kinks are seen the closer the larger s is. */
INLINE double stretch(double one, double other) {
    const double middle = sqrt(one * other);
    return middle > 1.0 ? middle : 1.0;
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

INLINE double tau_of(double one, double other, double theta, double scale) {
    return scale > 0.0 ? raw_dual(one, other, theta) / scale : 0.0;
}

/* 1 - tau of nearly parallel rows of nearly one norm. */
APART double near_gap(double one, double other, double theta) {
    const double apart = log(one / other);
    const double size = theta > fabs(apart) ? theta : fabs(apart);
    if (!(size > 0.0)) {
        return 0.0;
    }
    const double steps = RAY_REACH / stretch(one, other) / size;
    const double middle = sqrt(one * other);
    double values[GAP_POINTS];
    for (int k = 0; k < GAP_POINTS; ++k) {
        const double ray = steps * GAP_GRID[k];
        const double spread = exp(0.5 * apart * ray);
        const double left = middle * spread, right = middle / spread;
        values[k] = (1.0 - tau_of(left, right, ray * theta, row_size(left) * row_size(right))) / (ray * ray);
    }
    const double result = barycentric(GAP_GRID, GAP_WEIGHTS, values, GAP_POINTS, 1.0 / steps);
    return result > 0.0 ? result : 0.0;
}

INLINE double gap_of(double one, double other, double theta, double tau, Kinks kinks) {
    if (kinks.smooth || !(one > 0.0) || !(other > 0.0)) {
        return 1.0 - tau;
    }
    const double apart = fabs(log(one / other));
    return (theta > apart ? theta : apart) < RAY_NEAR / stretch(one, other) ? near_gap(one, other, theta) : 1.0 - tau;
}

#if TANGENT
INLINE double raw_slope(double one, double other, double theta) {
    const double cosine = cos(theta);
    double cross = one * other * cosine;
    if (fabs(cosine) == 1.0 && one != other) {
        cross *= RAY_NUDGE;
    }
    return closed_slope(one * one, cross, other * other);
}

/* Tdot of nearly parallel rows. */
APART double near_slope(double one, double other, double theta, Kinks kinks) {
    const double apart = log(one / other), reach = RAY_NEAR / stretch(one, other);
    const double far = fabs(apart);
    int fixed = 1;
    double limit = reach;
    if (kinks.moving) {
        fixed = far >= reach && theta <= far / RAY_FLAT;
        limit = fixed && 2.0 * far / RAY_FLAT < reach ? 2.0 * far / RAY_FLAT : reach;
    } else if (far < RAY_EQUAL) {
        one = sqrt(one * other);
        other = one;
    }
    const double size = fixed || theta > far ? theta : far;
    if (!fixed && size >= reach) {
        return raw_slope(one, other, theta);
    }
    double steps = size > 0.0 ? limit / size : 1.0;
    steps = steps > 1.0 ? steps : 1.0;
    const double middle = sqrt(one * other);
    double values[SLOPE_POINTS];
    for (int k = 0; k < SLOPE_POINTS; ++k) {
        const double ray = steps * SLOPE_GRID[k];
        const double spread = exp(0.5 * apart * ray);
        values[k] = fixed ? raw_slope(one, other, ray * theta) : raw_slope(middle * spread, middle / spread, ray * theta);
    }
    return barycentric(SLOPE_GRID, SLOPE_WEIGHTS, values, SLOPE_POINTS, 1.0 / steps);
}

INLINE double slope_of(double one, double other, double theta, double scale, Kinks kinks) {
    if (!(scale > 0.0)) {
        return 0.0;
    }
    const int near = !kinks.smooth && theta < RAY_NEAR / stretch(one, other) && (theta > 0.0 || one != other);
    const double slope = near ? near_slope(one, other, theta, kinks) : raw_slope(one, other, theta);
    return slope * one * other / scale;
}
#endif
