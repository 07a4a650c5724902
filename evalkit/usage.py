"""What the command line says of itself."""

USAGE = """\
evalkit asks a vision-language model the published benchmarks and puts its score beside the published one.

  python -m evalkit run task=docvqa          one task with the embedded model and generated questions
  python -m evalkit run +suite=all           every task
  python -m evalkit run --help               every choice and key
  python -m evalkit score [RUN_DIR ...]      score stored answers again (default: all below results/)
  python -m evalkit score RUN_DIR --scorer all   the run's number under each harness's rules
  python -m evalkit report [key=value ...]   write results/leaderboard.md and scores.csv from all runs
  python -m evalkit list                     tasks, suites, models, data
  python -m evalkit submit TASK RUN_DIR [--out FILE]
                                             write a test split's answers as the benchmark's server takes them
  python -m evalkit parity DIR [--json]      check the scorers on recorded answers with official scores
  python -m evalkit ratings RUN_DIR FILE     people's verdicts on a run's checklists, beside the judge's
"""

RUN_USAGE = """\
python -m evalkit run task=NAME[,NAME ...] | +suite=NAME  [model=NAME] [data=NAME] [key=value ...] [options]

  Asks every question that has no stored answer yet, scores all, and writes results/runs/<model>/<task>/,
  results/leaderboard.md and results/scores.csv. Run it again to go on where it stopped.

{choices}
keys (any key of the configuration can be set; --cfg job prints them all)
  limit=N                 the first N samples of each task
  results_dir=DIR         instead of results/
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
