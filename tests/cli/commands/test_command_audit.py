"""The command `audit`: what it writes and prints, that it goes on, its exit codes, and what it refuses at once."""

from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from elbowroom.inference import Target, decompose
from elbowroom.inference.audit import examination
from toys.audit import one_block
from toys.commands import Run
from toys.strict_json import read_json

QUICK = ("--budget=300", "--num_simulations=30")
OWN = ("--model=mine:make_model", "--guide=mine:make_guide")
NETWORKS = """
import torch

def decoder():
    return torch.nn.Linear(2, 9)

class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(9, 4)
    def forward(self, x):
        return self.net(x).chunk(2, -1)

class Convolution(Encoder):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Conv2d(1, 4, 3)
    def forward(self, x):
        return self.net(x).flatten(1).chunk(2, -1)

def one_tensor():
    return torch.nn.Linear(9, 4)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short chains and one family: what is told here is the command, not the audit."""
    monkeypatch.setattr(examination, "NUM_DRAWS", 100)
    monkeypatch.setattr(examination, "NUM_WARMUP", 50)
    monkeypatch.setattr(examination, "decompose", partial(decompose, families=["mean-field"]))


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes before any work: a target that is built or audited is a failure."""
    from elbowroom.commands import audit
    from elbowroom.commands import subject as audited

    def work(*given: object, **options: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(audit, "audit_target", work)
    monkeypatch.setattr(audited, "Target", work)
    monkeypatch.setattr(audited, "open_run", work)


def test_a_run_is_audited_and_goes_on(run: Run, trained: Path) -> None:
    """Files, the text for a person, and every exit code, on one state."""
    common = ("audit", f"--run={trained}", "--limit=3", *QUICK)
    first = run(*common, "--fail-if=gap > 1e9 or exploded > 0")
    assert first.code == 0, first
    where = trained / "audit"
    for name in ("report.html", "audit.json", "audit.nc"):
        assert (where / name).stat().st_size > 1000 and str(where / name) in first.out
    assert "Going on" not in first.out and "goes on" not in first.out  # all three data are in the first block
    record = read_json(where / "audit.json")
    for finding in record["verdict"]:
        assert finding["sentence"].split(" ")[0] in first.out
    said = " ".join(first.out.split())
    assert said.endswith(record["brief"]["next_step"] or record["brief"]["whose"])  # the verdict is what is read last
    assert record["brief"]["sentence"] in said[said.index("Written: ") :]
    assert (where / "state-last-test-3-0").is_dir()

    gap = record["numbers"]["gap"]["value"]
    holds = run(*common, f"--fail_if=gap > {gap + 0.01:.6f} or gap > {gap - 0.01:.6f}")
    assert holds.code == 5 and "fail_if holds: gap = " in holds.err and "Traceback" not in holds.err
    assert holds.err.count("gap") == 1 and f"Going on from {where / 'state-last-test-3-0'}" in holds.out
    found = read_json(where / "audit.json")
    assert found["numbers"] == record["numbers"] and found["verdict"] == record["verdict"]
    assert "Written: " in holds.out  # the report is there all the same


def test_choices_have_states_of_their_own(run: Run, trained: Path) -> None:
    names = import_module("elbowroom.commands.subject").state_name
    from elbowroom.commands.options import AuditOptions

    told = [
        names(AuditOptions(**{name: value}), part)
        for name, value, part in (
            ("which", "best", "test"),
            ("split", "train", "train"),
            ("limit", 3, "test"),
            ("seed", 1, "test"),
            ("seed", 0, "all"),
            ("seed", 0, "test"),
        )
    ]
    assert len(set(told)) == 6 and told[-1] == "last-test-0"


@pytest.mark.slow
def test_more_data_than_the_time_allows(run: Run, trained: Path) -> None:
    """The text says so, and what the same command would do."""
    with one_block():
        ended = run("audit", f"--run={trained}", "--split=train", "--limit=20", *QUICK, "--output=elsewhere")
    assert ended.code == 0
    assert "The same command again goes on from there, with 300 s more." in ended.out
    assert "16 of 20 data" in " ".join(ended.out.split())
    assert Path("elsewhere/report.html").exists() and not (trained / "audit").exists()
    assert Path("elsewhere/state-last-train-20-0").is_dir()
    again = run("audit", f"--run={trained}", "--split=train", "--limit=20", *QUICK, "--output=elsewhere", "--json")
    assert again.json() == read_json(Path("elsewhere/audit.json"))


def test_a_damaged_state_is_left_as_it_is(run: Run, trained: Path) -> None:
    state = trained / "audit" / "state-last-test-2-0" / "importance.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"something else")
    assert run("audit", f"--run={trained}", "--limit=2", *QUICK).refused(str(state), "remove it to begin anew")
    assert state.read_bytes() == b"something else" and not (trained / "audit" / "audit.json").exists()


def test_ones_own_programs(run: Run, programs: Path, pixels: Path, audited: list[Target]) -> None:
    ended = run("audit", *OWN, "--data.name=pixels.npy", "--data.dir=.", "--limit=3", *QUICK, "--json")
    assert ended.json() == read_json(Path("audit/audit.json"))
    assert "mine:make_model, mine:make_guide (pixels" in Path("audit/report.html").read_text()
    (target,) = audited
    assert target.log_weights(5).shape == (5, 3) and target.model.__class__.__module__.startswith("elbowroom.models")


@pytest.mark.slow
def test_ones_own_programs_are_audited(run: Run, programs: Path, pixels: Path) -> None:
    ended = run("audit", *OWN, "--data.name=pixels.npy", "--data.dir=.", "--limit=3", *QUICK, "--json")
    assert ended.json() == read_json(Path("audit/audit.json")) and "gap" in ended.json()["numbers"]


PLAIN = ("--networks.decoder=nets:decoder", "--data.name=pixels.npy", "--data.dir=.", "--limit=3", *QUICK)


def test_a_plain_vae(run: Run, folder: Path, pixels: Path, audited: list[Target]) -> None:
    Path("nets.py").write_text(NETWORKS)
    pair = run("audit", *PLAIN, "--networks.encoder=nets:one_tensor")
    assert pair.refused("expected a pair of tensors", "network(x)[1:]"), pair
    wrong = run("audit", *PLAIN, "--networks.encoder=nets:Encoder", "--networks.latent_dim=5")
    assert wrong.refused("decoder: failed on z of shape (3, 5): RuntimeError", "latent_dim was said to be 5"), wrong
    flat = run("audit", *PLAIN, "--networks.encoder=nets:Convolution")
    assert flat.refused("encoder: failed on x of shape (2, 9): RuntimeError", "--networks.image_shape"), flat
    assert wrong.err.count("\n") == flat.err.count("\n") == 1
    assert not Path("audit").exists() and not audited
    ended = run("audit", *PLAIN, "--networks.encoder=nets:Encoder", "--json")
    assert ended.json() == read_json(Path("audit/audit.json"))
    assert audited[0].log_weights(5).shape == (5, 3) and audited[0].latent_names == ["z[0]", "z[1]"]


@pytest.mark.slow
def test_an_encoder_that_takes_images(run: Run, folder: Path, pixels: Path) -> None:
    Path("nets.py").write_text(NETWORKS)
    images = ("--networks.encoder=nets:Convolution", "--networks.image_shape=[1,3,3]", "--json")
    found = run("audit", *PLAIN, *images).json()
    assert found["num_data"] == 3 and {"gap", "amortization", "missed_modes"} <= set(found["numbers"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((*OWN, "--fail_if=gap"), ("--fail_if: cannot read 'gap'", "gap > 5")),
        ((*OWN, "--fail_if=gap > x"), ("--fail_if", "gap > 5")),
        ((*OWN, "--fail_if="), ("--fail_if", "gap > 5")),
        ((*OWN, "--fail_if=gapp > 5"), ("--fail_if: no audit has a number 'gapp'; did you mean gap?",)),
        (("--model=mine:make_model",), ("model and guide go together",)),
        (("--guide=mine:make_guide",), ("model and guide go together",)),
        (("--networks.decoder=nets:decoder",), ("networks.decoder and networks.encoder go together",)),
        (("--networks.encoder=nets:encoder",), ("networks.decoder and networks.encoder go together",)),
        ((*OWN, "--networks.decoder=a:b"), ("networks.decoder and networks.encoder go together",)),
        ((*OWN, "--networks.decoder=a:b", "--networks.encoder=a:c"), ("give one of", "not both")),
        (("--model=absent:model", "--guide=absent:guide"), ("model", "no module 'absent'")),
        (("--model=mine", "--guide=mine:guide"), ("model must be module:name", "'mine'")),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_refused_before_any_work(
    run: Run, no_work: None, programs: Path, options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert run("audit", *options).refused(*told)
    assert not Path("audit").exists()


def test_what_is_refused(run: Run, trained: Path) -> None:
    assert run("audit", "--run=nowhere").refused("no run at nowhere", "elbowroom train")
    for option, told in (("--budget=0", "budget must be a number > 0"), ("--limit=0", "limit must be a number from 1"),
                         ("--tolerance=-1", "tolerance must be a number > 0")):  # fmt: skip
        assert run("audit", f"--run={trained}", *QUICK, option).refused(told), option
    soon = run("audit", "--budget=soon")
    assert (soon.code, soon.err) == (
        2, "elbowroom audit: --budget: got 'soon', expected seconds, or '2e5 evaluations'\n"
    )  # fmt: skip
    assert run("audit", "--nonsense=1").code == 2
    assert not (trained / "audit" / "audit.json").exists()


@pytest.mark.slow
def test_units_of_bits_stand_beside_the_nats(run: Run, trained: Path) -> None:
    ended = run("audit", f"--run={trained}", "--limit=3", "--units=bits", *QUICK)
    assert ended.code == 0, ended
    record = read_json(trained / "audit" / "audit.json")
    said, elbo = record["about"]["bits per dimension"], record["numbers"]["elbo"]["value"]
    assert float(said["ELBO"].split(" ")[0]) == pytest.approx(-elbo / (9 * 0.693147), abs=1e-4)
    assert said["unit"] == "9 values; fewer are better"
    assert ended.out.strip().splitlines()[-1].startswith("Bits per dimension: ELBO ")
