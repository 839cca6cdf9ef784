#include "engine/kernels/conv2d/lowered.h"

static psal_conv2d_axis forward_axis(int in, int out, int kernel, int stride, int padding, int dilation) {
    /* source coordinate p*stride - padding + i*dilation */
    return (psal_conv2d_axis){.count = out,
                              .stride = stride,
                              .taps = kernel,
                              .offset = -padding,
                              .offset_step = dilation,
                              .kernel = 0,
                              .kernel_step = 1,
                              .place = 0,
                              .place_step = 1,
                              .source = in};
}

/* Input coordinate y = phase + p*stride gets dy[r] * w[i] for every r*stride - padding + i*dilation = y, that is
 * r = (y + padding - i*dilation) / stride wherever that divides. Those i form an arithmetic progression. */
static psal_conv2d_axis dx_axis(int in, int out, int kernel, int stride, int padding, int dilation, int phase) {
    int period = 1; /* smallest i > 0 with i*dilation a multiple of stride */
    while ((period * (long)dilation) % stride != 0) period++;
    int first = 0;
    while (first < period && (phase + (long)padding - first * (long)dilation) % stride != 0) first++;
    bool reached = first < period && first < kernel;
    return (psal_conv2d_axis){.count = phase < in ? (in - phase + stride - 1) / stride : 0,
                              .stride = 1,
                              .taps = reached ? (kernel - first + period - 1) / period : 0,
                              .offset = reached ? (int)((phase + (long)padding - first * (long)dilation) / stride) : 0,
                              .offset_step = -(int)(period * (long)dilation / stride),
                              .kernel = first,
                              .kernel_step = period,
                              .place = phase,
                              .place_step = stride,
                              .source = out};
}

psal_conv2d_lowered psal_conv2d_lower_forward(const psal_conv2d_shape *s) {
    return (psal_conv2d_lowered){
        forward_axis(s->in_height, s->out_height, s->kernel_height, s->stride_height, s->padding_height,
                     s->dilation_height),
        forward_axis(s->in_width, s->out_width, s->kernel_width, s->stride_width, s->padding_width, s->dilation_width)};
}

psal_conv2d_lowered psal_conv2d_lower_dx(const psal_conv2d_shape *s, int phase_h, int phase_w) {
    return (psal_conv2d_lowered){dx_axis(s->in_height, s->out_height, s->kernel_height, s->stride_height,
                                         s->padding_height, s->dilation_height, phase_h),
                                 dx_axis(s->in_width, s->out_width, s->kernel_width, s->stride_width, s->padding_width,
                                         s->dilation_width, phase_w)};
}

static bool axis_is_identity(const psal_conv2d_axis *a) {
    return a->taps == 1 && a->stride == 1 && a->offset == 0 && a->count == a->source && a->place_step == 1;
}

bool psal_conv2d_lowered_is_identity(const psal_conv2d_lowered *l) {
    return axis_is_identity(&l->h) && axis_is_identity(&l->w);
}
