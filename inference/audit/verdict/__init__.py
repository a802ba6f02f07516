"""What does an audit say in plain words? Sentences, each of which names the numbers that it rests on.

    Finding(topic, tone, sentence, numbers, data),   numbers ⊂ keys of Audit.numbers

A sentence states no more digits than its interval leaves certain, and no quantity that is not in `numbers`.

    verdict.py       all sentences, in the order in which a person asks; room, source and cautions
    brief.py         the verdict at a glance: a sentence, three numbers, whose, what next
    doubts.py        what speaks against the wiring of programs, weights and data
    other_data.py    … and whether the data are other ones than in training
    use.py           may q be trusted, in one sentence, and for which uses
    from_below.py    the same where log p(x) is known from below only
    worth.py         log p(x) beside that of a model without latents, and whether q says anything about x
    data.py          single data: missed modes, exploded outputs, the largest room
    guide.py         calibration and latents
    next_steps.py    what to do next, by the nats that it may gain
    wording.py       numbers in sentences: nats, per cent, counts

Read verdict.py first. Imports: numbers, intervals and result of audit; the results of diagnostics and gap; estimate.
"""
