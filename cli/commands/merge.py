"""`elbowroom merge`: the chunks that shard has made as one table."""

from elbowroom.commands.options import MergeOptions
from elbowroom.commands.output import named, print_json, say
from elbowroom.inference import merge_shards, shards_standing


def run(options: MergeOptions) -> None:
    """Write the table, and say where it is."""
    where = merge_shards(options.shards, file=options.file, partial=options.partial)
    standing = shards_standing(options.shards)
    say(standing.line(), options.json)
    say(f"Table: {named(where)}", options.json)
    if options.json:
        print_json({"file": str(where), **standing.record()})
