"""What the command line says of itself."""

USAGE = """\
evalkit asks a vision-language model the published benchmarks and puts its score beside the published one.

  python -m evalkit run task=docvqa          one task with the embedded model and generated questions
  python -m evalkit run +suite=all           every task
  python -m evalkit run --help               every choice and key
  python -m evalkit chat model=NAME [image=FILE ...] "TEXT"
                                             ask a model one question, outside any benchmark
  python -m evalkit score [RUN_DIR ...]      score stored answers again (default: all below results/)
  python -m evalkit score RUN_DIR --scorer all   the run's number under each harness's rules
  python -m evalkit report [key=value ...]   write results/leaderboard.md, scores.csv and report.html from all runs;
                                             --no-html, --embed-pictures, --hub-pictures, --readme FILE
  python -m evalkit plan model=NAME [gpus=8] [memory=80] [quantize=int8] [task=NAME] [picture=1654x2339]
                                             whether a model fits on so many GPUs of so many GiB, from its
                                             configuration alone: bytes of weights, layers of each, memory of a request
  python -m evalkit list                     tasks, suites, models, data
  python -m evalkit submit TASK RUN_DIR [--out FILE]
                                             write a test split's answers as the benchmark's server takes them
  python -m evalkit parity DIR [--json]      check the scorers on recorded answers with official scores
  python -m evalkit watch [DIR] [--once]     how far the runs are that are being written
  python -m evalkit audit [RUN_DIR ...]      how the numbers came about, how far they could move, and what smells
  python -m evalkit diff RUN_A RUN_B         what differs between two runs, first cause first, and what came of it
  python -m evalkit compare RUN_A RUN_B      how far apart two runs on the same questions are, how surely, and where
  python -m evalkit selfcheck [model=ocr] [--blank]
                                             whether pictures, prompts, batching and scorers behave as released;
                                             --blank prints the scores without pictures, --record records anew
  python -m evalkit ratings RUN_DIR FILE     people's verdicts on a run's checklists, beside the judge's
"""

RUN_USAGE = """\
python -m evalkit run task=NAME[,NAME ...] | +suite=NAME  [model=NAME] [data=NAME] [key=value ...] [options]

  Asks every question that has no stored answer yet, scores all, and writes results/runs/<model>/<task>/,
  results/leaderboard.md and results/scores.csv. Run it again to go on where it stopped.
  Ctrl-C (exit status 130) or SIGTERM (143) waits for the answers in flight; the second time it stops at once.

{choices}
keys (any key of the configuration can be set; --cfg job prints them all)
  limit=N                 the first N samples of each task
  results_dir=DIR         instead of results/
  margin=1                points of 100 within which a published number counts as reproduced
  estimate=true           print the tokens and the price of what would be asked, and ask nothing
  allow_incomplete=true   exit 0 although some samples have no score
  allow_code_execution=true  run programs that a model wrote (MEGA-Bench), in a sandbox
  data.path=DIR           with data=local or data=recorded
  judge=MODEL             a model whose verdicts some tasks can use or need; judge.id=... and so on set it up
  model.name=NAME         the name of the run's folder and of its column
  tasks.docvqa.style=cot  any field of a task; `direct` asks without chain of thought

options
  --multirun   run every combination of comma-separated values: model=a,b task=docvqa,chartqa
  --cfg job    print the composed configuration and stop
  --help       this text
"""


def about(verb: str) -> str:
    """Return the lines of USAGE that say how a verb is used."""
    told, wanted = [], False
    for line in USAGE.splitlines():
        if line.startswith("  python"):
            wanted = line.startswith(f"  python -m evalkit {verb} ")
        if wanted and line:
            told.append(line)
    return "\n".join(told) + "\n"
