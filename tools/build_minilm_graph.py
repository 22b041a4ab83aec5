"""Write the two weight-free graphs of all-MiniLM-L6-v2 that the package ships.

Run:  python tools/build_minilm_graph.py

The graphs hold structure only. Every weight is a named external initializer, which `remanence.models.bert` hands to
ONNX Runtime when a session is built. Operators of the domain `com.microsoft` are the fused ones: attention, bias with
exact GELU, residual with layer normalisation, product of integers. `remanence.models.int8` says what the int8 graph does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from remanence.models.bert import GRAPHS
from remanence.models.int8 import FLOOR, RARE
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
        return self._once(tensor)

    def constant(self, name: str, *values: float, dtype: int = TensorProto.INT64) -> str:
        """A number, or a list of them if they are int64."""
        return self._once(
            helper.make_tensor(name, dtype, [len(values)] if dtype == TensorProto.INT64 else [], list(values))
        )

    def _once(self, tensor: onnx.TensorProto) -> str:
        if all(known.name != tensor.name for known in self.initializers):
            self.initializers.append(tensor)
        return tensor.name

    def add(self, operator: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, list(outputs), domain=domain, **attributes))
        return outputs[0]

    def normed(self, layer: str, name: str, value: str, residual: str, *, fused: bool) -> str:
        """LayerNorm(value + bias + residual): the bias of the matrix product before it rides along.

        The fused operator is the slower one on a CPU; the fp32 graph keeps it, so that its vectors stay what they were.
        """
        out = f"{layer}.{name}"
        gain, shift = self.weight(f"{out}.gain", HIDDEN), self.weight(f"{out}.shift", HIDDEN)
        bias = self.weight(f"{out}.bias", HIDDEN)
        if fused:
            inputs = [value, residual, gain, shift, bias]
            return self.add("SkipLayerNormalization", inputs, out, domain=MICROSOFT, epsilon=EPSILON)
        total = self.add("Add", [self.add("Add", [value, bias], f"{out}.biased"), residual], f"{out}.total")
        return self.add("LayerNormalization", [total, gain, shift], out, axis=-1, epsilon=EPSILON)


def product(graph: Graph, name: str, value: str, rows: int, columns: int, *, small: Small | None) -> str:
    """value @ weight, in float32 or, with `small`, in 8 bits."""
    if small is None:
        return graph.add("MatMul", [value, graph.weight(f"{name}.weight", rows, columns)], f"{name}.out")
    zero = graph.constant(f"zero.{small.zero}", small.zero, dtype=TensorProto.UINT8)
    one = graph.constant("one.float", 1.0, dtype=TensorProto.FLOAT)
    weight = graph.weight(f"{name}.weight", rows, columns, dtype=TensorProto.INT8)
    inputs = [small.steps, weight, one, graph.weight(f"{name}.scale", columns), zero]
    steps = graph.add("MatMulIntegerToFloat", inputs, f"{name}.steps", domain=MICROSOFT)
    common = graph.add("Mul", [steps, small.step], f"{name}.common")
    if not small.rare:
        return common
    rare = graph.add("MatMul", [small.rare, graph.weight(f"{name}.rare", RARE, columns)], f"{name}.rare.out")
    return graph.add("Add", [common, rare], f"{name}.out")


@dataclass(frozen=True)
class Small:
    """A value in 8 bits, every row in steps of its own: (steps - zero) * step; and its rare columns as they were."""

    steps: str
    step: str
    zero: int
    rare: str = ""


def small(graph: Graph, value: str, columns: int, choice: str = "") -> Small:
    """Round a value of either sign; `choice` names the columns that are left out."""
    common, rare = value, ""
    if choice:
        common, rare = without(graph, value, value, columns, choice)
    largest = graph.add("Abs", [common], f"{value}.abs")
    return rounded(graph, value, (common, largest), columns, zero=128, rare=rare)


def small_gelu(graph: Graph, value: str, columns: int, choice: str) -> Small:
    """Round what GELU gave; `int8.quantised` takes `FLOOR` back from the bias that follows."""
    floor = graph.constant("floor", FLOOR, dtype=TensorProto.FLOAT)
    lifted = graph.add("Add", [value, floor], f"{value}.lifted")
    common, rare = without(graph, lifted, value, columns, choice)
    return rounded(graph, value, (common, common), columns, zero=0, rare=rare)


def without(graph: Graph, value: str, original: str, columns: int, choice: str) -> tuple[str, str]:
    """(value with zeros in its rare columns, the rare columns of the original)."""
    common = graph.add("Mul", [value, graph.weight(f"{choice}.common", columns)], f"{original}.common.value")
    numbers = graph.weight(f"{choice}.rare", RARE, dtype=TensorProto.INT64)
    return common, graph.add("Gather", [original, numbers], f"{original}.rare.value", axis=-1)


def rounded(graph: Graph, name: str, value: tuple[str, str], columns: int, *, zero: int, rare: str) -> Small:
    """Round value[0], whose rows reach as far as those of value[1]."""
    per = graph.constant(f"per.{zero}", 1 / (255 - zero), dtype=TensorProto.FLOAT)
    largest = graph.add("ReduceMax", [value[1]], f"{name}.largest", axes=[-1], keepdims=1)
    step = graph.add("Mul", [largest, per], f"{name}.step")
    # QuantizeLinear takes one step per row of a matrix, and nothing of more axes.
    rows = graph.add("Reshape", [value[0], graph.constant(f"rows.{columns}", -1, columns)], f"{name}.rows")
    inputs = [rows, graph.add("Reshape", [step, graph.constant("flat", -1)], f"{name}.row.steps")]
    if zero:
        inputs.append("zeros")
    steps = graph.add("QuantizeLinear", inputs, f"{name}.row.values", axis=0)
    return Small(graph.add("Reshape", [steps, "shape"], f"{name}.steps"), step, zero, rare)


def shapes(graph: Graph) -> None:
    """(texts, pieces, -1), and one zero point per piece, for all that is rounded."""
    graph.add("Concat", [graph.add("Shape", ["ids"], "ids.shape"), graph.constant("flat", -1)], "shape", axis=0)
    count = graph.add("Reshape", [graph.add("Size", ["ids"], "ids.size"), graph.constant("flat", -1)], "ids.count")
    graph.add("Expand", [graph.constant("zero.128", 128, dtype=TensorProto.UINT8), count], "zeros")


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
    if int8:
        shapes(graph)
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
    tiny = small(graph, attended, HIDDEN) if int8 else None
    mixed = product(graph, f"{layer}.mix", attended, HIDDEN, HIDDEN, small=tiny)
    hidden = graph.normed(layer, "attended", mixed, hidden, fused=not int8)
    tiny = small(graph, hidden, HIDDEN, "hidden") if int8 else None
    wide = product(graph, f"{layer}.widen", hidden, HIDDEN, WIDE, small=tiny)
    wide = graph.add("BiasGelu", [wide, graph.weight(f"{layer}.widen.bias", WIDE)], f"{layer}.gelu", domain=MICROSOFT)
    tiny = small_gelu(graph, wide, WIDE, f"{layer}.gelu") if int8 else None
    narrow = product(graph, f"{layer}.narrow", wide, WIDE, HIDDEN, small=tiny)
    return graph.normed(layer, "fed", narrow, hidden, fused=not int8)


def attention(graph: Graph, layer: str, hidden: str, *, int8: bool) -> str:
    """Twelve heads. In float32, query, key and value are one product inside the operator."""
    bias = graph.weight(f"{layer}.qkv.bias", 3 * HIDDEN)
    if not int8:
        weight = graph.weight(f"{layer}.qkv.weight", HIDDEN, 3 * HIDDEN)
        inputs = [hidden, weight, bias, "mask"]
        return graph.add("Attention", inputs, f"{layer}.attention", domain=MICROSOFT, num_heads=HEADS)
    tiny = small(graph, hidden, HIDDEN, "hidden")
    joined = product(graph, f"{layer}.qkv", hidden, HIDDEN, 3 * HIDDEN, small=tiny)
    parts = [f"{layer}.{part}" for part in ("query", "key", "value")]
    graph.add("Split", [joined, graph.constant("thirds", HIDDEN, HIDDEN, HIDDEN)], *parts, axis=-1)
    inputs = [*parts, bias, "mask"]
    return graph.add("MultiHeadAttention", inputs, f"{layer}.attention", domain=MICROSOFT, num_heads=HEADS)


def main() -> None:
    for precision in ("fp32", "int8"):
        path = Path(str(GRAPHS)) / f"minilm-l6-v2.{precision}.onnx"
        path.parent.mkdir(exist_ok=True)
        onnx.save(build(int8=precision == "int8"), path)
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
