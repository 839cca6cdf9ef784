"""Small ONNX files for the end-to-end tests: protocol buffers, written field by field."""
import random
import struct


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def floats(name, shape, values):
    return data(5, b"".join(number(1, n) for n in shape) + number(2, 1) + data(8, name) + data(9, struct.pack(f"<{len(values)}f", *values)))


def integers(name, values):
    return data(5, number(1, len(values)) + number(2, 7) + data(8, name) + data(9, struct.pack(f"<{len(values)}q", *values)))


def node(kind, inputs, output, name="", **ints):
    """Attributes: a number, or a list of them"""
    attributes = b"".join(data(5, data(1, key) + (number(3, value) + number(20, 2) if isinstance(value, int) else
                                                  b"".join(number(8, n) for n in value) + number(20, 7)))
                          for key, value in ints.items())
    return data(1, b"".join(data(1, i) for i in inputs) + data(2, output) + data(3, name) + data(4, kind) + attributes)


def port(field, name, shape):
    dims = b"".join(data(1, number(1, n)) for n in shape)
    return data(field, data(1, name) + data(2, data(1, number(1, 1) + data(2, dims))))


def classifier(seed, side=32, filters=6, classes=10, lost=False, more=b"", outputs=None, first=None, images=1, image=None):
    """Two convolutions with biases, pooling ("6"), a linear layer ("logits"). lost: without the names that folding loses. more: nodes behind
    it. outputs: [(name, shape)] in place of the logits. first: (nodes, name of what they make of a.weight for the first convolution). images: at a time. image: the input's shape"""
    rng = random.Random(seed)

    def weights(name, *shape):
        count = 1
        for n in shape:
            count *= n
        return floats(name, shape, [rng.gauss(0, 1) for _ in range(count)])

    names = ["onnx::Conv_1", "onnx::Conv_2", "onnx::Conv_3", "onnx::Conv_4"] if lost else ["a.weight", "a.bias", "b.weight", "b.bias"]
    nodes, weight = first or (b"", names[0])
    graph = (nodes + node("Conv", ["image", weight, names[1]], "1", "/a/Conv", pads=[1, 1, 1, 1], strides=[2, 2]) + node("Relu", ["1"], "2") +
             node("Conv", ["2", names[2], names[3]], "3", "/b/Conv", pads=[0, 0, 1, 1], strides=[2, 2]) + node("Relu", ["3"], "4") +
             node("GlobalAveragePool", ["4"], "5") + node("Flatten", ["5"], "6", axis=1) +
             node("Gemm", ["6", "fc.weight", "fc.bias"], "logits", transB=1) + more +
             weights(names[0], filters, 3, 3, 3) + weights(names[1], filters) + weights(names[2], filters, filters, 3, 3) +
             weights(names[3], filters) + weights("fc.weight", classes, filters) + weights("fc.bias", classes) +
             port(11, "image", image or [images, 3, side, side]) + b"".join(port(12, *output) for output in outputs or [("logits", [images, classes])]))
    return number(1, 7) + data(2, "test") + data(7, graph) + data(8, number(2, 14))
