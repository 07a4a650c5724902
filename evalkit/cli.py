"""The command line: reads the verb, builds the objects, runs the steps, prints sentences.

Nothing heavy is imported before a verb needs it: --help and list answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import ConfigError, DataError, EvalkitError
from evalkit.usage import RUN_USAGE, USAGE

if TYPE_CHECKING:
    from evalkit.config import Setup
    from evalkit.parity import FileReport
    from evalkit.published import Published
    from evalkit.record import Result
    from evalkit.types import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 not done or incomplete, 2 unknown command, 130 stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verbs: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "score": score,
        "report": report,
        "list": list_choices,
        "parity": parity,
        "ratings": ratings,
        "submit": submit,
    }
    if not words or words[0] in ("--help", "-h", "help"):
        print(USAGE, end="")
        return 0
    if words[0] == "--version":
        from evalkit import __version__

        print(f"evalkit {__version__}")
        return 0
    if words[0] not in verbs:
        _complain(f"unknown command {words[0]!r}: type one of {', '.join(verbs)}, or --help")
        return 2
    try:
        return verbs[words[0]](words[1:])
    except EvalkitError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain("stopped; the answers so far are stored: run the same command again to go on")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _complain(sentence: str) -> None:
    print(f"evalkit: {' '.join(sentence.split())}", file=sys.stderr)


def list_choices(words: list[str]) -> int:
    """Print the choices of each group with a line on each."""
    if words:
        raise ConfigError(f"list takes no argument such as {words[0]!r}: type python -m evalkit list")
    print(_choices(), end="")
    return 0


def _choices() -> str:
    from evalkit.config import GROUPS, options, summary

    lines = []
    for group in GROUPS:
        lines.append(f"{'+' if group == 'suite' else ''}{group}=")
        lines += [f"  {name:<15} {summary(group, name)}" for name in options(group)]
    return "\n".join(lines) + "\n"


def run(words: list[str]) -> int:
    """Ask, score and report the tasks of one setup, or of each of a sweep."""
    from evalkit import config

    if "--help" in words or "-h" in words:
        print(RUN_USAGE.format(choices=_choices()), end="")
        return 0
    overrides, flags = _split(words)
    if "--cfg" in flags:
        print(config.show(overrides), end="")
        return 0
    setups = list(config.sweep(overrides)) if "--multirun" in flags else [overrides]
    return max(_run(config.setup(each)) for each in setups)


def _split(words: list[str]) -> tuple[list[str], set[str]]:
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
    from evalkit.evaluation import evaluate
    from evalkit.leaderboard import rows

    outcomes = []
    for outcome in evaluate(setup, _complain):
        _print_result(outcome.result, f"{outcome.generated} answers generated, {outcome.found} there before")
        outcomes.append(outcome)
    print(f"\n{rows([outcome.result for outcome in outcomes], setup.published)}\n")
    _report(setup.results_dir, setup.published)
    for outcome in outcomes:
        result = outcome.result
        if outcome.first_failure:
            cure = "mend that and run the same command again, or add allow_incomplete=true"
            _complain(
                f"{result.n - result.scored} of {result.n} samples of {result.task} have no score, first "
                f"{outcome.first_failure}: {cure if _failed(result) else 'the others count'}"
            )
    return int(any(_failed(outcome.result) for outcome in outcomes) and not setup.allow_incomplete)


def _failed(result: Result) -> bool:
    """Whether a sample has no answer, or none has a score; what nobody was asked to score is no failure."""
    without = result.statuses.get("not_scored", 0)
    return result.scored + without < result.n or (not result.scored and "no_judge" in result.rules)


def _print_result(result: Result, how: str) -> None:
    nothing = " ".join(("no score", *(f"({note})" for note in result.notes)))
    value = nothing if result.value is None else f"{result.metric} {result.value:.2f} of {result.scale:g}"
    of = "" if result.n >= result.size else f" of {result.size}"
    print(f"{result.task} · {result.model}: {value} · n={result.n}{of}, data={result.source} · {how}", flush=True)


def score(words: list[str]) -> int:
    """Extract, score and aggregate stored answers again; asks no model and imports no engine.

    `--scorer NAME`, or `all`, prints what other harnesses' rules make of them instead, and changes no file.
    """
    from evalkit import comparison, config, pipeline
    from evalkit.record import RunRecord
    from evalkit.store import RunDir, read_json, run_dirs

    scorer = None
    if "--scorer" in words:
        place = words.index("--scorer")
        scorer, words = "".join(words[place + 1 : place + 2]), words[:place] + words[place + 2 :]
    unknown = [word for word in words if word.startswith("-")]
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]!r}: give run directories, or nothing for all below results/")
    directories = [RunDir(Path(word)) for word in words] or run_dirs(Path("results"))
    if not directories:
        raise ConfigError("no runs below results/: run a task first, or give run directories")
    incomplete = False
    for directory in directories:
        record = read_json(directory.record, RunRecord)
        task = config.task(record.task)
        if scorer is not None:
            print(comparison.table(directory, task, scorer))
            continue
        result = pipeline.summarise(directory, task, pipeline.grade(directory, task))
        _print_result(result, "scored again")
        incomplete |= _failed(result)
    return int(incomplete)


def report(words: list[str]) -> int:
    """Write the leaderboard of all runs; `--readme FILE` also replaces the table between the file's markers."""
    from evalkit import config

    readme = None
    if "--readme" in words:
        place = words.index("--readme")
        readme = Path(words[place + 1]) if place + 1 < len(words) else Path("README.md")
        words = words[:place] + words[place + 2 :]
    published, results_dir = config.published(_split(words)[0])
    _report(results_dir, published, readme)
    return 0


def submit(words: list[str]) -> int:
    """Write the file of a finished run that its benchmark's server takes; `--out FILE` says where."""
    from evalkit.store import RunDir
    from evalkit.submission import write

    out = None
    if "--out" in words[:-1]:
        place = words.index("--out")
        out = Path(words[place + 1])
        words = words[:place] + words[place + 2 :]
    if len(words) != 2 or any(word.startswith("-") for word in words):
        raise ConfigError("give a task and a run directory: python -m evalkit submit docvqa RUN_DIR [--out FILE]")
    print(write(RunDir(Path(words[1])), words[0], out))
    return 0


def parity(words: list[str]) -> int:
    """Score recorded answers again and compare with the official scores; 0 only where all compared records agree."""
    import json
    from functools import cache

    from evalkit import config
    from evalkit.parity import check
    from evalkit.store import plain

    flags = {"--json", "--allow-code-execution"}
    folders = [word for word in words if word not in flags]
    if len(folders) != 1 or folders[0].startswith("-"):
        raise ConfigError(
            f"give one folder of recorded answers: python -m evalkit parity DIR [{'] ['.join(sorted(flags))}]"
        )
    execution = f"allow_code_execution={str('--allow-code-execution' in words).lower()}"

    @cache
    def task_of(benchmark: str) -> Task | None:
        return config.setup([f"task={benchmark}", execution]).tasks[0] if benchmark in config.options("task") else None

    reports = list(check(Path(folders[0]), task_of))
    compared, agree = sum(each.compared for each in reports), sum(each.agree for each in reports)
    if not compared:
        raise DataError(f"nothing below {folders[0]} could be compared: its records need a known benchmark and a score")
    if "--json" in words:
        print(json.dumps({"files": [plain(each) for each in reports], "compared": compared, "agree": agree}))
        return int(agree != compared)
    for each in reports:
        print(
            f"{each.benchmark:<16} {each.name:<58} {each.agree:>6} of {each.compared:>6} agree  {_not_compared(each)}"
        )
        for identifier in each.disagree[:5]:
            print(f"    differs: {identifier}")
    print(f"{agree} of {compared} compared records agree")
    return int(agree != compared)


def ratings(words: list[str]) -> int:
    """Score a run by people's ratings of its checklists, and say how far they and the judge agree."""
    from evalkit import config
    from evalkit.ratings import compare

    print(compare(words, config.task))
    return 0


def _not_compared(report: FileReport) -> str:
    return "; ".join(f"{count} not compared: {reason}" for reason, count in report.skipped.items())


def _report(results_dir: Path, published: Published, readme: Path | None = None) -> None:
    from evalkit.leaderboard import write

    paths = write(results_dir, published, readme)
    print("wrote " + ", ".join(str(path) for path in paths))
