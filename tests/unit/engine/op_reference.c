#include "op_reference.h"

#include <math.h>
#include <string.h>

static const char *const WRONG_SHAPE = "the definition gives another shape";

typedef struct operands {
    const psal_node_record *node;
    const psal_shape *const *shapes;
    const double *const *in;
    double *out;
    int64_t count; /* of out */
} operands;

/* ---- convolution: one set of loops over all products x[xi] w[wi] that enter y[yi] ---- */

static int64_t conv_extent(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
    int64_t outputs = 0; /* how many windows start inside and end inside the padded image */
    for (int64_t start = -padding; start + dilation * (kernel - 1) < size + padding; start += stride) outputs++;
    return outputs;
}

static const char *conv2d(const operands *o, psal_op_kind kind, const psal_conv2d_shape *s, double *out) {
    int64_t group_in = s->in_channels / s->groups, group_out = s->out_channels / s->groups;
    int64_t kh = s->kernel_height, kw = s->kernel_width, ih = s->in_height, iw = s->in_width;
    int64_t oh = conv_extent(ih, kh, s->stride_height, s->padding_height, s->dilation_height);
    int64_t ow = conv_extent(iw, kw, s->stride_width, s->padding_width, s->dilation_width);
    psal_shape x = PSAL_SHAPE(s->batch, s->in_channels, ih, iw), w = PSAL_SHAPE(s->out_channels, group_in, kh, kw);
    psal_shape y = PSAL_SHAPE(s->batch, s->out_channels, oh, ow);
    const psal_shape *a = kind == PSAL_OP_CONV2D_DX ? &y : &x, *b = kind == PSAL_OP_CONV2D_DW ? &y : &w;
    if (!psal_shape_equal(o->shapes[0], a) || !psal_shape_equal(o->shapes[1], b)) return WRONG_SHAPE;
    const double *in0 = o->in[0], *in1 = o->in[1];
    for (int64_t n = 0; n < s->batch; n++)
        for (int64_t k = 0; k < s->out_channels; k++)
            for (int64_t p = 0; p < oh; p++)
                for (int64_t q = 0; q < ow; q++)
                    for (int64_t c = 0; c < group_in; c++)
                        for (int64_t i = 0; i < kh; i++)
                            for (int64_t j = 0; j < kw; j++) {
                                int64_t h = p * s->stride_height - s->padding_height + i * s->dilation_height;
                                int64_t v = q * s->stride_width - s->padding_width + j * s->dilation_width;
                                if (h < 0 || h >= ih || v < 0 || v >= iw) continue;
                                int64_t channel = k / group_out * group_in + c;
                                int64_t xi = ((n * s->in_channels + channel) * ih + h) * iw + v;
                                int64_t wi = ((k * group_in + c) * kh + i) * kw + j;
                                int64_t yi = ((n * s->out_channels + k) * oh + p) * ow + q;
                                if (kind == PSAL_OP_CONV2D || kind == PSAL_OP_CONV2D_DY) out[yi] += in0[xi] * in1[wi];
                                if (kind == PSAL_OP_CONV2D_DX) out[xi] += in0[yi] * in1[wi];
                                if (kind == PSAL_OP_CONV2D_DW) out[wi] += in0[xi] * in1[yi];
                            }
    const psal_shape *result = kind == PSAL_OP_CONV2D_DX ? &x : kind == PSAL_OP_CONV2D_DW ? &w : &y;
    return o->node->op != PSAL_OP_CONV2D_DW_MEAN && !psal_shape_equal(&o->node->shape, result) ? WRONG_SHAPE : NULL;
}

static const char *conv2d_dw_mean(const operands *o) {
    static double dw[65536];
    const psal_conv2d_shape *s = &o->node->attr.conv2d_mean.conv2d;
    int64_t row = (int64_t)s->in_channels / s->groups * s->kernel_height * s->kernel_width;
    if (s->out_channels * row > 65536 || o->count != s->out_channels) return WRONG_SHAPE;
    memset(dw, 0, sizeof dw);
    const char *wrong = conv2d(o, PSAL_OP_CONV2D_DW, s, dw);
    for (int64_t k = 0; k < s->out_channels; k++)
        for (int64_t i = 0; i < row; i++) {
            double v = dw[k * row + i];
            o->out[k] += (o->node->attr.conv2d_mean.is_signed ? v : fabs(v)) / (double)row;
        }
    return wrong;
}

/* ---- matrices ---- */

static const char *matmul(const operands *o) {
    bool ta = o->node->attr.matmul.transpose_a, tb = o->node->attr.matmul.transpose_b;
    const int front = o->shapes[0]->ndim - 2; /* axes, each of which has its own product */
    const int64_t *a = o->shapes[0]->dim + front, *b = o->shapes[1]->dim + front;
    int64_t m = ta ? a[1] : a[0], k = ta ? a[0] : a[1], n = tb ? b[0] : b[1];
    psal_shape expected = *o->shapes[0];
    expected.dim[front] = m, expected.dim[front + 1] = n;
    if (!psal_shape_equal(&expected, &o->node->shape) || k != (tb ? b[1] : b[0])) return WRONG_SHAPE;
    for (int64_t p = 0; p < o->count / (m * n); p++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                for (int64_t l = 0; l < k; l++)
                    o->out[(p * m + i) * n + j] += o->in[0][p * m * k + (ta ? l * m + i : i * k + l)] *
                                                   o->in[1][p * k * n + (tb ? j * k + l : l * n + j)];
    return NULL;
}

/* ---- elementwise ---- */

static double sign(double x) {
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

static const char *elementwise(const operands *o) {
    double number = o->node->attr.number.value;
    for (int i = 0; i < o->node->input_count; i++)
        if (!psal_shape_equal(o->shapes[i], &o->node->shape)) return WRONG_SHAPE;
    for (int64_t i = 0; i < o->count; i++) {
        double a = o->in[0][i], b = o->node->input_count > 1 ? o->in[1][i] : 0, y = NAN;
        switch ((int)o->node->op) {
        case PSAL_OP_ADD:
            y = a + b;
            break;
        case PSAL_OP_SUB:
            y = a - b;
            break;
        case PSAL_OP_MUL:
            y = a * b;
            break;
        case PSAL_OP_DIV:
            y = a / b;
            break;
        case PSAL_OP_SCALE:
            y = a * number;
            break;
        case PSAL_OP_SQRT:
            y = sqrt(a);
            break;
        case PSAL_OP_RSQRT:
            y = 1 / sqrt(a + number);
            break;
        case PSAL_OP_ABS:
            y = fabs(a);
            break;
        case PSAL_OP_SIGN:
            y = sign(a);
            break;
        case PSAL_OP_RELU:
            y = a > 0 ? a : 0;
            break;
        case PSAL_OP_RELU_MASK:
            y = b > 0 ? a : 0;
            break;
        case PSAL_OP_EXP:
            y = exp(a);
            break;
        case PSAL_OP_LOG:
            y = log(a);
            break;
        case PSAL_OP_POW:
            y = pow(a, number);
            break;
        case PSAL_OP_SIGMOID:
            y = 1 / (1 + exp(-a));
            break;
        case PSAL_OP_TANH:
            y = tanh(a);
            break;
        case PSAL_OP_ERF:
            y = erf(a);
            break;
        case PSAL_OP_SHIFT:
            y = a + number;
            break;
        case PSAL_OP_CLIP:
            y = fmin(fmax(a, o->node->attr.clip.low), o->node->attr.clip.high);
            break;
        case PSAL_OP_CLIP_MASK: {
            const double low = o->node->attr.clip.low, high = o->node->attr.clip.high;
            y = (b > low && b < high) || (o->node->attr.clip.closed && (b == low || b == high)) ? a : 0;
            break;
        }
        }
        o->out[i] = y;
    }
    return NULL;
}

/* ---- channels: of element i of a tensor shaped N, C, ... ---- */

static int64_t channel_of(const psal_shape *s, int64_t i) {
    for (int d = s->ndim - 1; d > 1; d--) i /= s->dim[d];
    return i % s->dim[1];
}

static const char *channels(const operands *o) {
    bool sums = o->node->op == PSAL_OP_CHANNEL_SUM;
    const psal_shape *image = sums ? o->shapes[0] : &o->node->shape;
    int64_t n = psal_shape_count(image);
    if (sums && (o->node->shape.ndim != 1 || o->count != image->dim[1])) return WRONG_SHAPE;
    if (!sums && o->node->op != PSAL_OP_CHANNEL_SPREAD && !psal_shape_equal(image, o->shapes[0])) return WRONG_SHAPE;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = channel_of(image, i);
        switch ((int)o->node->op) {
        case PSAL_OP_CHANNEL_AFFINE:
            o->out[i] = o->in[0][i] * o->in[1][c] + o->in[2][c];
            break;
        case PSAL_OP_BATCH_NORM:
            o->out[i] = (o->in[0][i] - o->in[3][c]) / sqrt(o->in[4][c] + o->node->attr.number.value) * o->in[1][c] +
                        o->in[2][c];
            break;
        case PSAL_OP_CHANNEL_MUL:
            o->out[i] = o->in[0][i] * o->in[1][c];
            break;
        case PSAL_OP_CHANNEL_ADD:
            o->out[i] = o->in[0][i] + o->in[1][c];
            break;
        case PSAL_OP_CHANNEL_SUM:
            o->out[c] += o->in[0][i];
            break;
        case PSAL_OP_CHANNEL_SPREAD:
            o->out[i] = o->in[0][c];
            break;
        }
    }
    return NULL;
}

/* ---- pooling ---- */

/* Windows along one axis: in ceil mode the last may reach beyond the padding, but must start before the right
 * padding. */
static int64_t pool_extent(int64_t size, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
    int64_t outputs = 0;
    for (int64_t start = -padding;; start += stride, outputs++) {
        bool whole = start + kernel <= size + padding;
        bool begun = ceil_mode && start < size && start - stride + kernel < size + padding;
        if (!whole && !begun) return outputs;
    }
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static const char *pool(const operands *o) {
    const psal_pool2d_shape *s = &o->node->attr.pool2d;
    psal_op_kind op = o->node->op;
    bool spreads = op == PSAL_OP_AVG_POOL2D_SPREAD || op == PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD;
    bool adaptive = op == PSAL_OP_ADAPTIVE_AVG_POOL2D || op == PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD;
    const psal_shape *image = spreads ? &o->node->shape : o->shapes[0],
                     *pooled = spreads ? o->shapes[0] : &o->node->shape;
    int64_t h = image->dim[2], w = image->dim[3], oh = pooled->dim[2], ow = pooled->dim[3];
    if (image->ndim != 4 || pooled->ndim != 4 || image->dim[0] != pooled->dim[0] || image->dim[1] != pooled->dim[1])
        return WRONG_SHAPE;
    if (!adaptive && (oh != pool_extent(h, s->kernel_height, s->stride_height, s->padding_height, s->ceil_mode) ||
                      ow != pool_extent(w, s->kernel_width, s->stride_width, s->padding_width, s->ceil_mode)))
        return WRONG_SHAPE;
    for (int64_t plane = 0; plane < image->dim[0] * image->dim[1]; plane++)
        for (int64_t p = 0; p < oh; p++)
            for (int64_t q = 0; q < ow; q++) {
                int64_t top, left, bottom, right;
                if (adaptive) {
                    top = p * h / oh, bottom = ((p + 1) * h + oh - 1) / oh;
                    left = q * w / ow, right = ((q + 1) * w + ow - 1) / ow;
                } else {
                    top = p * s->stride_height - s->padding_height;
                    left = q * s->stride_width - s->padding_width;
                    bottom = least(top + s->kernel_height, h + s->padding_height);
                    right = least(left + s->kernel_width, w + s->padding_width);
                }
                double divisor = (double)((bottom - top) * (right - left));
                top = most(top, 0), left = most(left, 0), bottom = least(bottom, h), right = least(right, w);
                if (!adaptive && s->exclude_padding) divisor = (double)((bottom - top) * (right - left));
                int64_t at = (plane * oh + p) * ow + q, best = -1;
                for (int64_t i = top; i < bottom; i++)
                    for (int64_t j = left; j < right; j++) {
                        int64_t x = (plane * h + i) * w + j;
                        if (op == PSAL_OP_MAX_POOL2D_INDEX) {
                            if (best < 0 || o->in[0][x] > o->in[0][plane * h * w + best]) best = i * w + j;
                        } else if (spreads) {
                            o->out[x] += o->in[0][at] / divisor;
                        } else {
                            o->out[at] += o->in[0][x] / divisor;
                        }
                    }
                if (op == PSAL_OP_MAX_POOL2D_INDEX) o->out[at] = (double)best;
            }
    return NULL;
}

static const char *pool_by_index(const operands *o) {
    bool scatter = o->node->op == PSAL_OP_POOL_SCATTER;
    const psal_shape *image = scatter ? &o->node->shape : o->shapes[0], *index = o->shapes[1];
    int64_t planes = image->dim[0] * image->dim[1], pixels = image->dim[2] * image->dim[3];
    int64_t outputs = index->dim[2] * index->dim[3];
    if (!psal_shape_equal(index, scatter ? o->shapes[0] : &o->node->shape)) return WRONG_SHAPE;
    for (int64_t i = 0; i < planes * outputs; i++) {
        int64_t place = i / outputs * pixels + (int64_t)o->in[1][i];
        if (scatter)
            o->out[place] += o->in[0][i];
        else
            o->out[i] = o->in[0][place];
    }
    return NULL;
}

/* ---- moving numbers: element by element, by coordinates ---- */

static void coordinates(const psal_shape *s, int64_t i, int64_t *at) {
    for (int d = s->ndim - 1; d >= 0; d--) {
        at[d] = i % s->dim[d];
        i /= s->dim[d];
    }
}

static int64_t element(const psal_shape *s, const int64_t *at) {
    int64_t i = 0;
    for (int d = 0; d < s->ndim; d++) i = i * s->dim[d] + at[d];
    return i;
}

static const char *concat(const operands *o) {
    int axis = o->node->attr.slice.axis;
    int64_t offset = 0, at[PSAL_MAX_DIMS];
    for (int part = 0; part < o->node->input_count; part++) {
        for (int64_t i = 0; i < psal_shape_count(o->shapes[part]); i++) {
            coordinates(o->shapes[part], i, at);
            at[axis] += offset;
            o->out[element(&o->node->shape, at)] = o->in[part][i];
        }
        offset += o->shapes[part]->dim[axis];
    }
    return offset == o->node->shape.dim[axis] ? NULL : WRONG_SHAPE;
}

static const char *slice(const operands *o) {
    bool undo = o->node->op == PSAL_OP_UNSLICE;
    const psal_shape *part = undo ? o->shapes[0] : &o->node->shape, *whole = undo ? &o->node->shape : o->shapes[0];
    int64_t at[PSAL_MAX_DIMS];
    for (int64_t i = 0; i < psal_shape_count(part); i++) {
        coordinates(part, i, at);
        at[o->node->attr.slice.axis] += o->node->attr.slice.offset;
        int64_t place = element(whole, at);
        o->out[undo ? place : i] = o->in[0][undo ? i : place];
    }
    return NULL;
}

/* Every element of the larger tensor, with its place in the smaller one. */
static const char *broadcast(const operands *o) {
    const bool sums = o->node->op == PSAL_OP_SUM_TO;
    const psal_shape *large = sums ? o->shapes[0] : &o->node->shape, *small = sums ? &o->node->shape : o->shapes[0];
    int64_t at[PSAL_MAX_DIMS];
    if (large->ndim != small->ndim) return WRONG_SHAPE;
    for (int64_t i = 0; i < psal_shape_count(large); i++) {
        coordinates(large, i, at);
        for (int d = 0; d < small->ndim; d++) at[d] %= small->dim[d];
        int64_t place = element(small, at);
        if (sums)
            o->out[place] += o->in[0][i];
        else
            o->out[i] = o->in[0][place];
    }
    return NULL;
}

static const char *permute(const operands *o) {
    int64_t from[PSAL_MAX_DIMS], to[PSAL_MAX_DIMS];
    for (int64_t i = 0; i < o->count; i++) {
        coordinates(o->shapes[0], i, from);
        for (int d = 0; d < o->node->shape.ndim; d++) to[d] = from[o->node->attr.permute.axes[d]];
        o->out[element(&o->node->shape, to)] = o->in[0][i];
    }
    return NULL;
}

static const char *gather(const operands *o) {
    const bool scatter = o->node->op == PSAL_OP_SCATTER;
    const psal_shape *few = scatter ? o->shapes[0] : &o->node->shape, *all = scatter ? &o->node->shape : o->shapes[0];
    const int axis = o->node->attr.slice.axis;
    int64_t at[PSAL_MAX_DIMS];
    if (few->dim[axis] != o->shapes[1]->dim[0]) return WRONG_SHAPE;
    for (int64_t i = 0; i < psal_shape_count(few); i++) {
        coordinates(few, i, at);
        at[axis] = (int64_t)o->in[1][at[axis]];
        const int64_t place = element(all, at);
        if (scatter)
            o->out[place] += o->in[0][i];
        else
            o->out[i] = o->in[0][place];
    }
    return NULL;
}

static const char *copy(const operands *o) {
    if (psal_shape_count(o->shapes[0]) != o->count) return WRONG_SHAPE;
    memcpy(o->out, o->in[0], (size_t)o->count * sizeof *o->out);
    return NULL;
}

/* ---- losses: z is [rows, classes] ---- */

static const char *losses(const operands *o) {
    bool one_hot = o->node->op == PSAL_OP_ONE_HOT;
    const psal_shape *z = one_hot ? &o->node->shape : o->shapes[0];
    int64_t rows = z->dim[0], classes = z->dim[1];
    if (z->ndim != 2 || o->node->shape.dim[0] != rows) return WRONG_SHAPE;
    if (one_hot && classes != o->node->attr.one_hot.classes) return WRONG_SHAPE;
    for (int64_t n = 0; n < rows; n++) {
        double sum = 0;
        for (int64_t c = 0; c < classes && !one_hot; c++) sum += exp(o->in[0][n * classes + c]);
        switch ((int)o->node->op) {
        case PSAL_OP_SOFTMAX_RESIDUAL:
            for (int64_t c = 0; c < classes; c++)
                o->out[n * classes + c] = exp(o->in[0][n * classes + c]) / sum - (c == (int64_t)o->in[1][n]);
            break;
        case PSAL_OP_SOFTMAX_JACOBIAN: /* sum over d of (p_c [c = d] - p_c p_d) g_d */
            for (int64_t c = 0; c < classes; c++)
                for (int64_t d = 0; d < classes; d++) {
                    double pc = exp(o->in[0][n * classes + c]) / sum, pd = exp(o->in[0][n * classes + d]) / sum;
                    o->out[n * classes + c] += ((c == d ? pc : 0) - pc * pd) * o->in[1][n * classes + d];
                }
            break;
        case PSAL_OP_CROSS_ENTROPY:
            o->out[n] = log(sum) - o->in[0][n * classes + (int64_t)o->in[1][n]];
            break;
        case PSAL_OP_ONE_HOT:
            o->out[n * classes + (int64_t)o->in[0][n]] = 1;
            break;
        }
    }
    return NULL;
}

/* ---- along the last axis ---- */

static const char *normalize(const operands *o) {
    const psal_shape *x = o->shapes[0];
    const int64_t n = x->dim[x->ndim - 1];
    const bool one = o->node->op == PSAL_OP_RSQRT_VARIANCE;
    if (o->count * (one ? n : 1) != psal_shape_count(x) || (one && o->node->shape.dim[x->ndim - 1] != 1))
        return WRONG_SHAPE;
    for (int64_t row = 0; row < psal_shape_count(x) / n; row++) {
        const double *in = o->in[0] + row * n;
        double sum = 0, mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++) sum += exp(in[i]);
        for (int64_t i = 0; i < n; i++) mean += in[i] / (double)n;
        for (int64_t i = 0; i < n; i++) variance += (in[i] - mean) * (in[i] - mean) / (double)n;
        const double r = 1 / sqrt(variance + o->node->attr.number.value);
        if (one) o->out[row] = r;
        for (int64_t i = 0; i < n && !one; i++)
            o->out[row * n + i] = o->node->op == PSAL_OP_SOFTMAX ? exp(in[i]) / sum : (in[i] - mean) * r;
    }
    return NULL;
}

/* ---- sums over everything, rows and groups: all are `rows` rows of `length` numbers ---- */

/* Sign codes: bytes 1 + sign in the memory of floats. */
static const char *ternary_codes(const operands *o) {
    int64_t n = psal_shape_count(o->shapes[0]);
    if (o->count != (n + 3) / 4) return WRONG_SHAPE;
    for (int64_t word = 0; word < o->count; word++) {
        unsigned char bytes[4] = {0};
        float value;
        for (int64_t i = word * 4; i < n && i < word * 4 + 4; i++)
            bytes[i % 4] = (unsigned char)(1 + sign(o->in[0][i]));
        memcpy(&value, bytes, sizeof value);
        o->out[word] = value;
    }
    return NULL;
}

static double coded_sign(const operands *o, int64_t i) {
    float value = (float)o->in[0][i / 4];
    unsigned char bytes[4];
    memcpy(bytes, &value, sizeof bytes);
    return bytes[i % 4] - 1;
}

static const char *conv2d_ternary(const operands *o, psal_op_kind kind) {
    static double w[65536];
    const psal_conv2d_shape *s = &o->node->attr.conv2d;
    const int64_t row = (int64_t)s->in_channels / s->groups * s->kernel_height * s->kernel_width,
                  count = s->out_channels * row;
    const psal_shape shape = PSAL_SHAPE(s->out_channels, s->in_channels / s->groups, s->kernel_height, s->kernel_width);
    if (count > 65536 || psal_shape_count(o->shapes[1]) != (count + 3) / 4 ||
        psal_shape_count(o->shapes[2]) != s->out_channels)
        return WRONG_SHAPE;
    const operands codes = {.in = o->in + 1};
    for (int64_t i = 0; i < count; i++) w[i] = coded_sign(&codes, i) * o->in[2][i / row] / (double)row;
    const psal_shape *shapes[] = {o->shapes[0], &shape};
    const double *in[] = {o->in[0], w};
    const operands numbers = {o->node, shapes, in, o->out, o->count};
    return conv2d(&numbers, kind, s, o->out);
}

static const char *rows(const operands *o) {
    psal_op_kind op = o->node->op;
    bool spreads = op == PSAL_OP_SPREAD || op == PSAL_OP_ROW_SPREAD || op == PSAL_OP_GROUP_SPREAD ||
                   op == PSAL_OP_GROUP_TERNARY_SPREAD;
    const double *vector = op == PSAL_OP_GROUP_TERNARY_SPREAD ? o->in[1] : o->in[0];
    const psal_shape *many = spreads ? &o->node->shape : op == PSAL_OP_GROUP_TERNARY_MEAN ? o->shapes[1] : o->shapes[0];
    const psal_shape *few = op == PSAL_OP_GROUP_TERNARY_SPREAD ? o->shapes[1]
                            : spreads                          ? o->shapes[0]
                                                               : &o->node->shape;
    int64_t groups = psal_shape_count(few), length = psal_shape_count(many) / groups;
    bool scalar = op == PSAL_OP_SUM || op == PSAL_OP_SPREAD;
    if (few->ndim != (scalar ? 0 : 1) || length * groups != psal_shape_count(many)) return WRONG_SHAPE;
    for (int64_t i = 0; i < groups * length; i++) {
        int64_t g = i / length;
        double n = (double)length;
        switch ((int)op) {
        case PSAL_OP_SUM:
        case PSAL_OP_ROW_SUM:
            o->out[g] += o->in[0][i];
            break;
        case PSAL_OP_SPREAD:
        case PSAL_OP_ROW_SPREAD:
            o->out[i] = vector[g];
            break;
        case PSAL_OP_GROUP_MEAN_ABS:
            o->out[g] += fabs(o->in[0][i]) / n;
            break;
        case PSAL_OP_GROUP_MEAN:
            o->out[g] += o->in[0][i] / n;
            break;
        case PSAL_OP_GROUP_SPREAD:
            o->out[i] = vector[g] / n;
            break;
        case PSAL_OP_GROUP_TERNARY_SPREAD:
            o->out[i] = coded_sign(o, i) * vector[g] / n;
            break;
        case PSAL_OP_GROUP_TERNARY_MEAN:
            o->out[g] += coded_sign(o, i) * o->in[1][i] / n;
            break;
        }
    }
    return NULL;
}

static const char *fill(const operands *o) {
    for (int64_t i = 0; i < o->count; i++) o->out[i] = o->node->attr.result.value;
    return NULL;
}

const char *op_reference(const psal_node_record *node, const psal_shape *const *in_shapes, const double *const *in,
                         double *out) {
    operands o = {node, in_shapes, in, out, psal_shape_count(&node->shape)};
    memset(out, 0, (size_t)o.count * sizeof *out);
    switch ((int)node->op) {
    case PSAL_OP_CONV2D:
    case PSAL_OP_CONV2D_DY:
    case PSAL_OP_CONV2D_DX:
    case PSAL_OP_CONV2D_DW:
        return conv2d(&o, node->op, &node->attr.conv2d, out);
    case PSAL_OP_CONV2D_DW_MEAN:
        return conv2d_dw_mean(&o);
    case PSAL_OP_CONV2D_TERNARY:
        return conv2d_ternary(&o, PSAL_OP_CONV2D);
    case PSAL_OP_CONV2D_TERNARY_DX:
        return conv2d_ternary(&o, PSAL_OP_CONV2D_DX);
    case PSAL_OP_MATMUL:
        return matmul(&o);
    case PSAL_OP_ADD:
    case PSAL_OP_SUB:
    case PSAL_OP_MUL:
    case PSAL_OP_DIV:
    case PSAL_OP_SCALE:
    case PSAL_OP_SQRT:
    case PSAL_OP_RSQRT:
    case PSAL_OP_ABS:
    case PSAL_OP_SIGN:
    case PSAL_OP_RELU:
    case PSAL_OP_RELU_MASK:
    case PSAL_OP_EXP:
    case PSAL_OP_LOG:
    case PSAL_OP_POW:
    case PSAL_OP_SIGMOID:
    case PSAL_OP_TANH:
    case PSAL_OP_ERF:
    case PSAL_OP_SHIFT:
    case PSAL_OP_CLIP:
    case PSAL_OP_CLIP_MASK:
        return elementwise(&o);
    case PSAL_OP_CHANNEL_AFFINE:
    case PSAL_OP_BATCH_NORM:
    case PSAL_OP_CHANNEL_MUL:
    case PSAL_OP_CHANNEL_ADD:
    case PSAL_OP_CHANNEL_SUM:
    case PSAL_OP_CHANNEL_SPREAD:
        return channels(&o);
    case PSAL_OP_MAX_POOL2D_INDEX:
    case PSAL_OP_AVG_POOL2D:
    case PSAL_OP_AVG_POOL2D_SPREAD:
    case PSAL_OP_ADAPTIVE_AVG_POOL2D:
    case PSAL_OP_ADAPTIVE_AVG_POOL2D_SPREAD:
        return pool(&o);
    case PSAL_OP_POOL_GATHER:
    case PSAL_OP_POOL_SCATTER:
        return pool_by_index(&o);
    case PSAL_OP_CONCAT:
        return concat(&o);
    case PSAL_OP_SLICE:
    case PSAL_OP_UNSLICE:
        return slice(&o);
    case PSAL_OP_EXPAND:
    case PSAL_OP_SUM_TO:
        return broadcast(&o);
    case PSAL_OP_PERMUTE:
        return permute(&o);
    case PSAL_OP_GATHER:
    case PSAL_OP_SCATTER:
        return gather(&o);
    case PSAL_OP_RESHAPE:
        return copy(&o);
    case PSAL_OP_SOFTMAX:
    case PSAL_OP_ROW_NORMALIZE:
    case PSAL_OP_RSQRT_VARIANCE:
        return normalize(&o);
    case PSAL_OP_SOFTMAX_RESIDUAL:
    case PSAL_OP_SOFTMAX_JACOBIAN:
    case PSAL_OP_CROSS_ENTROPY:
    case PSAL_OP_ONE_HOT:
        return losses(&o);
    case PSAL_OP_ROW_SUM:
    case PSAL_OP_ROW_SPREAD:
    case PSAL_OP_SUM:
    case PSAL_OP_SPREAD:
    case PSAL_OP_GROUP_MEAN_ABS:
    case PSAL_OP_GROUP_MEAN:
    case PSAL_OP_GROUP_SPREAD:
    case PSAL_OP_GROUP_TERNARY_SPREAD:
    case PSAL_OP_GROUP_TERNARY_MEAN:
        return rows(&o);
    case PSAL_OP_TERNARY_CODES:
        return ternary_codes(&o);
    case PSAL_OP_FILL:
        return fill(&o);
    }
    return "there is no reference for this operation";
}
