"""`elbowroom rivals`: VAEs, a mixture, and models without latents on the same digits, in one table."""

from pathlib import Path

from elbowroom.commands.options import RivalsOptions
from elbowroom.commands.output import named, print_json, say, write_json
from elbowroom.inference.saving.durable import replace_text
from elbowroom.inference.saving.json_values import json_able
from elbowroom.report import image_rows_figure, save_figure
from elbowroom.rivals import RivalsTable, compare_rivals, digits


def run(options: RivalsOptions) -> RivalsTable:
    """Fit the rivals, print the table, and write it if it is said where."""
    data = digits(options.kind, options.limit)
    result = compare_rivals(data, options.rows, seed=options.seed, progress=not options.json)
    say(str(result), options.json)
    record = json_able(result.record())
    if options.output is not None:
        where = Path(options.output)
        write_json(where / "rivals.json", record)
        replace_text(where / "rivals.md", result.markdown() + "\n")
        rows = {"held-out data": data.test[:16]} | {row.name: row.draws for row in result.rows}
        scaled = {name: x / (data.levels - 1) for name, x in rows.items()}
        title = "Held-out digits, and draws of each model"
        save_figure(image_rows_figure(scaled, data.image_shape, title=title), where / "draws.png")
        say(f"Written: {named(where / 'rivals.json', where / 'rivals.md', where / 'draws.png')}", options.json)
    if options.json:
        print_json(record)
    return result
