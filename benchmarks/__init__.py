"""Measurements of the hot paths, each beside the practical limit for the same work in the same run.

    python -m benchmarks                      every benchmark with its defaults
    python -m benchmarks pull --items 1000    one, smaller
    python -m benchmarks code front_door      the others

A benchmark is a module (or package) named in `__main__.BENCHMARKS` with two functions: `add_arguments(parser)` and
`run(options, say) -> Report`. Absolute figures depend on the machine and its mood; the ratios within one run are
what counts, so whatever is compared is run in turn, and a fixed piece of work is timed before and after.
"""
