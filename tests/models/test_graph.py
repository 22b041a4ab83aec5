"""The graphs that ship are the ones that the tool writes, and hold no weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from remanence.models.bert import GRAPHS

onnx = pytest.importorskip("onnx", reason="the package onnx, which writes the graphs, is not installed")


@pytest.fixture
def tool(monkeypatch):
    path = Path(__file__).parents[2] / "tools" / "build_minilm_graph.py"
    spec = importlib.util.spec_from_file_location("build_minilm_graph", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_shipped_graph_is_what_the_tool_writes(tool, precision):
    shipped = onnx.load_from_string((GRAPHS / f"minilm-l6-v2.{precision}.onnx").read_bytes())
    assert shipped == tool.build(int8=precision == "int8")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_shipped_graph_is_small(precision):
    assert len((GRAPHS / f"minilm-l6-v2.{precision}.onnx").read_bytes()) < 40_000
