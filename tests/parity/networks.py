"""The four families of networks in PyTorch, at any width: torchvision's own modules, thinned where asked.

The rules of the width multiplier (the same as psal's models/ follow):

* scale(c) = max(1, floor(c * width + 0.5)); at width 1 nothing is touched and the module is exactly torchvision's.
* ResNet, VGG, Inception-v3: the number of outputs c that the full network's layer has becomes scale(c): every
  convolution (a bottleneck's last one too: scale(256), not 4 * scale(64)) and VGG's two hidden layers of 4096 units.
  How many inputs a layer has follows from what reaches it; a concatenation is as wide as its parts.
* DenseNet: the growth rate and the first convolution's channels are scaled; everything else follows from these two as
  in the full network (bottlenecks of 4 * growth, transitions that keep half, rounded down).
* The number of groups (ResNeXt's 32) stays; channels it does not divide are an error.
* The classifier's last layer (and Inception's auxiliary one) has num_classes outputs, unscaled.
"""
import math

import torch
import torchvision
from torch import nn

DENSENETS = {  # Huang et al. 2017, table 1: growth rate, layers in each block, channels of the first convolution
    "densenet121": (32, (6, 12, 24, 16), 64),
    "densenet161": (48, (6, 12, 36, 24), 96),
    "densenet169": (32, (6, 12, 32, 32), 64),
    "densenet201": (32, (6, 12, 48, 32), 64),
}
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
           "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2")
VGGS = tuple(f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn"))
ARCHITECTURES = RESNETS + VGGS + tuple(DENSENETS) + ("inception_v3",)


def scale(channels, width):
    return max(1, math.floor(channels * width + 0.5))


def build(arch, num_classes=1000, width=1.0, variant="v1.5", bn_eps=None, transform_input=False, aux=True):
    """A network in evaluation mode with PyTorch's initial weights (see `randomise` for ones worth testing with).

    variant: "v1" moves the stride of a ResNet bottleneck from its 3x3 to its first 1x1 convolution (Keras, Caffe).
    bn_eps: epsilon of every batch normalisation; None keeps torchvision's (1e-5, Inception-v3 1e-3).
    transform_input, aux: Inception-v3's, as in torchvision."""
    if arch in DENSENETS:
        growth, blocks, first = DENSENETS[arch]
        model = torchvision.models.DenseNet(scale(growth, width), blocks, scale(first, width), num_classes=num_classes)
    elif arch == "inception_v3":
        model = torchvision.models.Inception3(num_classes, aux_logits=aux, transform_input=transform_input,
                                              init_weights=False)
    elif arch in RESNETS + VGGS:
        model = getattr(torchvision.models, arch)(num_classes=num_classes)
    else:
        raise ValueError(f"unknown architecture {arch!r}; known are {', '.join(ARCHITECTURES)}")
    model.eval()

    if variant == "v1":
        for block in model.modules():
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    elif variant not in ("v1.5", "", None):
        raise ValueError(f"unknown variant {variant!r}: v1 or v1.5")
    if width != 1.0 and arch not in DENSENETS:
        thin(model, width, size=299 if arch == "inception_v3" else 64)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and bn_eps is not None:
            module.eps = bn_eps
    return model


def thin(model, width, size):
    """Scale the outputs of every layer but the last; the inputs are read off an image sent through the network, layer
    after layer, just before each layer runs."""
    last = ("fc", "classifier.6", "AuxLogits.fc")

    def resize(module, channels):
        if isinstance(module, nn.BatchNorm2d):
            module.__init__(channels, eps=module.eps, momentum=module.momentum)
            module.eval()
            return
        if isinstance(module, nn.Linear):
            outputs = module.out_features if module.full_name in last else scale(module.out_features, width)
            module.__init__(channels, outputs)
        else:
            outputs = scale(module.out_channels, width)
            if outputs % module.groups or channels % module.groups:
                raise ValueError(f"{module.full_name}: {channels} to {outputs} channels do not divide by "
                                 f"{module.groups} groups at width {width}")
            module.__init__(channels, outputs, module.kernel_size, module.stride, module.padding,
                            module.dilation, module.groups, module.bias is not None)

    # Wrapped around forward rather than hooked: calling __init__ again drops a module's hooks.
    def wrap(module):
        def forward(x):
            resize(module, x.shape[1])
            return type(module).forward(module, x)
        return forward

    layers = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            module.full_name = name
            module.forward = wrap(module)
            layers.append(module)
    model.training = hasattr(model, "AuxLogits")  # the outermost flag alone: sends the image through AuxLogits too
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    for module in layers:
        del module.forward, module.full_name
    model.eval()


def randomise(model, seed):
    """Random weights of a sensible scale (He et al. 2015) and batch-norm factors, offsets and statistics that a test
    notices, every one of them. The statistics are those of a random image, moved off by random amounts: as in a trained
    network they keep the activations, and so the logits and both derivatives, from vanishing or exploding in the
    depth. Same seed, same network (up to the last bits of PyTorch's convolutions). For float32 networks."""
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
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.copy_(normal(module.weight.shape, math.sqrt(2 / module.weight[0].numel())))
                if module.bias is not None:
                    module.bias.copy_(normal(module.bias.shape, 0.05))
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(uniform(module.running_mean.shape, -0.5, 0.5))
                module.running_var.copy_(uniform(module.running_var.shape, 0.5, 1.5))
                module.weight.copy_(uniform(module.weight.shape, 0.5, 1.5))
                module.bias.copy_(uniform(module.bias.shape, -0.3, 0.3))
                hooks.append(module.register_forward_pre_hook(observe))
        logits = model.eval()(normal((2, 3, 192, 192), 1.0))
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        last.weight *= 0.7 / logits.std()  # a softmax that is neither flat nor saturated
    for hook in hooks:
        hook.remove()
    return model
