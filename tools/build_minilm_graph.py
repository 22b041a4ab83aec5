"""Write the two weight-free graphs of all-MiniLM-L6-v2 that the package ships.

Run:  python tools/build_minilm_graph.py

The graphs hold structure only. Every weight is a named external initializer, which `remanence.models.bert` hands to
ONNX Runtime when a session is built. Operators of the domain `com.microsoft` are the fused ones: attention, bias with
exact GELU, residual with layer normalisation.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from remanence.models.bert import GRAPHS
from remanence.models.weights import EPSILON, HEADS, HIDDEN, LAYERS, POSITIONS, TYPES, VOCABULARY, WIDE

MICROSOFT = "com.microsoft"


class Graph:
    """A list of nodes and initializers that grows by method calls; values are named by strings."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def weight(self, name: str, *shape: int, dtype: int = TensorProto.FLOAT) -> str:
        """Declare a weight that the session receives when it is built."""
        tensor = TensorProto(name=name, data_type=dtype, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="given-when-the-session-is-built")
        self.initializers.append(tensor)
        return name

    def constant(self, name: str, value: int) -> str:
        self.initializers.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
        return name

    def add(self, operator: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, list(outputs), domain=domain, **attributes))
        return outputs[0]

    def normed(self, layer: str, name: str, value: str, residual: str) -> str:
        """LayerNorm(value + bias + residual): the bias of the matrix product before it rides along."""
        gain, shift = self.weight(f"{layer}.{name}.gain", HIDDEN), self.weight(f"{layer}.{name}.shift", HIDDEN)
        bias = self.weight(f"{layer}.{name}.bias", HIDDEN)
        return self.add(
            "SkipLayerNormalization",
            [value, residual, gain, shift, bias],
            f"{layer}.{name}",
            domain=MICROSOFT,
            epsilon=EPSILON,
        )


def product(graph: Graph, name: str, value: str, rows: int, columns: int, *, int8: bool) -> str:
    """value @ weight. In int8 the activations are quantised per call, the weight per column when it is loaded."""
    if not int8:
        return graph.add("MatMul", [value, graph.weight(f"{name}.weight", rows, columns)], f"{name}.out")
    weight = graph.weight(f"{name}.weight", rows, columns, dtype=TensorProto.INT8)
    scale = graph.weight(f"{name}.scale", columns)
    return graph.add("DynamicQuantizeMatMul", [value, weight, scale], f"{name}.out", domain=MICROSOFT)


def build(*, int8: bool) -> onnx.ModelProto:
    """(ids, mask): int32 (texts, pieces) -> vectors: float32 (texts, 384), unit rows."""
    graph = Graph()
    tables = [
        graph.weight("word", VOCABULARY, HIDDEN),
        graph.weight("position", POSITIONS, HIDDEN),
        graph.weight("type", TYPES, HIDDEN),
        graph.weight("embedded.gain", HIDDEN),
        graph.weight("embedded.shift", HIDDEN),
    ]
    inputs = ["ids", "", *tables, "mask"]
    hidden = graph.add("EmbedLayerNormalization", inputs, "embedded", "lengths", domain=MICROSOFT, epsilon=EPSILON)
    for index in range(LAYERS):
        hidden = encoder(graph, str(index), hidden, int8=int8)
    # Mean over the mask, then length 1. The mean's denominator cancels in the second step, so a sum is enough.
    weights = graph.add(
        "Unsqueeze",
        [graph.add("Cast", ["mask"], "mask.float", to=TensorProto.FLOAT), graph.constant("one", 1)],
        "mask.row",
    )
    total = graph.add("Squeeze", [graph.add("MatMul", [weights, hidden], "sum.row"), "one"], "sum")
    graph.add("LpNormalization", [total], "vectors", axis=-1, p=2)
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "minilm-l6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "pieces"]) for name in ("ids", "mask")],
            [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", HIDDEN])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
        producer_name="remanence",
    )


def encoder(graph: Graph, layer: str, hidden: str, *, int8: bool) -> str:
    """One BERT layer: attention, add and normalise, feed forward, add and normalise."""
    attended = attention(graph, layer, hidden, int8=int8)
    mixed = product(graph, f"{layer}.mix", attended, HIDDEN, HIDDEN, int8=int8)
    hidden = graph.normed(layer, "attended", mixed, hidden)
    wide = product(graph, f"{layer}.widen", hidden, HIDDEN, WIDE, int8=int8)
    wide = graph.add("BiasGelu", [wide, graph.weight(f"{layer}.widen.bias", WIDE)], f"{layer}.gelu", domain=MICROSOFT)
    narrow = product(graph, f"{layer}.narrow", wide, WIDE, HIDDEN, int8=int8)
    return graph.normed(layer, "fed", narrow, hidden)


def attention(graph: Graph, layer: str, hidden: str, *, int8: bool) -> str:
    """Twelve heads; query, key and value are one product inside the operator."""
    bias = graph.weight(f"{layer}.qkv.bias", 3 * HIDDEN)
    if not int8:
        weight = graph.weight(f"{layer}.qkv.weight", HIDDEN, 3 * HIDDEN)
        inputs = [hidden, weight, bias, "mask"]
        return graph.add("Attention", inputs, f"{layer}.attention", domain=MICROSOFT, num_heads=HEADS)
    weight = graph.weight(f"{layer}.qkv.weight", HIDDEN, 3 * HIDDEN, dtype=TensorProto.INT8)
    weight_scale = graph.weight(f"{layer}.qkv.scale", 3 * HIDDEN)
    small, scale, zero = f"{layer}.small", f"{layer}.small.scale", f"{layer}.small.zero"
    graph.add("DynamicQuantizeLinear", [hidden], small, scale, zero)
    inputs = [small, weight, bias, scale, weight_scale, "mask", zero]
    return graph.add("QAttention", inputs, f"{layer}.attention", domain=MICROSOFT, num_heads=HEADS)


def main() -> None:
    for precision in ("fp32", "int8"):
        path = Path(str(GRAPHS)) / f"minilm-l6-v2.{precision}.onnx"
        path.parent.mkdir(exist_ok=True)
        onnx.save(build(int8=precision == "int8"), path)
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
