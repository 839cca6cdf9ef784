/* Vision transformers (Dosovitskiy et al. 2021, "An image is worth 16x16 words", equations 1 to 4 and table 1), with
 * torchvision's names. Between the patches and the last layer what flows is N x tokens x channels: a class token, then
 * the patches row by row. A network takes images of one size only, which the number of its positions tells. */
#include <math.h>

#include "models/arch.h"

typedef struct vit {
    int patch; /* side in pixels */
    int layers, heads, channels, hidden;
} vit;

#define EPSILON 1e-6 /* of every layer normalisation */

/* Of the image; 0 when the positions are no square and the class token. */
static int patches_per_side(const net *n, const vit *v) {
    if (n->options.positions == 0) return 224 / v->patch;
    const int side = (int)(sqrt(n->options.positions - 1) + 0.5);
    return side * side + 1 == n->options.positions ? side : 0;
}

/* Of each token's queries, keys and values the number `which`: [N, heads, tokens, channels / heads]. */
static psal_node heads_of(net *n, flow projected, int which, int heads) {
    static const int tokens_behind[4] = {0, 2, 1, 3};
    const psal_shape shape = *psal_graph_shape(n->graph, projected.node);
    const int channels = projected.channels / 3;
    psal_node part = psal_slice(n->graph, projected.node, 2, (int64_t)which * channels, channels);
    part = psal_reshape(n->graph, part, PSAL_SHAPE(shape.dim[0], shape.dim[1], heads, channels / heads));
    return psal_permute(n->graph, part, tokens_behind, 4);
}

/* Vaswani et al. 2017, "Attention is all you need", section 3.2: softmax(q k' / sqrt(d)) v for each head. */
static flow attention(net *n, flow x, int heads) {
    static const int heads_behind[4] = {0, 2, 1, 3};
    net_enter(n, "self_attention");
    flow y = net_linear_named(n, x, "in_proj_weight", "in_proj_bias", 3 * x.channels);
    if (net_makes_nodes(n)) {
        psal_node q = heads_of(n, y, 0, heads), k = heads_of(n, y, 1, heads), v = heads_of(n, y, 2, heads);
        q = psal_scale(n->graph, q, 1 / sqrt((double)x.channels / heads));
        psal_node weights = psal_softmax(n->graph, psal_matmul(n->graph, q, false, k, true));
        psal_node mixed = psal_matmul(n->graph, weights, false, v, false);
        mixed = psal_permute(n->graph, mixed, heads_behind, 4);
        y.node = psal_reshape(n->graph, mixed, *psal_graph_shape(n->graph, x.node));
    }
    y.channels = x.channels;
    y = net_linear_named(n, y, "out_proj.weight", "out_proj.bias", x.channels);
    net_leave(n);
    return y;
}

/* Equations 2 and 3. */
static flow layer(net *n, flow x, const vit *v, int number) {
    net_enter(n, "layers.encoder_layer_%d", number);
    x = net_add(n, attention(n, net_layer_norm(n, x, "ln_1", EPSILON), v->heads), x);
    flow y = net_layer_norm(n, x, "ln_2", EPSILON);
    y = net_apply(n, net_linear_named(n, y, "mlp.0.weight", "mlp.0.bias", net_scale(n, v->hidden)), psal_gelu);
    y = net_linear_named(n, y, "mlp.3.weight", "mlp.3.bias", x.channels);
    x = net_add(n, x, y);
    net_leave(n);
    return net_cut(n, x);
}

/* Equation 1: the image's patches in a row, behind the class token. */
static flow tokens(net *n, flow image, const vit *v) {
    static const int channels_behind[3] = {0, 2, 1};
    const int channels = net_scale(n, v->channels);
    flow token = net_parameter(n, "class_token", PSAL_SHAPE(1, 1, channels));
    flow x = net_conv_bias(n, image, "conv_proj", v->channels, valid(v->patch, v->patch));
    if (!net_makes_nodes(n)) return x;
    const psal_shape shape = *psal_graph_shape(n->graph, x.node);
    psal_node parts[2] = {psal_expand(n->graph, token.node, PSAL_SHAPE(shape.dim[0], 1, channels))};
    parts[1] = psal_reshape(n->graph, x.node, PSAL_SHAPE(shape.dim[0], channels, shape.dim[2] * shape.dim[3]));
    parts[1] = psal_permute(n->graph, parts[1], channels_behind, 3);
    x.node = psal_concat(n->graph, parts, 2, 1);
    return x;
}

static void check(net *n, flow image, const vit *v, int side) {
    const int channels = net_scale(n, v->channels), pixels = side * v->patch;
    if (side == 0)
        net_fail(n, PSAL_ERR_SHAPE, "%d positions are not those of a square of patches and a class token",
                 n->options.positions);
    if (channels % v->heads)
        net_fail(n, PSAL_ERR_SHAPE, "%d channels do not divide by %d heads at width %g", channels, v->heads,
                 n->options.width);
    if (!net_makes_nodes(n)) return;
    const psal_shape *shape = psal_graph_shape(n->graph, image.node);
    if (shape->dim[2] != pixels || shape->dim[3] != pixels)
        net_fail(n, PSAL_ERR_SHAPE, "an image of %d x %d, but this network takes %d x %d only (it has %d positions)",
                 (int)shape->dim[3], (int)shape->dim[2], pixels, pixels, side * side + 1);
}

static flow describe(net *n, flow x, const void *depth) {
    const vit *v = depth;
    const int side = patches_per_side(n, v);
    check(n, x, v, side);
    x = tokens(n, x, v);
    net_enter(n, "encoder");
    flow positions = net_parameter(n, "pos_embedding", PSAL_SHAPE(1, (int64_t)side * side + 1, x.channels));
    if (net_makes_nodes(n)) x.node = psal_broadcast_add(n->graph, x.node, positions.node);
    x = net_cut(n, x);
    for (int i = 0; i < v->layers; i++) x = layer(n, x, v, i);
    x.convolution = -1;
    if (net_makes_nodes(n)) { /* the class token alone is asked what it is */
        x.node = psal_slice(n->graph, x.node, 1, 0, 1);
        x.node = psal_flatten(n->graph, x.node);
    }
    x = net_layer_norm(n, x, "ln", EPSILON);
    net_leave(n);
    return net_linear(n, x, "heads.head", n->options.num_classes);
}

#define VIT(NAME, PATCH, LAYERS, HEADS, CHANNELS, HIDDEN)                                                        \
    {                                                                                                            \
        .name = NAME, .family = "vit", .native_size = 224, .min_size = PATCH, .classifier = "heads.head.weight", \
        .positions = "encoder.pos_embedding", .assumed = "attention has " #HEADS " heads", .describe = describe, \
        .depth = &(const vit) {                                                                                  \
            PATCH, LAYERS, HEADS, CHANNELS, HIDDEN                                                               \
        }                                                                                                        \
    }

/*       name        patch  layers  heads  channels  hidden */
static const net_arch archs[] = {
    VIT("vit_b_16", 16, 12, 12, 768, 3072),  VIT("vit_b_32", 32, 12, 12, 768, 3072),
    VIT("vit_l_16", 16, 24, 16, 1024, 4096), VIT("vit_l_32", 32, 24, 16, 1024, 4096),
    VIT("vit_h_14", 14, 32, 16, 1280, 5120),
};
const net_family net_vit = {archs, sizeof archs / sizeof *archs};
