"""What is worth knowing of a pair of programs though every number stands: what all are given, what was undone.

Whoever makes a program may know more, and says it in an attribute of it, `notes`, a tuple of sentences.
"""

from elbowroom.inference.programs.triple import Triple


def notes_of(triple: Triple) -> tuple[str, ...]:
    """Sentences about the programs, for reports and verdicts."""
    structure = triple.structure
    notes = []
    if structure.given:
        names = ", ".join(f"'{name}'" for name in structure.given)
        notes.append(
            f"the model's {names} {'has a fixed value' if len(structure.given) == 1 else 'have fixed values'} "
            "(poutine.condition, obs=) above the data: every number is given that value, log p(x | "
            f"{', '.join(structure.given)}), and neither log p(x) with it integrated out nor with its density counted"
        )
    if structure.collapsed:
        notes.append(
            f"the discrete sites {list(structure.collapsed)}, which the guide draws, are summed out of both programs; "
            "ELBO and room are those of what is left of q. The ELBO of the guide that draws them, which is lower, is "
            'importance(target).info["elbo"], in `elbowroom evidence` too'
        )
    if structure.scaled:
        scales = ", ".join(f"the {name} ({scale})" for name, scale in structure.scaled.items())
        notes.append(f"poutine.scale is undone at {scales}: the numbers are of the programs without it")
    for program in (triple.model, triple.guide):
        said = getattr(program, "notes", ())
        notes += said if isinstance(said, tuple) else ()
    return tuple(notes)
