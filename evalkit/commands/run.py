"""`run`: ask, score and report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.commands.output import complain, failed, print_result, write_report
from evalkit.errors import ConfigError
from evalkit.usage import RUN_USAGE

if TYPE_CHECKING:
    from evalkit.config import Setup


def main(words: list[str]) -> int:
    """Ask, score and report the tasks of one setup, or of each of a sweep."""
    if "--help" in words or "-h" in words:
        from evalkit.commands.list import choices

        print(RUN_USAGE.format(choices=choices()), end="")
        return 0
    from evalkit import config

    overrides, flags = split(words)
    if "--cfg" in flags:
        print(config.show(overrides), end="")
        return 0
    setups = list(config.sweep(overrides)) if "--multirun" in flags else [overrides]
    return max(_run(config.setup(each)) for each in setups)


def split(words: list[str]) -> tuple[list[str], set[str]]:
    """Tell keys from options. Raises ConfigError where there is no such option."""
    overrides: list[str] = []
    flags: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word in ("--multirun", "-m"):
            flags.add("--multirun")
        elif word in ("--cfg", "-c"):
            if next(rest, "job") != "job":
                raise ConfigError("--cfg prints the job's configuration alone: type --cfg job")
            flags.add("--cfg")
        elif word.startswith("-"):
            raise ConfigError(
                f"unknown option {word!r}: options are --multirun, --cfg job and --help; keys are key=value"
            )
        else:
            overrides.append(word)
    return overrides, flags


def _run(setup: Setup) -> int:
    if setup.estimate:
        from evalkit.estimate import estimate, table

        print(table(list(estimate(setup))))
        return 0
    from evalkit.evaluation import evaluate

    outcomes = []
    for outcome in evaluate(setup, complain):
        print_result(outcome.result, f"{outcome.generated} answers generated, {outcome.found} there before")
        outcomes.append(outcome)
    # Not before the first request: pandas takes a while to load.
    from evalkit.leaderboard import rows

    print(f"\n{rows([outcome.result for outcome in outcomes], setup.published)}\n")
    write_report(setup.results_dir, setup.published)
    for outcome in outcomes:
        result = outcome.result
        if outcome.first_failure:
            cure = "mend that and run the same command again, or add allow_incomplete=true"
            complain(
                f"{result.n - result.scored} of {result.n} samples of {result.task} have no score, first "
                f"{outcome.first_failure}: {cure if failed(result) else 'the others count'}"
            )
    return int(any(failed(outcome.result) for outcome in outcomes) and not setup.allow_incomplete)
