"""What is true of models with one latent vector "z" and amortized guides: their parts, images, and refused data."""

import pytest
import torch

from elbowroom.guides import AmortizedGuide
from elbowroom.models import HierarchicalVAE, LatentModel
from toys.contract import ADAPTERS, PAIRS, VARIANTS, B, D, P, Pair, S, terms


def has_one_vector(pair: Pair) -> bool:
    model, _ = pair.build()
    return isinstance(model, LatentModel) and not isinstance(model, HierarchicalVAE) and len(pair.data(1)) == 1


LATENT = {name: pair for name, pair in PAIRS.items() if has_one_vector(pair)}
every_pair = pytest.mark.parametrize("pair", LATENT.values(), ids=list(LATENT))


@every_pair
def test_parts_have_the_shapes_that_they_say(pair: Pair) -> None:
    (model, guide), (x,) = pair.build(), pair.data(B)
    assert isinstance(model, LatentModel) and isinstance(guide, AmortizedGuide)
    assert model.prior().batch_shape == () and model.prior().event_shape == (D,)
    assert model.decode(torch.zeros(S, B, D)).shape() == (S, B, P)
    assert guide.encode(x).shape() == (B, D)


@every_pair
def test_terms_are_those_of_the_parts(pair: Pair) -> None:
    target = pair.target()
    z, log_q = target.propose(S)
    log_p = target.model.prior().log_prob(z["z"]), target.model.decode(z["z"]).log_prob(target.args[0].flatten(1))
    torch.testing.assert_close(terms(target, z), torch.stack([log_q, *log_p]), rtol=1e-12, atol=1e-12)
    row_by_row = torch.stack([target.model.log_joint(*target.args, one) for one in z["z"]])
    torch.testing.assert_close(row_by_row, sum(log_p), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_q, target.guide.encode(target.args[0]).log_prob(z["z"]), rtol=1e-12, atol=1e-12)


@every_pair
def test_generate(pair: Pair) -> None:
    model, _ = pair.build()
    state = torch.get_rng_state()
    z, mean = model.generate(4, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert z.shape == (4, D) and mean.shape == (4, P) and not mean.requires_grad
    torch.testing.assert_close(mean, model.decode(z).mean)
    assert torch.equal(model.generate(4, seed=1).z, z) and not torch.equal(model.generate(4, seed=2).z, z)
    with pytest.raises(ValueError, match=r"num_samples must be .*got 0"):
        model.generate(0)


@pytest.mark.parametrize("pair", [pair for name, pair in LATENT.items() if name not in ADAPTERS])
def test_images_equal_flat_data(pair: Pair) -> None:
    target = pair.target()
    z = target.propose(1)[0]
    x = target.args[0]
    images = target.pinned_to({0: x.flatten(1) if x.ndim > 2 else x.reshape(B, 1, 2, 3)})
    assert torch.equal(terms(images, z), terms(target, z))


@pytest.mark.parametrize("pair", [pair for name, pair in LATENT.items() if "encoder" not in name])
@pytest.mark.parametrize("width", [1, P - 1, P + 1])
def test_a_wrong_width_names_both_numbers(pair: Pair, width: int) -> None:
    wrong = pair.data(B)[0].flatten(1).repeat(1, 2)[:, :width]
    for program in pair.build():
        with pytest.raises(ValueError, match=rf"^x: got {width} values per datum .*expected {P} "):
            program(wrong)


@pytest.mark.parametrize("pair", [pair for name, pair in LATENT.items() if name not in VARIANTS])
def test_bad_batches_are_refused(pair: Pair) -> None:
    x = pair.data(B)[0].flatten(1)
    for program in pair.build():
        with pytest.raises(ValueError, match=r"x: got shape \(6,\).*x\[None\]"):
            program(x[0])
        with pytest.raises(ValueError, match=r"x: got shape \(0, 6\)"):
            program(x[:0])
        with pytest.raises(TypeError, match=r"x: got torch.uint8.*torch.float64.*x.to\("):
            program(x.to(torch.uint8))
        with pytest.raises(TypeError, match=r"x: got ndarray.*torch\.as_tensor"):
            program(x.numpy())
        with pytest.raises(ValueError, match="x: got device meta, but the program is on cpu"):
            program(x.to("meta"))
