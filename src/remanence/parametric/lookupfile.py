"""A lookup memory as one file, `remanence.rows/1`.

The n-grams and entities are token ids, so the file holds content of the memories that its rows were made from; what is said of it outside does not.
The file is a function of the rows alone: after a delete it is, byte for byte, the file of a memory that never had them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remanence.cubes import Form
from remanence.drafts import Artefact
from remanence.errors import PayloadDamagedError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint
from remanence.parametric import tensorfile
from remanence.parametric.lookup import LookupMemory
from remanence.parametric.lookuptable import LookupSpec, NGram, Owner, RowSet
from remanence.parametric.lookuptraining import Note, RowTraining

FORMAT = "remanence.rows/1"


def derive(
    notes: Sequence[Note], lm: CausalLM, target: Path, spec: LookupSpec | None = None, how: RowTraining | None = None
) -> Artefact:
    """Train rows for each note and write them to `target`. The model is as before afterwards.

    Raises
    ------
    InputError, QuotaError, TrainingError
        As `LookupMemory.write`; nothing is written then.
    """
    start = time.monotonic()
    memory = LookupMemory(lm, spec)
    written = memory.write(notes, how)
    details = {
        "sources": [[note.owner.id, note.owner.version] for note in notes],
        "rows": memory.occupancy().rows,
        "tokens": sum(len(lm.encode(prompt + answer)) for note in notes for prompt, answer in note.pairs),
        "steps": sum(one.steps for one in written),
        "loss": max((one.loss for one in written), default=0.0),
        "seconds": round(time.monotonic() - start, 3),
    }
    save(memory, target, details)
    text = f"Lookup rows of {len(notes)} memories for {lm.name}"
    return Artefact(Form.PARAMETRIC, FORMAT, target, memory.stands_on().to_json(), details, text)


def save(memory: LookupMemory, target: Path, details: Mapping[str, Any] | None = None) -> Path:
    """Write all rows of a memory to one file."""
    sets = memory.sets
    entities = [(number, entity) for number, rows in enumerate(sets) for entity in rows.entities]
    tensors = {
        "values": torch.cat([torch.zeros(0, len(memory.spec.layers), memory.width), *(rows.values for rows in sets)]),
        "ngrams": _padded([ngram for rows in sets for ngram in rows.ngrams]),
        "counts": torch.tensor([len(rows.ngrams) for rows in sets], dtype=torch.int32),
        "entities": _padded([entity for _, entity in entities]),
        "entity_owners": torch.tensor([number for number, _ in entities], dtype=torch.int32),
    }
    about = {
        "spec": asdict(memory.spec),
        "owners": [[rows.owner.id, rows.owner.version] for rows in sets],
        "fingerprint": memory.stands_on().to_json(),
        "details": dict(details or {}),
    }
    return tensorfile.write(target, FORMAT, tensors, about)


def open_(path: Path, lm: CausalLM) -> LookupMemory:
    """The memory of a file, detached. Rows that were made on the base alone are opened also beside adapters and other rows.

    Raises
    ------
    PayloadDamagedError
        The file is missing, of another format, or not what was written.
    ModelMismatchError
        The rows were made with another model.
    """
    tensors, about = tensorfile.read(path, FORMAT)
    try:
        spec = _spec(about["spec"])
        made_with = Fingerprint.from_json(about["fingerprint"])
        sets = _sets(tensors, about["owners"])
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise PayloadDamagedError(f"{path.name} lacks a part of a lookup memory.", "Build it anew.") from error
    now = lm.fingerprint if made_with.adapter else replace(lm.fingerprint, adapter="")
    made_with.require(now, f"The lookup memory {path.name}")
    memory = LookupMemory(lm, spec)
    if any(rows.values.shape != (len(rows.ngrams), len(spec.layers), memory.width) for rows in sets):
        raise PayloadDamagedError(f"The rows of {path.name} do not have the shape that it says.", "Build it anew.")
    memory.add(sets)
    return memory


def details(path: Path) -> dict[str, Any]:
    """What `derive` noted. Raises `PayloadDamagedError` as `open_`."""
    return dict(tensorfile.read(path, FORMAT)[1].get("details", {}))


def _spec(said: Mapping[str, Any]) -> LookupSpec:
    plain: dict[str, Any] = {**said, "layers": tuple(said["layers"]), "orders": tuple(said["orders"])}
    return LookupSpec(**plain)


def _sets(tensors: Mapping[str, Tensor], owners: Sequence[Sequence[Any]]) -> list[RowSet]:
    ngrams, entities = _unpadded(tensors["ngrams"]), _unpadded(tensors["entities"])
    counts: list[int] = tensors["counts"].tolist()
    belongs: list[int] = tensors["entity_owners"].tolist()
    if len(counts) != len(owners) or sum(counts) != len(ngrams) or len(belongs) != len(entities):
        raise ValueError(len(owners))
    sets: list[RowSet] = []
    start = 0
    for number, (count, (cube, version)) in enumerate(zip(counts, owners, strict=True)):
        named = tuple(entity for owner, entity in zip(belongs, entities, strict=True) if owner == number)
        end = start + count
        values = tensors["values"][start:end].clone()
        sets.append(RowSet(Owner(str(cube), int(version)), tuple(ngrams[start:end]), values, named))
        start = end
    return sets


def _padded(sequences: Sequence[NGram]) -> Tensor:
    longest = max(map(len, sequences), default=0)
    return torch.tensor([[*ids, *[-1] * (longest - len(ids))] for ids in sequences], dtype=torch.int32).reshape(
        -1, longest
    )


def _unpadded(rows: Tensor) -> list[NGram]:
    return [tuple(number for number in ids if number >= 0) for ids in rows.tolist()]
