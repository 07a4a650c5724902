"""MEGA-Bench's metrics by their official names (Chen et al., arXiv:2410.10563; TIGER-AI-Lab/MEGA-Bench ee324ab7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from . import boxes, latex, numbers, sequences, sets, strings
from .constrained import meets_constraints
from .literals import MALFORMED, unquoted
from .planning import plan_reaches_goal
from .programs import Execute, share_of_tests_passed

Metric = Callable[[object, object], float]

# The data names the metric of each field; these compare a response's value with the gold one.
METRICS: Mapping[str, Metric] = {
    "angle_seq_float_rmse": sequences.angles,
    "bleu": strings.bleu,
    "boxed_single_numerical_match": numbers.boxed_numerical,
    "chess_move_list_jaccard_index": sets.chess_moves,
    "code_result_exact_str_match": strings.code_output,
    "dict_equality": sets.equal_mapping,
    "dict_exact_str_match_agg_recall": sets.mapping_recall,
    "dict_jaccard_agg_jaccard": partial(sets.over_all_keys, sets.jaccard),
    "dict_nbbox_iou_tuple_agg_jaccard": partial(sets.over_all_keys, boxes.iou_of_all),
    "dict_precision": sets.mapping_precision,
    "dict_set_equality_agg_jaccard": partial(sets.over_all_keys, sets.equal),
    "exact_str_match": strings.exact,
    "exact_str_match_case_insensitive": strings.exact_any_case,
    "general_single_numerical_match": numbers.numerical,
    "gleu_cn": strings.chinese_gleu,
    "jaccard_index": sets.jaccard,
    "jaccard_index_case_insensitive": sets.jaccard_any_case,
    "latex_expr_equality": latex.equal,
    "longest_common_list_prefix_ratio": sequences.common_prefix,
    "multi_ref_phrase": strings.any_reference,
    "nbbox_iou_sequence": boxes.iou_of_sequence,
    "nbbox_iou_single": boxes.iou_of_one,
    "nbbox_iou_tuple": boxes.iou_of_all,
    "near_str_match": strings.near,
    "normalized_rmse": numbers.normalised_rmse,
    "normalized_similarity_damerau_levenshtein": strings.edit_similarity,
    "number_rel_diff_ratio": numbers.relative_difference,
    "positive_int_match": numbers.positive_int,
    "sequence_accuracy_case_insensitive": sequences.accuracy_any_case,
    "sequence_coords_similarity": sequences.coordinates,
    "sequence_equality": sequences.equal,
    "sequence_equality_case_insensitive": sequences.equal_any_case,
    "set_equality": sets.equal,
    "set_equality_case_insensitive": sets.equal_any_case,
    "set_precision": sets.precision,
    "simple_str_match": strings.simple,
    "str_set_equality_comma": sets.equal_listed,
    "str_set_equality_line_break": sets.equal_lines,
    "text_with_latex_expr_equality": latex.text_and_formulas_equal,
    "xml_nbbox_iou_single": boxes.iou_of_tagged,
    "xml_norm_point_distance": boxes.point_nearness,
}
# These score a response by the sample's context, without a gold value.
CONTEXT_METRICS: Mapping[str, Callable[[object, Mapping[str, Any]], float]] = {
    "constrained_generation": meets_constraints,
    "symbolic_planning_test": plan_reaches_goal,
    "xml_norm_point_in_bbox": boxes.point_in_box,
}
PROGRAMS = "program_judge"
# These hand formulas to sympy, which may think for long; a caller may bound their time.
SLOW = frozenset(
    (
        "boxed_single_numerical_match",
        "general_single_numerical_match",
        "latex_expr_equality",
        "text_with_latex_expr_equality",
    )
)


def is_scored(metric: str, execute: Execute | None = None) -> bool:
    """Whether `score_field` scores fields of a metric."""
    return metric in METRICS or metric in CONTEXT_METRICS or (metric == PROGRAMS and execute is not None)


def score_field(
    metric: str,
    response: object,
    gold: object,
    eval_context: Mapping[str, Any],
    execute: Execute | None = None,
) -> float | None:
    """Score one field in [0, 1]; -1.0 leaves it out, None says that it is not scored.

    Not scored are metrics that ask a judge or the network, and `program_judge` without an `execute`. `response` is the
    parsed value, None where the model gave none. As in the official code, an answer on which a metric fails scores 0.0.
    Raises ConfigError where the metric's packages are absent.
    """
    try:
        if metric in CONTEXT_METRICS:
            return CONTEXT_METRICS[metric](response, eval_context)
        if metric == PROGRAMS:
            return None if execute is None else share_of_tests_passed(response, eval_context, execute)
        return METRICS[metric](response, unquoted(gold)) if metric in METRICS else None
    except MALFORMED:
        return 0.0
