"""The steps from a task to its result, each a function that reads and writes files of a run directory.

    load, render -> samples.jsonl, requests.jsonl     generate -> responses.jsonl, verdicts-<judge>.jsonl
    grade -> scores.jsonl                             summarise -> result.json

Receives tasks and runners as arguments and knows none by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from evalkit.errors import DataError, ModelError
from evalkit.record import Result, RunRecord
from evalkit.store import ResponseLog, RunDir, read_json, read_lines, read_responses, write_json, write_lines
from evalkit.types import Asked, Message, Request, Response, Runner, Sample, Score, Status, Task

NO_JUDGE = "no_judge"
# Why a sample with an answer has no score, by the rule in its score, and what to do about it.
WHAT_IS_MISSING = {
    NO_JUDGE: "it needs a judge: add judge=MODEL",
    "no_sandbox": "its answer is a program: add allow_code_execution=true",
    "no_network": "its official metric asks a service on the network",
}


def load(task: Task, limit: int | None) -> list[Sample]:
    """Load the first `limit` samples, or all. A repeated id gets a number, since a sample is found by its id.

    Raises DataError where there are none.
    """
    seen: Counter[str] = Counter()
    samples: list[Sample] = []
    for sample in islice(task.load(), limit):
        seen[sample.id] += 1
        repeated = seen[sample.id]
        samples.append(sample if repeated == 1 else replace(sample, id=f"{sample.id}#{repeated}"))
    if not samples:
        raise DataError(f"{task.name} has no samples in data={task.source.name}: check data.path and the split")
    return samples


def render(task: Task, samples: Sequence[Sample]) -> list[Asked]:
    """Render each sample. A response recorded with the sample becomes the transcript's last turn, for a replay.

    The second time that the very same question is asked is its attempt 1, so that each sample has an answer of its own.
    """
    asked: list[Asked] = []
    seen: Counter[str] = Counter()
    for sample in samples:
        request = task.render(sample)
        if sample.response is not None:
            request = replace(request, messages=(*request.messages, Message("assistant", (sample.response,))))
        attempt = seen[request.key]
        seen[request.key] += 1
        if attempt:
            request = replace(request, attempt=attempt)
        asked.append(Asked(sample.id, request.key, request))
    return asked


def prepare(run: RunDir, record: RunRecord, samples: Sequence[Sample], asked: Sequence[Asked]) -> None:
    """Write what is about to be asked and by whom, keeping the sessions so far.

    Raises ModelError where the directory holds answers of another model under this name.
    """
    if run.record.exists():
        before = read_json(run.record, RunRecord)
        if _answered(run.responses):
            _check_identity(run, "answers", before.identity, record.identity)
            record = replace(record, sessions=before.sessions)
        if record.judge and record.judge == before.judge and _answered(run.verdicts(record.judge)):
            _check_identity(run, "verdicts", before.judge_identity, record.judge_identity)
    write_json(run.record, record)
    write_lines(run.samples, samples)
    write_lines(run.requests, asked)


def _answered(path: Path) -> set[str]:
    return {key for key, response in read_responses(path).items() if response.error is None}


def _check_identity(run: RunDir, what: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if changed:
        changes = ", ".join(f"{key} was {before.get(key, 'absent')} and is {now.get(key, 'absent')}" for key in changed)
        raise ModelError(
            f"the {what} in {run.path} came from another model ({changes}): "
            f"give this one its own {'judge' if what == 'verdicts' else 'model'}.name=NAME, or remove that directory"
        )


def pending(path: Path, requests: Iterable[Request]) -> list[Request]:
    """Return the requests that have no answer in this file yet; a stored failure is no answer."""
    answered = _answered(path)
    return [request for request in requests if request.key not in answered]


def generate(path: Path, requests: Sequence[Request], runner: Runner, seen: Callable[[Response], None]) -> int:
    """Ask the runner, store each response before anything looks at it, and return the number of answers.

    `seen` is told of every response once it is stored. A judge is asked the same way, with a file of its own.
    """
    answers = 0
    if requests:
        with ResponseLog(path) as log:
            for response in runner.generate(requests):
                log.append(response)
                answers += response.error is None
                seen(response)
    return answers


def ask_judge(run: RunDir, task: Task, samples: Sequence[Sample], asked: Sequence[Asked]) -> list[Request]:
    """Render what the judge is to be asked: of each answer that is not empty, if the task wants a verdict on it."""
    responses = read_responses(run.responses)
    questions = []
    for sample, each in zip(samples, asked, strict=True):
        response = responses.get(each.key)
        if response is not None and response.error is None and response.text.strip():
            questions.append(task.ask_judge(sample, response.text))
    # Two samples may have the same answer to the same question, which one verdict settles.
    return list({question.key: question for question in questions if question is not None}.values())


def status_of(response: Response | None, rule: str) -> Status:
    """Say how a response came to its score, the gravest circumstance first."""
    if response is None or response.error is not None:
        refused = response is not None and response.error is not None and response.error.kind == "refused"
        return "refused" if refused else "failed"
    if response.finish_reason == "content_filter":
        return "refused"
    if not response.text.strip():
        return "empty"
    if response.finish_reason == "length":
        return "truncated"
    return "unparsed" if rule == "none" else "ok"


def score_all(run: RunDir, task: Task) -> list[Score]:
    """Extract and score every stored response, and settle the scores, in the order of the samples; writes nothing."""
    samples = list(read_lines(run.samples, Sample))
    return list(task.settle(samples, list(_grades(run, task, samples))))


def grade(run: RunDir, task: Task) -> list[Score]:
    """Score every stored response into scores.jsonl."""
    scores = score_all(run, task)
    write_lines(run.scores, scores)
    return scores


def _grades(run: RunDir, task: Task, samples: Sequence[Sample]) -> Iterator[Score]:
    judge = read_json(run.record, RunRecord).judge
    verdicts = read_responses(run.verdicts(judge)) if judge else None
    responses = read_responses(run.responses)
    keys = {asked.sample_id: asked.key for asked in read_lines(run.requests, Asked)}
    for sample in samples:
        yield _grade(task, sample, responses.get(keys.get(sample.id, "")), verdicts)


def _grade(task: Task, sample: Sample, response: Response | None, verdicts: Mapping[str, Response] | None) -> Score:
    """Score one sample. `verdicts` is None where no judge was asked."""

    def unscored(rule: str, status: Status) -> Score:
        return Score(sample.id, sample.group, None, rule, status, None)

    if response is None or response.error is not None:
        rule: str = response.error.kind if response and response.error else "not_asked"
        return unscored(rule, status_of(response, rule))
    judged = verdicts is not None and response.text.strip() != ""
    question = task.ask_judge(sample, response.text) if judged else None
    if verdicts is not None and question is not None:
        verdict = verdicts.get(question.key)
        if verdict is None or verdict.error is not None:
            reason = verdict.error.kind if verdict and verdict.error else "not_asked"
            return unscored(f"judge_{reason}", "failed")
        found = task.read_verdict(sample, response.text, verdict.text)
    elif task.needs_judge(sample) and response.text.strip():
        return unscored(NO_JUDGE, "not_scored")
    else:
        found = task.extract(sample, response.text)
    if not sample.answers:
        # What was found is kept for the benchmark's server; nothing here says whether it is right.
        return Score(sample.id, sample.group, found.prediction, found.rule, "not_scored", None)
    value = task.score(sample, found.prediction)
    return Score(sample.id, sample.group, found.prediction, found.rule, status_of(response, found.rule), value)


def summarise(run: RunDir, task: Task, scores: Sequence[Score]) -> Result:
    """Aggregate the values that exist into result.json, with the circumstances."""
    record = read_json(run.record, RunRecord)
    valued = [score for score in scores if score.value is not None]
    total = task.aggregate(valued) if valued else None
    withheld = sum(map(_lacks_gold, scores))
    no_gold = f"{withheld:,} of {len(scores):,} samples have no public answer" if withheld else ""
    result = Result(
        model=record.model_name,
        task=task.name,
        column=record.column,
        metric=total.metric if total else "",
        value=total.value if total else None,
        scale=total.scale if total else 0,
        parts=total.parts if total else {},
        n=len(scores),
        scored=len(valued),
        size=task.size,
        unparsed=sum(score.rule == "none" for score in scores),
        statuses=dict(sorted(Counter(score.status for score in scores).items())),
        rules=dict(sorted(Counter(score.rule for score in scores).items())),
        split=task.split,
        style=task.style,
        prompt=task.prompt,
        scorer=task.scorer,
        source=record.source,
        revision=record.revision,
        policies=task.policies(),
        notes=tuple(note for note in (record.note, total.note if total else "", no_gold) if note),
        judge=record.judge,
    )
    write_json(run.result, result)
    return result


def _lacks_gold(score: Score) -> bool:
    return score.status == "not_scored" and score.rule not in WHAT_IS_MISSING


def _not_scored(score: Score) -> bool:
    return score.status == "not_scored"


def first_failure(run: RunDir) -> str:
    """Say which sample is the first without a value, and why; empty where every sample has one.

    A sample whose gold answers are not public can have no value, so to lack it is no failure.
    """
    unvalued = (score for score in read_lines(run.scores, Score) if score.value is None)
    # What failed comes before what nobody was asked to score.
    first = min((score for score in unvalued if not _lacks_gold(score)), key=_not_scored, default=None)
    if first is None:
        return ""
    if first.rule in WHAT_IS_MISSING:
        return f"{first.sample_id} ({WHAT_IS_MISSING[first.rule]})"
    keys = {asked.sample_id: asked.key for asked in read_lines(run.requests, Asked)}
    response = read_responses(run.responses).get(keys.get(first.sample_id, ""))
    reason = response.error.message if response and response.error else first.rule.replace("_", " ")
    return f"{first.sample_id} ({reason})"
