#!/usr/bin/python3
"""Prints tests/unit/models/facts.h: what torchvision's networks are made of, for the unit tests of models/.

    tests/parity/model_facts.py > tests/unit/models/facts.h

The checksums are zlib's CRC-32 of one line a tensor, "NAME 64x3x7x7\n": over named_parameters(), and over state_dict()
without the num_batches_tracked counters."""
import zlib

import torchvision
from torch import nn

import networks

for init in ("kaiming_normal_", "normal_", "constant_", "trunc_normal_", "kaiming_uniform_", "uniform_"):
    setattr(nn.init, init, lambda tensor, *args, **kwargs: tensor)  # values do not matter here, time does


def crc(named):
    return zlib.crc32("".join(f"{name} {'x'.join(map(str, t.shape))}\n" for name, t in named).encode())


def facts(arch, width, num_classes):
    if arch in networks.ARCHITECTURES:
        model = networks.build(arch, num_classes=num_classes, width=width)
    else:
        model = getattr(torchvision.models, arch)(num_classes=num_classes)
    parameters = list(model.named_parameters())
    state = [(name, t) for name, t in model.state_dict().items() if not name.endswith("num_batches_tracked")]
    filters = sum(p.shape[0] for _, p in parameters if p.dim() == 4)
    elements = sum(p.numel() for _, p in parameters)
    return (f'    {{"{arch}", {width:g}, {num_classes}, {len(parameters)}, {len(state)}, {filters}, {elements}, '
            f'0x{crc(parameters):08x}, 0x{crc(state):08x}}},')


def main():
    print(f"""/* facts.h - written by tests/parity/model_facts.py from torchvision {torchvision.__version__}. */
static const struct facts {{
    const char *arch;
    double width;
    int num_classes;
    int parameters, tensors, filters;
    int64_t elements;
    uint32_t parameter_crc, tensor_crc;
}} facts[] = {{""")
    architectures = list(networks.ARCHITECTURES)
    for arch in architectures + [a for a in ("resnext101_64x4d",) if a not in architectures]:
        if arch not in ("regnet_y_128gf", "vit_l_16", "vit_l_32", "vit_h_14"):  # gigabytes
            print(facts(arch, 1, 1000))
    for arch in networks.ARCHITECTURES:
        # A member that is another one at some width is taken for the first of them.
        if arch in ("mnasnet0_5", "mnasnet0_75", "mnasnet1_3", "efficientnet_b2", "convnext_base", "convnext_large") \
                + networks.SMOOTH_RESNETS:
            continue
        if arch in networks.TIMM_RESNETS and arch not in (*networks.SMALLEST, *networks.GATED):
            continue
        print(facts(arch, 0.25, 10))
        if "resnext" not in arch and not arch.startswith(("regnet", "shufflenet", "vit")) and arch not in networks.IN_EIGHTS:
            print(facts(arch, 0.08, 2))
    print("};")


if __name__ == "__main__":
    main()
