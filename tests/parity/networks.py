"""The families of networks in PyTorch, at any width: torchvision's own modules, thinned where asked.

The rules of the width multiplier (the same as psal's models/ follow):

* scale(c) = max(1, floor(c * width + 0.5)); at width 1 nothing is touched and the module is exactly torchvision's.
* MNASNet, MobileNets, EfficientNets: their own multiplier, times the width, which counts in eights.
* All others (ResNet, VGG, Inception-v3, ...): the number of outputs c that the full network's layer has becomes scale(c): every
  convolution (a bottleneck's last one too: scale(256), not 4 * scale(64)) and VGG's and AlexNet's hidden layers of 4096 units.
  How many inputs a layer has follows from what reaches it; a concatenation is as wide as its parts.
* DenseNet: the growth rate and the first convolution's channels are scaled; everything else follows from these two as
  in the full network (bottlenecks of 4 * growth, transitions that keep half, rounded down).
* The number of groups (ResNeXt's 32) stays; channels it does not divide are an error.
* The classifier's last layer (and Inception's auxiliary one) has num_classes outputs, unscaled.
"""
import functools
import math
import re

import torch
import torchvision
from torch import nn
from torchvision.models import efficientnet, mobilenetv3
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import BasicBlock, Bottleneck

DENSENETS = {  # Huang et al. 2017, table 1: growth rate, layers in each block, channels of the first convolution
    "densenet121": (32, (6, 12, 24, 16), 64),
    "densenet161": (48, (6, 12, 36, 24), 96),
    "densenet169": (32, (6, 12, 32, 32), 64),
    "densenet201": (32, (6, 12, 48, 32), 64),
}
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
           "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2")
VGGS = tuple(f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn"))
FIRST = RESNETS + VGGS + tuple(DENSENETS) + ("inception_v3",)  # the families that all of the tests are run with
CIFAR_RESNETS = tuple(f"resnet{depth}_cifar" for depth in (18, 34, 50, 101, 152))
LAYERS = {10: (1, 1, 1, 1), 14: (1, 1, 1, 1), 18: (2, 2, 2, 2), 26: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3),
          101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3), 269: (3, 30, 48, 8)}
TIMM_RESNETS = tuple(f"{front}resnet{back}" for front, backs in (
    ("", "18d 26d 34d 50d 101d 152d 200d 10t 14t 26t 50t"), ("se", "18 34 50 101 152 50t 152d 200d 269d"),
    ("eca", "26t 50t 50d 101d 200d 269d light")) for back in backs.split()) + (
    "seresnext26d_32x4d", "seresnext26t_32x4d", "seresnext50_32x4d", "seresnext101_32x4d", "seresnext101_32x8d",
    "seresnext101_64x4d", "seresnext101d_32x8d", "ecaresnext26t_32x4d", "ecaresnext50t_32x4d")
SMOOTH_RESNETS = ("resnetaa50d", "resnetaa101d", "seresnetaa50d", "seresnextaa101d_32x8d")  # tensors as of those without aa
REGNETS = tuple(f"regnet_x_{size}" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")) \
    + tuple(f"regnet_y_{size}" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf"))
MNASNETS = {"mnasnet1_0": 1.0, "mnasnet0_5": 0.5, "mnasnet0_75": 0.75, "mnasnet1_3": 1.3}
MOBILENETS = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")
EFFICIENTNETS = {"efficientnet_b0": (1.0, 1.0), "efficientnet_b1": (1.0, 1.1), "efficientnet_b2": (1.1, 1.2),
                 "efficientnet_b3": (1.2, 1.4), "efficientnet_b4": (1.4, 1.8), "efficientnet_b5": (1.6, 2.2),
                 "efficientnet_b6": (1.8, 2.6), "efficientnet_b7": (2.0, 3.1)}  # width, depth
EFFICIENTNETS_V2 = ("efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l")
IN_EIGHTS = tuple(MNASNETS) + MOBILENETS + tuple(EFFICIENTNETS) + EFFICIENTNETS_V2  # their own rule for the width
SHUFFLENETS = tuple(f"shufflenet_v2_x{size}" for size in ("0_5", "1_0", "1_5", "2_0"))
CONVNEXTS = {"convnext_tiny": ((96, 192, 384, 768), (3, 3, 9, 3)), "convnext_small": ((96, 192, 384, 768), (3, 3, 27, 3)),
             "convnext_base": ((128, 256, 512, 1024), (3, 3, 27, 3)),
             "convnext_large": ((192, 384, 768, 1536), (3, 3, 27, 3))}  # Liu et al. 2022, section 3
# One of each of the other families, the smallest, and the width at which tests run it.
SMALLEST = {"alexnet": 0.25, "squeezenet1_1": 1, "googlenet": 0.5, "resnet18_cifar": 0.25, "resnet26d": 0.25,
            "regnet_x_400mf": 1, "mnasnet0_5": 1, "mobilenet_v2": 0.5,
            "mobilenet_v3_small": 1, "regnet_y_400mf": 1, "efficientnet_b0": 0.5, "efficientnet_v2_s": 0.25,
            "shufflenet_v2_x0_5": 1, "convnext_tiny": 0.25}
GATED = {"seresnet18": 0.5, "ecaresnet26t": 0.25}
VITS = {"vit_b_16": (16, 12, 12, 768, 3072), "vit_b_32": (32, 12, 12, 768, 3072), "vit_l_16": (16, 24, 16, 1024, 4096),
        "vit_l_32": (32, 24, 16, 1024, 4096), "vit_h_14": (14, 32, 16, 1280, 5120)}  # patch, layers, heads, channels, hidden
ARCHITECTURES = FIRST + ("alexnet", "squeezenet1_0", "squeezenet1_1", "googlenet") + CIFAR_RESNETS + TIMM_RESNETS \
    + SMOOTH_RESNETS + REGNETS + IN_EIGHTS + SHUFFLENETS + tuple(CONVNEXTS) + tuple(VITS)


def scale(channels, width):
    return max(1, math.floor(channels * width + 0.5))


def build(arch, num_classes=1000, width=1.0, variant="v1.5", bn_eps=None, transform_input=False, aux=True, image_size=224,
          channels=3):
    """A network in evaluation mode with PyTorch's initial weights (see `randomise` for ones worth testing with).

    variant: "v1" moves the stride of a ResNet bottleneck from its 3x3 to its first 1x1 convolution (Keras, Caffe).
    bn_eps: epsilon of every batch normalisation; None keeps torchvision's (1e-5, Inception-v3 1e-3).
    transform_input, aux: Inception-v3's and GoogLeNet's, as in torchvision. image_size: a transformer's. channels: of the
    image, which the first convolution takes."""
    if arch in DENSENETS:
        growth, blocks, first = DENSENETS[arch]
        model = torchvision.models.DenseNet(scale(growth, width), blocks, scale(first, width), num_classes=num_classes)
    elif arch == "inception_v3":
        model = torchvision.models.Inception3(num_classes, aux_logits=aux, transform_input=transform_input,
                                              init_weights=False)
    elif arch == "googlenet":
        model = torchvision.models.GoogLeNet(num_classes, aux_logits=aux, transform_input=transform_input, init_weights=False)
    elif arch in CIFAR_RESNETS:
        model = getattr(torchvision.models, arch[:-len("_cifar")])(num_classes=num_classes)
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    elif arch in TIMM_RESNETS + SMOOTH_RESNETS:
        model = timm_resnet(arch, num_classes)
    elif arch in MNASNETS:
        model = torchvision.models.MNASNet(MNASNETS[arch] * width, num_classes)
    elif arch == "mobilenet_v2":
        model = torchvision.models.MobileNetV2(num_classes, width)
    elif arch in MOBILENETS:
        model = torchvision.models.MobileNetV3(*mobilenetv3._mobilenet_v3_conf(arch, width_mult=width), num_classes)
    elif arch in EFFICIENTNETS:
        model = efficientnet_b(arch, num_classes, width)
    elif arch in EFFICIENTNETS_V2:
        model = efficientnet_v2(arch, num_classes, width)
    elif arch in VITS:
        patch, layers, heads, embedding, hidden = VITS[arch]
        model = torchvision.models.VisionTransformer(image_size, patch, layers, heads, scale(embedding, width),
                                                     scale(hidden, width), num_classes=num_classes)
    elif arch in CONVNEXTS:
        stages = [scale(c, width) for c in CONVNEXTS[arch][0]] + [None]
        model = torchvision.models.ConvNeXt([CNBlockConfig(stages[i], stages[i + 1], CONVNEXTS[arch][1][i])
                                             for i in range(4)], num_classes=num_classes)
    elif arch in ARCHITECTURES:
        model = getattr(torchvision.models, arch)(num_classes=num_classes)
    else:
        raise ValueError(f"unknown architecture {arch!r}; known are {', '.join(ARCHITECTURES)}")
    model.eval()
    if channels != 3:
        take_channels(model, channels)

    if variant == "v1":
        for block in model.modules():
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    elif variant not in ("v1.5", "", None):
        raise ValueError(f"unknown variant {variant!r}: v1 or v1.5")
    if width != 1.0 and arch not in DENSENETS and arch not in IN_EIGHTS and arch not in CONVNEXTS and arch not in VITS:
        thin(model, width, size=299 if arch == "inception_v3" else 64)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and bn_eps is not None:
            module.eps = bn_eps
    return model


def first_convolution(model):
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def take_channels(model, channels):
    first = first_convolution(model)
    first.__init__(channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=first.bias is not None)


def squeezed(channels):
    return max(8, int(channels / 16 + 4) // 8 * 8)


class SqueezeExcite(nn.Module):
    """Hu et al. 2018, section 3, with 1x1 convolutions of a sixteenth of the channels, counted in eights"""

    def __init__(self, channels):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed(channels), 1), nn.Conv2d(squeezed(channels), channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


def neighbourhood(channels):
    """Wang et al. 2020, equation 12 with gamma 2 and b 1: the odd number next to it, at least 3"""
    k = int((math.log2(channels) + 1) / 2)
    return max(3, k + (k + 1) % 2)


class ChannelAttention(nn.Module):
    """Wang et al. 2020, figure 2"""

    def __init__(self, channels):
        super().__init__()
        k = neighbourhood(channels)
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def forward(self, x):
        gates = self.conv(x.mean((2, 3)).unsqueeze(1)).sigmoid()  # the channels are its pixels
        return x * gates.reshape(x.shape[0], -1, 1, 1)


class TimmBasicBlock(BasicBlock):
    def forward(self, x):
        y = self.smooth(self.relu(self.bn1(self.conv1(x))))
        y = self.se(self.bn2(self.conv2(y)))
        return self.relu(y + (self.downsample(x) if self.downsample else x))


class TimmBottleneck(Bottleneck):
    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.smooth(self.relu(self.bn2(self.conv2(y))))
        y = self.se(self.bn3(self.conv3(y)))
        return self.relu(y + (self.downsample(x) if self.downsample else x))


def timm_resnet(arch, num_classes):
    """ResNets by timm's names: a gate (SE, ECA) at each block's end; with a d or t, He et al. 2019, "Bag of tricks for image
    classification with convolutional neural networks", figure 2 (b, c): three 3x3 convolutions in front, and shortcuts that
    average where the block has a stride; with aa, averages for strides and for the first pooling too."""
    gate, kind, smooth, depth, deep, groups, width = re.fullmatch(
        r"(|se|eca)(resnet|resnext)(aa)?(\d+|light)([dt])?(?:_(\d+)x(\d+)d)?", arch).groups()
    layers = (1, 1, 11, 3) if depth == "light" else LAYERS[int(depth)]
    block = TimmBasicBlock if depth in ("10", "18", "34") else TimmBottleneck
    model = torchvision.models.ResNet(block, list(layers), num_classes, groups=int(groups or 1), width_per_group=int(width or 64))
    if deep:
        first = 24 if deep == "t" else 32
        model.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(),
            nn.Conv2d(first, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, bias=False))
    if smooth:
        model.maxpool = nn.AvgPool2d(2)
    for module in [module for module in model.modules() if isinstance(module, block)]:
        shortcut, last = module.downsample, module.bn2 if block is TimmBasicBlock else module.bn3
        del module.downsample  # the gate comes first in the state_dict
        module.se = {"": lambda _: nn.Identity(), "se": SqueezeExcite, "eca": ChannelAttention}[gate](last.num_features)
        if shortcut is not None and (deep or depth == "light"):
            conv, norm = shortcut
            pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if module.stride > 1 else nn.Identity()
            shortcut = nn.Sequential(pool, nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=False), norm)
        module.downsample = shortcut
        module.smooth = nn.AvgPool2d(2) if smooth and module.stride > 1 else nn.Identity()
        if smooth:
            (module.conv1 if block is TimmBasicBlock else module.conv2).stride = (1, 1)
    return model


def efficientnet_b(arch, num_classes, width):
    wide, deep = EFFICIENTNETS[arch]
    stages, _ = efficientnet._efficientnet_conf(arch, width_mult=wide * width, depth_mult=deep)
    norm = functools.partial(nn.BatchNorm2d, eps=1e-3) if arch >= "efficientnet_b5" else nn.BatchNorm2d
    return torchvision.models.EfficientNet(stages, 0.2, num_classes=num_classes, norm_layer=norm)


def efficientnet_v2(arch, num_classes, width):
    stages, last = efficientnet._efficientnet_conf(arch)
    for stage in stages:
        stage.input_channels = stage.adjust_channels(stage.input_channels, width)
        stage.out_channels = stage.adjust_channels(stage.out_channels, width)
    return torchvision.models.EfficientNet(stages, 0.2, num_classes=num_classes, last_channel=last,
                                           norm_layer=functools.partial(nn.BatchNorm2d, eps=1e-3))


def thin(model, width, size):
    """Scale the outputs of every layer but the last; the inputs are read off an image sent through the network, layer
    after layer, just before each layer runs."""
    last = {"fc", "classifier.6", "AuxLogits.fc", "aux1.fc2", "aux2.fc2"}
    if isinstance(model, torchvision.models.SqueezeNet):
        last.add("classifier.1")

    def resize(module, channels):
        if isinstance(module, nn.BatchNorm2d):
            module.__init__(channels, eps=module.eps, momentum=module.momentum)
            module.eval()
            return
        if isinstance(module, nn.Linear):
            outputs = module.out_features if module.full_name in last else scale(module.out_features, width)
            module.__init__(channels, outputs)
        elif isinstance(module, nn.Conv1d):
            k = neighbourhood(channels)
            module.__init__(1, 1, k, padding=k // 2, bias=False)
        else:
            outputs = module.out_channels if module.full_name in last else scale(module.out_channels, width)
            if module.full_name.endswith("se.fc1") and model.__class__ is torchvision.models.ResNet:
                outputs = squeezed(channels)
            if 1 < module.groups == module.in_channels:  # each channel by itself
                outputs = module.groups = channels
            if outputs % module.groups or channels % module.groups:
                raise ValueError(f"{module.full_name}: {channels} to {outputs} channels do not divide by "
                                 f"{module.groups} groups at width {width}")
            module.__init__(channels, outputs, module.kernel_size, module.stride, module.padding,
                            module.dilation, module.groups, module.bias is not None)

    # Wrapped around forward rather than hooked: calling __init__ again drops a module's hooks.
    def wrap(module):
        def forward(x):
            resize(module, x.shape[2 if isinstance(module, nn.Conv1d) else 1])
            return type(module).forward(module, x)
        return forward

    layers = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            module.full_name = name
            module.forward = wrap(module)
            layers.append(module)
    # The outermost flag alone: sends the image through the auxiliary classifiers too.
    model.training = hasattr(model, "AuxLogits") or hasattr(model, "aux1")
    with torch.no_grad():
        model(torch.zeros(1, first_convolution(model).in_channels, size, size))
    for module in layers:
        del module.forward, module.full_name
    model.eval()


def randomise(model, seed, images=None):
    """Random weights of a sensible scale (He et al. 2015) and batch-norm factors, offsets and statistics that a test
    notices, every one of them. The statistics are those of `images` (None: of noise), moved off by random amounts: as in a
    trained network they keep the activations, and so the logits and both derivatives, from vanishing or exploding in the
    depth. Very different images (a smooth picture after noise) can explode: give those that the network will see.
    Same seed, same network (up to the last bits of PyTorch's convolutions). For float32 networks."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(shape, low, high):
        return torch.rand(shape, generator=generator) * (high - low) + low

    def normal(shape, deviation):
        return torch.randn(shape, generator=generator) * deviation

    def observe(module, inputs):
        mean, var = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        var += 0.5 * mean**2 + 0.01  # small maps (1x1 at the end) hardly vary
        module.running_mean.copy_(mean + uniform(mean.shape, -0.3, 0.3) * var.sqrt())
        module.running_var.copy_(var * uniform(var.shape, 0.5, 1.5))

    hooks = []
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                module.weight.copy_(normal(module.weight.shape, math.sqrt(2 / module.weight[0].numel())))
                if module.bias is not None:
                    module.bias.copy_(normal(module.bias.shape, 0.05))
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(uniform(module.running_mean.shape, -0.5, 0.5))
                module.running_var.copy_(uniform(module.running_var.shape, 0.5, 1.5))
                module.weight.copy_(uniform(module.weight.shape, 0.5, 1.5))
                module.bias.copy_(uniform(module.bias.shape, -0.3, 0.3))
                hooks.append(module.register_forward_pre_hook(observe))
            elif isinstance(module, nn.LayerNorm):
                module.weight.copy_(uniform(module.weight.shape, 0.5, 1.5))
                module.bias.copy_(uniform(module.bias.shape, -0.3, 0.3))
            elif isinstance(module, nn.MultiheadAttention):
                module.in_proj_weight.copy_(normal(module.in_proj_weight.shape, 1 / math.sqrt(module.embed_dim)))
                module.in_proj_bias.copy_(normal(module.in_proj_bias.shape, 0.05))
            elif isinstance(getattr(module, "layer_scale", None), nn.Parameter):
                module.layer_scale.copy_(uniform(module.layer_scale.shape, 0.2, 0.8))
        for name, parameter in model.named_parameters():
            if name in ("class_token", "encoder.pos_embedding") or name.endswith("relative_position_bias_table"):
                parameter.copy_(normal(parameter.shape, 0.5))
        side = getattr(model, "image_size", 192)
        logits = model.eval()(normal((2, first_convolution(model).in_channels, side, side), 1.0) if images is None else images)
        last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
        last.weight *= 0.7 / logits.std()  # a softmax that is neither flat nor saturated
    for hook in hooks:
        hook.remove()
    return model
