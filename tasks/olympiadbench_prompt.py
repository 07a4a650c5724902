"""OlympiadBench's official wording, English and Chinese.

Source: He et al., OlympiadBench (arXiv:2402.14008), inference/code/evaluators/evaluator.py and gpt_4v.py in
OpenBMB/OlympiadBench ba5b26a7. The strings are those of the benchmark, slips included.
"""
# ruff: noqa: RUF001  the Chinese wording has Chinese commas

from __future__ import annotations

from evalkit.metrics.olympiad import Language
from evalkit.types import Style

SUBJECTS: dict[tuple[Language, str], str] = {
    ("en", "maths"): "Math",
    ("en", "physics"): "Physics",
    ("zh", "maths"): "数学",
    ("zh", "physics"): "物理",
}
SYSTEM: dict[Language, str] = {
    "en": "You are an AI assistant. Please answer the following {subject} competition problems as required.",
    "zh": "你是一个中文人工智能助手。请根据要求，完成下面的{subject}竞赛题目。",
}
INSTRUCTION: dict[Language, str] = {
    "en": (
        "The following is an open-ended problem from an International {subject} competition. {kind}Please calculate "
        "the answer according to the given requirements and the information provided. Please use LaTeX format to "
        "represent the variables and formulas used in the solution process and results. Please end your solution with "
        '"So the final answer is {box}." and give the result explicitly{unit}.'
    ),
    "zh": (
        "以下是中国{subject}竞赛中的解答题{kind}。请根据题目的要求和所提供的信息计算得出答案。"
        "解答过程和结果中使用的变量和公式请使用LaTeX格式表示。请在最后以“所以最终答案是{box}。”显式给出结果{unit}。"
    ),
}
# Not official: the official prompt asks for a solution already and names no chain of thought.
THINK: dict[Language, str] = {"en": " Think step by step before answering.", "zh": "请先逐步推理，再作答。"}

# An answer type counts where its name occurs, in this order; the others are not named to the model.
KINDS: dict[Language, dict[str, str]] = {
    "en": {
        "Numerical": "a numerical value",
        "Expression": "an expression",
        "Equation": "an equation",
        "Interval": "an interval",
    },
    "zh": {"Numerical": "数值", "Expression": "表达式", "Equation": "方程", "Interval": "区间"},
}
UNNAMED = ("Need_human_evaluate", "Tuple")
_BOX: dict[tuple[Language, bool], str] = {
    ("en", False): "\\boxed{answer}",
    ("en", True): "\\boxed{multiple answers connected with commas}",
    ("zh", False): "\\boxed{答案}",
    ("zh", True): "\\boxed{用英文逗号连接的多个答案}",
}
_UNIT: dict[Language, tuple[str, str]] = {
    "en": ("(unit)", ", note that the unit of the answer should not be included in \\boxed{}"),
    "zh": ("(单位)", "，注意答案的单位不要放在\\boxed{}中"),
}


def system(language: Language, subject: str) -> str:
    """Return the system prompt; `subject` is maths or physics, as in the dataset's subsets."""
    return SYSTEM[language].format(subject=SUBJECTS[language, subject])


def instruction(
    language: Language, subject: str, answer_type: str, multiple: bool, has_unit: bool, style: Style = "direct"
) -> str:
    """Return what stands above the question. Raises ValueError for an unknown answer type."""
    box, unit = _BOX[language, multiple], ""
    if has_unit:
        mark, unit = _UNIT[language]
        box += mark
    kind = _kind(language, answer_type, multiple)
    text = INSTRUCTION[language].format(subject=SUBJECTS[language, subject], kind=kind, box=box, unit=unit)
    return text + THINK[language] if style == "cot" else text


def _kind(language: Language, answer_type: str, multiple: bool) -> str:
    if not answer_type or any(name in answer_type for name in UNNAMED):
        return ""
    if not multiple:
        name = _name(language, answer_type)
        return f"The answer of The problem should be {name}. " if language == "en" else f"，答案类型为{name}"
    names = [_name(language, part) for part in answer_type.split(",")]
    if len(set(names)) == 1:
        if language == "zh":
            return f"，题目有多个答案，答案类型均为{names[0]}"
        return f"The problem has multiple answers, each of them should be {names[0]}. "
    if language == "zh":
        return f"，题目有多个答案，答案类型分别为{'、'.join(names)}"
    return f"The problem has multiple answers, with the answers in order being {', '.join(names)}. "


def _name(language: Language, answer_type: str) -> str:
    for kind, name in KINDS[language].items():
        if kind in answer_type.split("-")[0]:
            return name
    raise ValueError(f"unknown answer type {answer_type!r}")
