"""What a page and a JSON file say of the data, the programs and the weights that a command was asked about."""

import hashlib
from pathlib import Path
from typing import Any

from elbowroom.commands.options import Networks, OfSubject
from elbowroom.commands.registered import guide_name, is_own, likelihood_of, model_name
from elbowroom.commands.runs import Run
from elbowroom.datasets import KINDS, Dataset

Record = dict[str, Any]
"""Name -> what it is, in words or numbers."""

_GROUP = {"last": "parameters", "best": "best"}  # which checkpoint -> the file in its directory


def data_in_words(data: Dataset, split: str, num_data: int) -> str:
    """Which data these are, how they were split, and what was made of them."""
    available, of_all = len(data.split(split)), not len(data.train)
    some = f"{available} data" if num_data == available else f"first {num_data} of {available} data"
    those = f"{'all' if of_all and num_data == available else 'the'} {some} of {data.name}"
    made = "" if data.binarize == "none" else f"; zeros and ones by --data.binarize {data.binarize}{_cut(data)}"
    made += "" if data.dequantize == "none" else f"; uniform noise by --data.dequantize {data.dequantize}"
    rule = "; ".join((data.split_rule, *data.notes))
    return f"{those}{'' if of_all else f', its {split} data'} ({rule}{made})"


def data_record(
    data: Dataset, kind: str, split: str, part: str, num_data: int, *, chosen: bool
) -> tuple[Record, tuple[str, ...]]:
    """The data, their file and how they became what the programs see; and what nobody has chosen of that.

    Args:
        data: where they are from.
        kind: what a datum is, a name in `KINDS`.
        split: the part of them.
        part: what it is called: `all` where the file has no splits.
        num_data: how many were taken, from the first on.
        chosen: whether somebody asked for the way in which they became zeros and ones.
    """
    record: Record = {
        "name": data.name,
        "files": ", ".join(path.name for path in data.files) or "comes with elbowroom",
        "sha256 of the files": data.sha256,
        "number of data": f"{num_data} of {len(data.split(split))}",
        "split": part,
        "rule of the split": data.split_rule,
        "binarisation": _BINARISED[data.binarize] + _cut(data),
    }
    if data.scale != 1:
        record["values divided by"] = data.scale
    record["programs are given"] = KINDS[kind].says
    if chosen or data.binarize == "none" or not data.grey:
        return record, ()
    record["binarisation"] += "; nobody asked for it"
    return record, (
        f"grey values above {data.threshold:g} became 1, all others 0: nobody asked for it, and every number is of "
        "these zeros and ones, not of grey values that training may have been on; --data.binarize none|threshold|"
        "static|dynamic chooses (none for a likelihood of grey values, such as continuous-bernoulli)",
    )


def about_run(opened: Run, which: str) -> dict[str, Record]:
    """The programs of a run by their names, and the checkpoint that was opened."""
    options, loaded = opened.programs, opened.loaded
    file = loaded.path / f"{_GROUP[which]}.safetensors"
    likelihood = likelihood_of(options)
    return {
        "model": {"program": options.model if is_own(options.model) else model_name(options)}
        | ({} if likelihood is None else {"likelihood": likelihood}),
        "guide": {"program": options.guide if is_own(options.guide) else guide_name(options)},
        "checkpoint": {"file": str(file), "which": which, "epoch": loaded.epoch, "sha256": sha256_of(file)},
    }


def about_programs(options: OfSubject) -> dict[str, Record]:
    """A model and a guide of somebody's own, by their names."""
    return {"model": {"program": options.model}, "guide": {"program": options.guide}}


def about_networks(options: OfSubject, weights: dict[str, Record]) -> dict[str, Record]:
    """Plain networks, how their outputs are read, and the files of their weights."""
    networks = options.networks
    likelihood: Record = {"likelihood": networks.likelihood}
    if networks.sigma is not None:
        likelihood["sigma"] = networks.sigma
    likelihood |= {f"likelihood's {name}": value for name, value in networks.likelihood_options.items()}
    return {
        "model": {
            "network": networks.decoder or f"{networks.vae} (decodes)",
            "decoder_output": _output(networks, "decoder_output"),
            **likelihood,
            "prior": networks.prior or "N(0, I)",
        },
        "guide": {
            "network": networks.encoder or f"{networks.vae} (encodes)",
            "encoder_output": _output(networks, "encoder_output"),
        },
        **{f"weights of {option}": record for option, record in weights.items()},
    }


def sha256_of(file: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _output(networks: Networks, option: str) -> str:
    return getattr(networks, option) or "read off what it returns"


def _cut(data: Dataset) -> str:
    return f" at {data.threshold:g}" if data.binarize == "threshold" else ""


_BINARISED = {
    "none": "none: the values are as they are",
    "threshold": "1 above the threshold, else 0: threshold",
    "static": "one seeded draw",
    "dynamic": "a new draw for each minibatch, and one seeded draw of held-out data",
}
