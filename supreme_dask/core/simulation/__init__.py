"""Virtual time: the objects that decide live, replaying what ran once.

Admission, placement, learned sizes, judgements of kills, drains and scaling are those of the scheduler. What is
imagined is the world: workers that start, die, are taken away or take too much memory, and the clock.

Kept simple: a task takes as long as in its trace wherever it runs, plus the time to fetch what its worker lacks; its
memory rises evenly to its peak; results take no memory and are not lost with a worker; messages take no time.
"""
