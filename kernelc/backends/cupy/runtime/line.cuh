/* Expectations over a normal variable of functions of sigma, by the rule of `_line.py`; T of a small row and one that is
   not, where the terms of the closed form cancel, as `_mixed.py` says. */

#define LINE_LEVELS 24
#define LINE_LEAST 1e-300
#define DENSITY_AT_ZERO 0.3989422804014327

INLINE double activation_of(double s, double t) {
    return s * s <= ACTIVATION_BELOW ? activation_near_zero(t) : activation(t);
}

/* How often 1/4 is halved for what changes within 1 / scale of 0. */
INLINE int level_of(double scale) {
    int level;
    frexp(scale, &level);
    return level < 0 ? 0 : level > LINE_LEVELS ? LINE_LEVELS : level;
}

/* The first kink or cut of the line beyond z. */
INLINE double next_edge(double z, double one, double other, double sign, int level) {
    double edge = LINE_CUTS[LINE_CUT_COUNT - 1];
    for (int k = LINE_CUT_COUNT - 2; k >= 0 && LINE_CUTS[k] > z; --k) {
        edge = LINE_CUTS[k];
    }
    for (int k = 2; k <= level + 2 && ldexp(1.0, -k) > z; ++k) {
        edge = ldexp(1.0, -k);
    }
    for (int k = 0; k < KINK_COUNT; ++k) {
        const double kink = sign * KINKS[k];
        const double near = kink / (one > LINE_LEAST ? one : LINE_LEAST);
        const double far = kink / (other > LINE_LEAST ? other : LINE_LEAST);
        edge = near > z && near < edge ? near : edge;
        edge = far > z && far < edge ? far : edge;
    }
    return edge;
}

#if MIXED
#define MIXED_BELOW 3e-3
#define MIXED_RESOLVED 1e-6
#define MIXED_HALVINGS 1
#define MIXED_SINE 1e-9

/* E[sigma(small X)] / small^order of a normal X of this mean and standard deviation. */
INLINE double mixed_given(double small, double mean, double spread) {
    const double ratio = spread > 0.0 ? mean / spread : copysign(1e300, mean);
    const double edge = spread * DENSITY_AT_ZERO * exp(-0.5 * ratio * ratio);
    double total = 0.0;
    for (int side = 0; side < 2; ++side) {
        const double sign = side ? -1.0 : 1.0;
        double before = normal_probability(sign * ratio), moment = mean * before + sign * edge, scale = 1.0;
        for (int power = 1; power < MIXED_COUNT; ++power) {
            if (power > 1) {
                const double next = mean * moment + (power - 1) * spread * spread * before;
                before = moment;
                moment = next;
            }
            if (power >= MIXED_ORDER) {
                total += (side ? MIXED_MINUS[power] : MIXED_PLUS[power]) * scale * moment;
                scale *= small;
            }
        }
    }
    return total;
}

/* Whether T of these is taken so, and `value`, where a rule resolves it. */
APART int mixed_value(double q11, double q12, double q22, double* value) {
    const double small = sqrt(q11 < q22 ? q11 : q22), large = sqrt(q11 < q22 ? q22 : q11);
    if (!(small > 0.0) || small * small > ACTIVATION_BELOW || small * (large < 1.0 ? large : 1.0) >= MIXED_BELOW) {
        return 0;
    }
    double cosine = q12 / (small * large);
    cosine = cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
    const double sine = sqrt((1.0 - cosine) * (1.0 + cosine));
    const double turn = 1.0 / (sine > MIXED_SINE ? sine : MIXED_SINE);
    const int level = level_of(large > turn ? large : turn);
    double all = 0.0, half = 0.0, square = 0.0;
    for (int side = 0; side < 2; ++side) {
        const double sign = side ? -1.0 : 1.0;
        for (double start = 0.0; start < LINE_CUTS[LINE_CUT_COUNT - 1];) {
            const double end = next_edge(start, large, large, sign, level);
            const double width = ldexp(end - start, -MIXED_HALVINGS);
            for (int k = 0; k < LINE_COUNT << MIXED_HALVINGS; ++k) {
                const int point = k % LINE_COUNT;
                const double z = start + (k / LINE_COUNT) * width + width * LINE_POINTS[point];
                const double weight = width * DENSITY_AT_ZERO * exp(-0.5 * z * z);
                const double u = activation_of(large, sign * large * z);
                const double product = u * mixed_given(small, sign * cosine * z, sine);
                all += weight * LINE_ALL[point] * product;
                half += weight * LINE_HALF[point] * product;
                square += weight * LINE_ALL[point] * (u * u);
            }
            start = end;
        }
    }
    for (int power = 0; power < MIXED_ORDER; ++power) {
        all *= small;
        half *= small;
        square *= small * small;
    }
    *value = all;
    return fabs(all - half) <= MIXED_RESOLVED * sqrt(square);
}
#endif
