"""A small model with random weights: what is exact is exact for any weights."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `local`")
pytest.importorskip("transformers", reason="needs the extra `local`")

from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from remanence.cubes import Kind, MemCube, Provenance, Scope  # noqa: E402
from remanence.models.local.causal import CausalLM  # noqa: E402
from remanence.models.local.nano import NanoSpec, new  # noqa: E402
from remanence.models.local.tokenizing import byte_tokenizer  # noqa: E402

SPEC = NanoSpec(depth=4, width=64, heads=4, kv_heads=2, vocab=259, context=512)
CHAT = (
    "{% for m in messages %}<|begin|>{{ m['role'] }}\n{{ m['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lm():
    return CausalLM.of(new(SPEC), byte_tokenizer(), "nano")


@pytest.fixture(scope="session")
def roomy():
    """With room for an instruction and memories in bytes."""
    return CausalLM.of(new(NanoSpec(depth=2, width=32, heads=2, vocab=259, context=2048)), byte_tokenizer(), "roomy")


@pytest.fixture(scope="session")
def chatting():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT
    return CausalLM.of(new(NanoSpec(depth=2, width=32, heads=2, vocab=259, context=2048)), tokenizer, "chatting")


@pytest.fixture
def model_with():
    """Builds a model whose configuration differs."""

    def build(name="other", **different):
        torch.manual_seed(1)
        settings = {
            "vocab_size": 259, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        }  # fmt: skip
        return CausalLM.of(LlamaForCausalLM(LlamaConfig(**{**settings, **different})), byte_tokenizer(), name)

    return build


@pytest.fixture(scope="session")
def texts():
    names, towns = ["Ada", "Ben", "Cid", "Dora", "Eva"], ["Lisbon", "Rome", "Oslo", "Bern", "Porto"]
    return [f"{name} lives in {town} and paints boats. " for name, town in zip(names, towns, strict=True)]


@pytest.fixture(scope="session")
def cube():
    def make(number, text, *, version=1, author=None):
        when = datetime(2026, 3, 1, tzinfo=UTC)
        return MemCube(
            id=f"{number:04d}", version=version, text=text, kind=Kind.MESSAGE, scope=Scope(),
            provenance=Provenance(author=author, observed_at=when), recorded_at=when, valid_from=when,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def cubes(texts, cube):
    return [cube(number, text.strip(), author="Ada") for number, text in enumerate(texts)]
