/* RegNet (Radosavovic et al. 2020, "Designing network design spaces", tables 5 and 6: RegNetX, RegNetY), with
 * torchvision's names. Shapes are channels x height x width of RegNetX-400MF at width 1 and 224x224. */
#include "models/arch.h"

#define STEM 32 /* outputs of the first convolution */

typedef struct regnet {
    bool gated;      /* Y: squeeze and excitation behind the 3x3 */
    int group_width; /* channels of each group of a 3x3, where there are so many */
    int blocks[4], channels[4];
} regnet;

/* Figure 4: relu(x + F(x)) with 1x1, grouped 3x3 and 1x1, all of as many channels. The gate has a quarter of the
 * inputs'. */
static flow block(net *n, flow x, const regnet *r, int inputs, int channels, bool first) {
    window middle = same(3, first ? 2 : 1);
    middle.groups = channels / (r->group_width < channels ? r->group_width : channels);
    flow shortcut = first ? net_conv_norm(n, x, "proj", channels, (window){1, 1, 2, 0, 0, 1}) : x;
    net_enter(n, "f");
    flow y = net_relu(n, net_conv_norm(n, x, "a", channels, same(1, 1)));
    y = net_relu(n, net_conv_norm(n, y, "b", channels, middle));
    if (r->gated) y = net_squeeze_excite(n, y, "se", net_scale(n, inputs / 4), psal_relu, psal_sigmoid);
    y = net_conv_norm(n, y, "c", channels, same(1, 1));
    net_leave(n);
    return net_relu(n, net_add(n, shortcut, y));
}

static flow stage(net *n, flow x, const regnet *r, int number) {
    const int before = number > 1 ? r->channels[number - 2] : STEM, channels = r->channels[number - 1];
    for (int i = 0; i < r->blocks[number - 1]; i++) {
        net_enter(n, "trunk_output.block%d.block%d-%d", number, number, i);
        x = block(n, x, r, i == 0 ? before : channels, channels, i == 0);
        net_leave(n);
        x = net_cut(n, x);
    }
    return x;
}

static flow describe(net *n, flow x, const void *depth) {
    const regnet *r = depth;
    x = net_cut(n, net_relu(n, net_conv_norm(n, x, "stem", STEM, same(3, 2)))); /*  32 x 112 x 112 */
    x = stage(n, x, r, 1);                                                      /*  32 x  56 x  56 */
    x = stage(n, x, r, 2);                                                      /*  64 x  28 x  28 */
    x = stage(n, x, r, 3);                                                      /* 160 x  14 x  14 */
    x = stage(n, x, r, 4);                                                      /* 400 x   7 x   7 */
    x = net_pool_flatten(n, x, 1);                                              /* 400 */
    return net_linear(n, x, "fc", n->options.num_classes);                      /* classes */
}

#define REGNET(NAME, ...)                                                                        \
    {                                                                                            \
        .name = NAME, .family = "regnet", .native_size = 224, .min_size = 1, .bn_epsilon = 1e-5, \
        .classifier = "fc.weight", .describe = describe, .depth = &(const regnet) {              \
            __VA_ARGS__                                                                          \
        }                                                                                        \
    }

#define X(NAME, ...) REGNET(NAME, false, __VA_ARGS__)
#define Y(NAME, ...) REGNET(NAME, true, __VA_ARGS__)

static const net_arch archs[] = {
    X("regnet_x_400mf", 16, {1, 2, 7, 12}, {32, 64, 160, 400}),
    X("regnet_x_800mf", 16, {1, 3, 7, 5}, {64, 128, 288, 672}),
    X("regnet_x_1_6gf", 24, {2, 4, 10, 2}, {72, 168, 408, 912}),
    X("regnet_x_3_2gf", 48, {2, 6, 15, 2}, {96, 192, 432, 1008}),
    X("regnet_x_8gf", 120, {2, 5, 15, 1}, {80, 240, 720, 1920}),
    X("regnet_x_16gf", 128, {2, 6, 13, 1}, {256, 512, 896, 2048}),
    X("regnet_x_32gf", 168, {2, 7, 13, 1}, {336, 672, 1344, 2520}),
    Y("regnet_y_400mf", 8, {1, 3, 6, 6}, {48, 104, 208, 440}),
    Y("regnet_y_800mf", 16, {1, 3, 8, 2}, {64, 144, 320, 784}),
    Y("regnet_y_1_6gf", 24, {2, 6, 17, 2}, {48, 120, 336, 888}),
    Y("regnet_y_3_2gf", 24, {2, 5, 13, 1}, {72, 216, 576, 1512}),
    Y("regnet_y_8gf", 56, {2, 4, 10, 1}, {224, 448, 896, 2016}),
    Y("regnet_y_16gf", 112, {2, 4, 11, 1}, {224, 448, 1232, 3024}),
    Y("regnet_y_32gf", 232, {2, 5, 12, 1}, {232, 696, 1392, 3712}),
    Y("regnet_y_128gf", 264, {2, 7, 17, 1}, {528, 1056, 2904, 7392}),
};
const net_family net_regnet = {archs, sizeof archs / sizeof *archs};
