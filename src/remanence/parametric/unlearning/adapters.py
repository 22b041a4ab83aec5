"""Between adapters as files and factors: an adapter that unlearned is an adapter of the original base again, and can be swapped in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remanence.errors import InputError, UnsupportedModelError
from remanence.evaluation.probes import Facet, ProbeSet
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Adapter
from remanence.parametric.measuring import Secret
from remanence.parametric.unlearning.examples import Example
from remanence.parametric.unlearning.factors import Factor, Factors, check_fit, refuse_adapters
from remanence.parametric.unlearning.run import Unlearned, unlearn


def factors_of(adapter: Adapter, lm: CausalLM) -> dict[str, Factor]:
    """An adapter as factors on the model's device, its scale inside B.

    Raises
    ------
    ModelMismatchError
        It was made with another model.
    InputError
        Adapters are on the model at the moment.
    UnsupportedModelError
        It changes layers that are no `torch.nn.Linear`.
    """
    refuse_adapters(lm.model)
    adapter.fingerprint.require(replace(lm.fingerprint, adapter=""), "The adapter")
    if adapter.config["fan_in_fan_out"]:
        raise UnsupportedModelError("The adapter changes transposed layers.", "Rebuild it without the memory instead.")
    found: dict[str, Factor] = {}
    for module in adapter.modules:
        a, b = adapter.factors(module)
        found[module] = Factor(a.to(lm.device), b.to(lm.device) * adapter.scale(module))
    check_fit(lm.model, found)
    return found


def adapter_of(factors: Factors, lm: CausalLM, details: Mapping[str, Any]) -> Adapter:
    """Factors as an adapter of the model, with a scale of 1.

    Raises
    ------
    InputError
        There are no factors.
    """
    if not factors:
        raise InputError("An adapter without factors changes nothing.", "Unlearn on the adapter, not on full weights.")
    ranks = {name: one.rank for name, one in factors.items()}
    rank = max(ranks.values())
    others = {name: own for name, own in ranks.items() if own != rank}
    config = {
        "r": rank, "lora_alpha": rank, "target_modules": sorted(factors), "rank_pattern": others, "alpha_pattern": others,
        "fan_in_fan_out": False,
    }  # fmt: skip
    tensors = {
        f"base_model.model.{name}.lora_{part}.weight": tensor.detach().float().cpu().contiguous()
        for name, one in sorted(factors.items()) for part, tensor in (("A", one.a), ("B", one.b))
    }  # fmt: skip
    return Adapter(config, tensors, replace(lm.fingerprint, adapter=""), dict(details))


def unlearn_adapter(
    lm: CausalLM, adapter: Adapter, forget: Sequence[Example], retain: Sequence[Example], **options: Any
) -> tuple[Adapter, Unlearned]:
    """Let an adapter forget a part of what it holds. The adapter that was passed stays as it is: it is the way back.

    The `details` of the new one are those of the old one, and how it was unlearned under `unlearned`; whoever stores it takes the
    forgotten memory out of its `sources`. For `options` and errors see `unlearn`.
    """
    done = unlearn(lm, forget, retain, on="adapter", adapter=factors_of(adapter, lm), **options)
    return adapter_of(done.factors or {}, lm, {**adapter.details, "unlearned": done.details()}), done


def secrets_of(probes: ProbeSet) -> list[Secret]:
    """What a set of probes asks of each fact, for the battery: reliability and generality as taught, paraphrases as held out."""
    found: list[Secret] = []
    for fact_id in dict.fromkeys(probe.fact_id for probe in probes.probes if probe.fact_id):
        own = [probe for probe in probes.probes if probe.fact_id == fact_id]
        taught = [probe for probe in own if probe.facet in (Facet.RELIABILITY, Facet.GENERALITY)]
        if not taught:
            continue
        answer = taught[0].answer
        found.append(Secret(
            fact_id, answer, tuple(one.prompt for one in taught),
            tuple(one.prompt for one in own if one.facet is Facet.PARAPHRASE and one.answer == answer),
            tuple(dict.fromkeys(foil for one in own if one.facet is Facet.COUNTERFACTUAL for foil in one.against)),
        ))  # fmt: skip
    return found


def kept_of(probes: ProbeSet) -> list[tuple[str, str]]:
    """The prompts and answers that must stay as they are, for the utility of a battery."""
    return [(probe.prompt, probe.answer) for probe in probes.of(Facet.LOCALITY)]
