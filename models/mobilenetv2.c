/* MobileNetV2 (Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", table 2), with
 * torchvision's names. Its width multiplier counts in eights. Shapes are channels x height x width at width 1 and
 * 224x224. */
#include <math.h>

#include "models/arch.h"

static psal_node relu6(psal_graph *graph, psal_node x) {
    return psal_clip(graph, x, 0, 6);
}

/* Figure 3b and table 1: 1x1 to `expansion` times as many channels, 3x3 of each by itself, 1x1 without activation. */
static flow inverted_residual(net *n, flow x, int expansion, int channels, int stride) {
    flow y = x;
    net_enter(n, "conv");
    int number = 0;
    if (expansion > 1) {
        y = net_apply(n, net_conv_norm_exact(n, y, "0", x.channels * expansion, same(1, 1)), relu6);
        number++;
    }
    y = net_conv_norm_exact(n, y, number ? "1" : "0", y.channels, depthwise(y, 3, stride));
    y = net_apply(n, y, relu6);
    y = net_batch_norm(n, net_conv(n, y, number ? "2" : "1", channels, same(1, 1)), number ? "3" : "2");
    net_leave(n);
    return stride == 1 && y.channels == x.channels ? net_add(n, x, y) : y;
}

/* Line of table 2: t, c, n, s. */
static flow line(net *n, flow x, int *number, int expansion, int channels, int blocks, int stride) {
    for (int i = 0; i < blocks; i++) {
        net_enter(n, "%d", (*number)++);
        x = net_cut(n, inverted_residual(n, x, expansion, channels, i == 0 ? stride : 1));
        net_leave(n);
    }
    return x;
}

static flow describe(net *n, flow x, const void *depth) {
    (void)depth; /* there is one MobileNetV2 only */
    int number = 1;
    net_count_in_eights(n, 1);
    net_enter(n, "features");
    x = net_apply(n, net_conv_norm(n, x, "0", 32, same(3, 2)), relu6);          /*   32 x 112 x 112 */
    x = line(n, x, &number, 1, 16, 1, 1);                                       /*   16 x 112 x 112 */
    x = line(n, x, &number, 6, 24, 2, 2);                                       /*   24 x  56 x  56 */
    x = line(n, x, &number, 6, 32, 3, 2);                                       /*   32 x  28 x  28 */
    x = line(n, x, &number, 6, 64, 4, 2);                                       /*   64 x  14 x  14 */
    x = line(n, x, &number, 6, 96, 3, 1);                                       /*   96 x  14 x  14 */
    x = line(n, x, &number, 6, 160, 3, 2);                                      /*  160 x   7 x   7 */
    x = line(n, x, &number, 6, 320, 1, 1);                                      /*  320 x   7 x   7 */
    const int last = net_eights(1280 * fmax(1, n->options.width));              /* never fewer */
    x = net_apply(n, net_conv_norm_exact(n, x, "18", last, same(1, 1)), relu6); /* 1280 x 7 x 7 */
    net_leave(n);
    x = net_pool_flatten(n, x, 1);                                   /* 1280 */
    return net_linear(n, x, "classifier.1", n->options.num_classes); /* classes; classifier.0 is dropout */
}

static const net_arch archs[] = {
    {.name = "mobilenet_v2",
     .family = "mobilenetv2",
     .native_size = 224,
     .min_size = 1,
     .bn_epsilon = 1e-5,
     .classifier = "classifier.1.weight",
     .describe = describe},
};
const net_family net_mobilenetv2 = {archs, sizeof archs / sizeof *archs};
