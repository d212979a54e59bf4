/* Error functions, Dawson's integral and the bivariate normal probability, of doubles: the functions of
   kernelc.numerics, step by step, with the tables ERFCX, ERF, NODES_14, WEIGHTS_14, NODES_36, WEIGHTS_36. */

#define SQRT_HALF 0.7071067811865476
#define TWO_PI 6.283185307179586

INLINE double lesser(double a, double b) {
    return a < b ? a : b;
}

INLINE double greater(double a, double b) {
    return a > b ? a : b;
}

/* A Chebyshev sum on [-1, 1]. */
APART double chebyshev_sum(const double* coefficients, int count, double t) {
    double first = 0.0, second = 0.0;
    for (int k = count - 1; k > 0; --k) {
        const double next = 2.0 * t * first - second + coefficients[k];
        second = first;
        first = next;
    }
    return t * first - second + coefficients[0];
}

/* exp(-x^2) to full relative precision: x^2 is split so that its rounding does not count. */
INLINE double square_exponential(double x) {
    x = lesser(fabs(x), 28.0);
    const double coarse = rint(x * 16.0) / 16.0;
    return exp(-coarse * coarse) * exp(-(x - coarse) * (x + coarse));
}

/* exp(x^2) erfc(x) for x >= 0. */
APART double scaled_erfc(double x) {
    const double t = x > 1e300 ? 1.0 : (x - 3.75) / (x + 3.75);
    return chebyshev_sum(ERFCX, (int)(sizeof ERFCX / sizeof ERFCX[0]), t) / (1.0 + 2.0 * x);
}

APART double error_function(double x) {
    if (fabs(x) <= 1.0) {
        return x * chebyshev_sum(ERF, (int)(sizeof ERF / sizeof ERF[0]), 2.0 * x * x - 1.0);
    }
    return copysign(1.0 - square_exponential(x) * scaled_erfc(fabs(x)), x);
}

/* P(Z <= z), the lower tail too with a small relative error. */
APART double normal_probability(double z) {
    const double size = lesser(fabs(z), 40.0);
    const double coarse = rint(size * 16.0) / 16.0;
    const double density = exp(-0.5 * coarse * coarse) * exp(-0.5 * (size - coarse) * (size + coarse));
    const double tail = 0.5 * density * scaled_erfc(fabs(z) * SQRT_HALF);
    return z < 0.0 ? tail : 1.0 - tail;
}

/* exp(exponent) P(Z <= z), tail = exponent - z^2/2. */
APART double scaled_probability(double z, double exponent, double tail) {
    if (z < 0.0) {
        return exp(tail) * 0.5 * scaled_erfc(fabs(z) * SQRT_HALF);
    }
    return exp(exponent) * normal_probability(fabs(z));
}

/* exp(-x^2) int_0^x exp(s^2) ds. */
APART double dawson_integral(double x) {
    const double size = fabs(x);
    if (size > 1e8) {
        return copysign(0.5 / size, x);
    }
    if (size < 0.5) {
        double series = 1.0, term = 1.0;
        for (int k = 1; k < 20; ++k) {
            term = term * (-2.0 * size * size) / (2 * k + 1);
            series = series + term;
        }
        return copysign(size * series, x);
    }
    const double even = 2.0 * rint(size * 2.0);
    const double offset = size - even * 0.25;
    double total = 0.0;
    for (int odd = -27; odd < 28; odd += 2) {
        const double distance = offset - odd * 0.25;
        total += exp(-(distance * distance)) / (even + odd);
    }
    return copysign(total / sqrt(PI), x);
}

/* Owen's T(h, b/h) for h >= 0; h = b = +-0 counts as b/h = +-infinity, the limit at correlations of +-1. */
APART double owen(double h, double b) {
    const double size = fabs(b);
    const int swap = size >= h;
    const double close = swap ? size : h;
    const double slope = (swap ? h : size) / (close > 0.0 ? close : 1.0);
    const double square = -0.5 * close * close;
    double total = 0.0;
    for (int k = 0; k < 14; ++k) {
        const double leg = slope * NODES_14[k];
        const double secant = 1.0 + leg * leg;
        total += WEIGHTS_14[k] * exp(square * secant) / secant;
    }
    total *= slope / TWO_PI;
    if (swap) {
        const double upper = normal_probability(-h), other = normal_probability(-size);
        total = 0.5 * (upper + other) - upper * other - total;
    }
    return copysign(1.0, b) < 0.0 ? -total : total;
}

/* (1/2 pi) int_0^inf h exp(-c y - y^2/2)/(h^2 + (c + y)^2) dy for h, c >= 0, h^2 + c^2 large. */
INLINE double far_tail(double h, double c) {
    const double length = 78.0 / (c + sqrt(c * c + 78.0));
    double total = 0.0;
    for (int k = 0; k < 36; ++k) {
        const double y = length * NODES_36[k];
        total += WEIGHTS_36[k] * exp(-y * (c + 0.5 * y)) / (h * h + (c + y) * (c + y));
    }
    return total * length * h / TWO_PI;
}

/* exp(tilt) times the winding of one side of a quadrant: see kernelc.numerics. */
APART double side(double h, double b, double tilt, double edge, double corner) {
    const double sign = copysign(1.0, h);
    if (h * h + b * b < 6.25) {
        const double size = fabs(h);
        return sign * exp(tilt) * (0.5 * normal_probability(-size) + owen(size, b));
    }
    const double size = lesser(fabs(h), 1e150);
    const double tail = exp(corner) * far_tail(size, lesser(fabs(b), 1e150));
    if (b < 0.0) {
        return sign * tail;
    }
    return sign * (exp(edge) * 0.5 * scaled_erfc(size * SQRT_HALF) - tail);
}

/* exp(tilt) P(X <= h, Y <= k). */
APART double quadrant(double h, double k, double bh, double bk, double tilt, double edge_h, double edge_k,
                      double corner) {
    if (h == 0.0 && k == 0.0 && bh == 0.0 && bk == 0.0) {
        return copysign(1.0, bh) == copysign(1.0, bk) ? 0.0 : 0.5 * exp(tilt);
    }
    const int inside = copysign(1.0, h) > 0.0 && copysign(1.0, k) > 0.0;
    const double whole = inside ? exp(tilt) : 0.0;
    return whole - (side(h, bh, tilt, edge_h, corner) + side(k, bk, tilt, edge_k, corner));
}

/* sign(h) (1/4 - Q(|h|)/2 + atan(b/|h|)/(2 pi) - T(|h|, b/|h|)). */
APART double side_excess(double h, double b) {
    const double size = fabs(h), reach = fabs(b);
    const int swap = reach >= size;
    const double close = swap ? reach : size;
    const double slope = (swap ? size : reach) / (close > 0.0 ? close : 1.0);
    double total = 0.0;
    for (int k = 0; k < 14; ++k) {
        const double leg = slope * NODES_14[k];
        const double secant = 1.0 + leg * leg;
        total -= WEIGHTS_14[k] * expm1(-0.5 * close * close * secant) / secant;
    }
    total *= slope / TWO_PI;
    const double half = 0.5 * error_function(size * SQRT_HALF);
    if (swap) {
        total = half * (0.5 * error_function(reach * SQRT_HALF)) - total;
    }
    total = copysign(1.0, b) < 0.0 ? -total : total;
    return copysign(1.0, h) * (0.5 * half + total);
}

/* P(X <= h, Y <= k) - P(X <= 0, Y <= 0). */
APART double excess(double h, double k, double bh, double bk) {
    return side_excess(h, bh) + side_excess(k, bk);
}
