"""The steps from a task to its result, each a function that reads and writes files of a run directory.

    load, render -> samples.jsonl, requests.jsonl     generate -> responses.jsonl, verdicts-<judge>.jsonl
    grade -> scores.jsonl                             (summary) summarise -> result.json

Receives tasks and runners as arguments and knows none by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from evalkit.errors import DataError, ModelError
from evalkit.grading import NO_JUDGE, Answer, Worth
from evalkit.interrupts import Wanted
from evalkit.record import RunRecord
from evalkit.responses import ResponseLog, read_responses, stored_responses
from evalkit.score_cache import known_or_scored
from evalkit.store import SCHEMA, RunDir, read_json, read_lines, write_json, write_lines
from evalkit.types import Asked, Extraction, Message, Request, Response, Runner, Sample, Score, Status, Task

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
        if _has_answers(run.responses):
            _check_identity(run, "answers", before.identity, record.identity)
            record = replace(record, sessions=before.sessions)
        if record.judge and record.judge == before.judge and _has_answers(run.verdicts(record.judge)):
            _check_identity(run, "verdicts", before.judge_identity, record.judge_identity)
    write_json(run.record, replace(record, schema=SCHEMA))
    write_lines(run.samples, samples)
    write_lines(run.requests, asked)


def _has_answers(path: Path) -> bool:
    return any(response.error is None for response in stored_responses(path))


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
    wanted = list(requests)
    # Of all the keys in the file those alone, which are in memory already: new texts would take thrice as much of it.
    answered = dict.fromkeys((request.key for request in wanted), False)
    for response in stored_responses(path):
        if response.key in answered:
            answered[response.key] = response.error is None
    return [request for request in wanted if not answered[request.key]]


def generate(
    path: Path,
    requests: Sequence[Request],
    runner: Runner,
    seen: Callable[[Response], None],
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Ask the runner, store each response before anything looks at it, and return the number of answers.

    `seen` is told of every response once it is stored. From when `stopped` is true, nothing new is asked. A judge is
    asked the same way, with a file of its own.
    """
    answers = 0
    if requests:
        with ResponseLog(path) as log:
            for response in runner.generate(Wanted(requests, stopped)):
                log.append(response)
                answers += response.error is None
                seen(response)
    return answers


def ask_judge(run: RunDir, task: Task, samples: Sequence[Sample], asked: Sequence[Asked]) -> list[Request]:
    """Render what the judge is to be asked next: of each answer that is not empty, if the task wants a verdict on it.

    The verdicts on the answers to these may call for more, so ask until nothing new is wanted.
    """
    responses, verdicts = read_responses(run.responses), _verdicts(run) or {}
    questions = []
    for sample, each in zip(samples, asked, strict=True):
        response = responses.get(each.key)
        if response is not None and response.error is None:
            questions.append(weigh(task, sample, response.text, verdicts))
    # Two samples may have the same answer to the same question, which one verdict settles.
    return list({question.key: question for question in questions if isinstance(question, Request)}.values())


def weigh(task: Task, sample: Sample, text: str, verdicts: Mapping[str, Response]) -> Extraction | Request | None:
    """Return what the stored verdicts make of a response, or the request that they lack; None where none is wanted.

    The same question is asked again as the next attempt, for as long as the task wants one more verdict.
    """
    said: list[str] = []
    question = task.ask_judge(sample, text) if text.strip() else None
    while question is not None:
        verdict = verdicts.get(question.key)
        if verdict is None or verdict.error is not None:
            break
        said.append(verdict.text)
        found = task.weigh(sample, text, said)
        if found is not None:
            return found
        question = replace(question, attempt=question.attempt + 1)
    return question


def _verdicts(run: RunDir) -> dict[str, Response] | None:
    judge = read_json(run.record, RunRecord).judge
    return read_responses(run.verdicts(judge)) if judge else None


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
    return _score(run, task, keep=False)


def grade(run: RunDir, task: Task) -> list[Score]:
    """Score every stored response into scores.jsonl; what was scored before, and is as it was, is not scored again."""
    scores = _score(run, task, keep=True)
    write_lines(run.scores, scores)
    return scores


@dataclass(frozen=True, slots=True)
class _Key:
    """Of a sample's request its key alone, since prompts are long."""

    sample_id: str
    key: str


def _score(run: RunDir, task: Task, keep: bool) -> list[Score]:
    verdicts, responses = _verdicts(run), read_responses(run.responses)
    keys = {asked.sample_id: asked.key for asked in read_lines(run.requests, _Key)}
    samples = list(read_lines(run.samples, Sample))
    found = [responses.get(keys.get(sample.id, "")) for sample in samples]
    drafts = [_draft(task, each, response, verdicts) for each, response in zip(samples, found, strict=True)]
    answers = [draft for draft in drafts if isinstance(draft, Answer)]
    worths = iter(known_or_scored(run.cache, task, answers, keep))
    scores = [
        draft if isinstance(draft, Score) else _scored(draft.sample, response, next(worths))
        for draft, response in zip(drafts, found, strict=True)
    ]
    return list(task.settle(samples, scores))


def _draft(
    task: Task, sample: Sample, response: Response | None, verdicts: Mapping[str, Response] | None
) -> Score | Answer:
    """Return what is to be scored, or the score of what is not. `verdicts` is None where no judge was asked."""

    def unscored(rule: str, status: Status) -> Score:
        return Score(sample.id, sample.group, None, rule, status, None)

    if response is None or response.error is not None:
        rule: str = response.error.kind if response and response.error else "not_asked"
        return unscored(rule, status_of(response, rule))
    judged = weigh(task, sample, response.text, verdicts) if verdicts is not None else None
    if verdicts is not None and isinstance(judged, Request):
        verdict = verdicts.get(judged.key)
        reason = verdict.error.kind if verdict and verdict.error else "not_asked"
        return unscored(f"judge_{reason}", "failed")
    return Answer(sample, response.text, judged if isinstance(judged, Extraction) else None, verdicts is None)


def _scored(sample: Sample, response: Response | None, found: Worth) -> Score:
    # Without a gold answer what was found is kept for the benchmark's server; nothing here says whether it is right.
    status = "not_scored" if found.value is None else status_of(response, found.rule)
    return Score(sample.id, sample.group, found.prediction, found.rule, status, found.value)


def lacks_gold(score: Score) -> bool:
    """Whether a sample has no score because its gold answers are not public."""
    return score.status == "not_scored" and score.rule not in WHAT_IS_MISSING


def _not_scored(score: Score) -> bool:
    return score.status == "not_scored"


def first_failure(run: RunDir) -> str:
    """Say which sample is the first without a value, and why; empty where every sample has one.

    A sample whose gold answers are not public can have no value, so to lack it is no failure.
    """
    unvalued = (score for score in read_lines(run.scores, Score) if score.value is None)
    # What failed comes before what nobody was asked to score.
    first = min((score for score in unvalued if not lacks_gold(score)), key=_not_scored, default=None)
    if first is None:
        return ""
    if first.rule in WHAT_IS_MISSING:
        return f"{first.sample_id} ({WHAT_IS_MISSING[first.rule]})"
    keys = {asked.sample_id: asked.key for asked in read_lines(run.requests, Asked)}
    response = read_responses(run.responses).get(keys.get(first.sample_id, ""))
    reason = response.error.message if response and response.error else first.rule.replace("_", " ")
    return f"{first.sample_id} ({reason})"
