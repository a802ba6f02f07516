"""`docs/families.md`: what the registries have, models, guides, densities, kinds; `python docs/families_page.py`."""

from pathlib import Path

from elbowroom.commands.families import densities, densities_table, families, guides_told, markdown
from elbowroom.datasets import KINDS

PAGE = Path(__file__).with_name("families.md")

_TEXT = """\
# Models, guides and data by name

```sh
elbowroom families  # this page, in a terminal
elbowroom train --programs.model vae --programs.options '{{latent_dim: 10, hidden: [128, 128]}}' --output runs/a
elbowroom train --programs.model ppca --programs.guide exact --output runs/b
```

In the order in which they win: what `--programs.options` and `--programs.guide_options` say; the shorthands
(`--programs.latent_dim`, `likelihood`, `sigma`, `hidden`, `encoder_hidden`, `activation`), each handed to the program
that has an argument of that name (`encoder_hidden` is the guide's `hidden`), `likelihood` only where it differs from
its default; the sizes of the data (`data_dim`, `image_shape`, `num_steps`, `num_classes`, `context_dim`); the
constructor's own defaults (in place of a shorthand's, `'{{hidden: null}}'` where `None` is the default). What a guide
needs and nobody gives is the model's attribute of that name. An unknown option, and a shorthand that neither program
has, are refused before anything is built. `--programs.family` is a shorthand for `--programs.model`.

## Models

{models}

{model_options}

## Guides

{guides}

{guide_options}

`full-normal`, `normal-mixture`, `planar`, `iaf`, `coupling` and `spline` are built around a diagonal Normal: they take
away what its family costs, the approximation gap, and leave the encoder's. `decompose(target)` says which of the two
is larger before one is trained. In Python `around=guide` begins at a trained one, of which the parameters are copied:
an encoder drawn anew has to learn everything again, and overfits as before.

```python
from elbowroom.guides import FlowGuide
from elbowroom.inference import retrain_guide

flow = FlowGuide(64, 2, kind="iaf", around=guide)  # the trained guide's ELBO, to begin with
print(retrain_guide(target, flow, data.train, validation=data.validation))  # the model stays as it is
```

`semi-amortized` takes away what the encoder costs, the amortization gap, by a few steps on each datum, and stays a
diagonal Normal: `SemiAmortized(guide, model, num_steps=20)` in Python. `iaf`, `coupling` and `spline` are made of zuko:
`pip install 'elbowroom[flows]'`.

## Densities

Models of x without latents, to compare with: they go to `--density`, in the place of model and guide; their arguments
to `--density_options`, those of the fit (`num_epochs`, `batch_size`, `learning_rate`, `weight_decay`, `schedule` and
what the density adds) to `--fit_options`. `evidence` and `generate` take such a run as any other. Of grey images
`--data.binarize none` leaves the levels that are in the file; a density of zeros and ones gets a threshold.

```sh
elbowroom train --density made --density_options '{{num_orders: 3}}' --fit_options '{{num_epochs: 50}}' --output runs/d
elbowroom evidence --run runs/d
```

{densities}

{density_options}

## Kinds of data

What a model and a guide are called with, x first. Programs of one's own (`module:name`) say theirs with
`--programs.datum`; without it they get x `[B, P]` as the data are. In Python: `KINDS["labelled"].arguments(data,
"train")` of `elbowroom.datasets`.

{kinds}

Counts whose decoder says shares of a datum's total, `--programs.options '{{likelihood: negative-binomial,
likelihood_options: {{exposure: total}}}}'`: every number is log p(x | total), and where data are drawn from the model
they are drawn given the totals of the data. `elbowroom evidence` says the perplexity of a `bag`, log p(x) per word.

Sequences are the rows of images (digits: 8 steps of 8 pixels), arrays `x [N, T, P]`, or arrays `[N, T]` of one value a
step; of different lengths they have a `mask [N, T]` beside `x` in the `.npz` (`mask_train` beside `x_train`), and what
stands where it is false is not looked at.

```sh
elbowroom train --programs.model deep-markov --programs.latent_dim 4 --training.warmup_epochs 20 --output runs/rows
elbowroom train --programs.model linear-dynamical-system --data.name linear-system --output runs/c
```
"""


def families_page() -> str:
    """The page as the registries make it."""
    models, guides = families(), guides_told()
    return _TEXT.format(
        models=markdown(
            ("model", "guides", "data", "log p(x) exactly by", "what it is"),
            [(f"`{n}`", ", ".join(f.guides), f.data, f.exact, f.what) for n, f in models.items()],
        ),
        model_options="\n".join(f"- `{name}` takes `{family.options}`." for name, family in models.items()),
        guides=markdown(("guide", "what it is"), [(f"`{name}`", what) for name, (what, _) in guides.items()]),
        guide_options="\n".join(f"- `{name}` takes `{taken}`." for name, (_, taken) in guides.items() if taken),
        densities=densities_table(),
        density_options="\n".join(f"- `{name}` takes `{d.options}`." for name, d in densities().items()),
        kinds=markdown(("kind", "arguments"), [(f"`{name}`", kind.says) for name, kind in KINDS.items()]),
    )


if __name__ == "__main__":
    PAGE.write_text(families_page())
