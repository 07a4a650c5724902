"""MEGA-Bench's comparisons of boxes (x1, y1, x2, y2) and points (x, y) in a picture, normalised to [0, 1].

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring:
nbbox_iou.py, xml_nbbox_iou.py, xml_norm_point_distance.py, xml_norm_point_in_bbox.py and common/conversions.py.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .literals import is_number, literal

# Whatever a model wrote for a box: indexing it may raise, which is a score of 0.
Box = Sequence[Any]

_BOX = re.compile(r"<box>(.*?)</box>")
_POINT = re.compile(r"<point>(.*?)</point>")


def _iou(one: Box, other: Box) -> float:
    shared = max(0, min(one[2], other[2]) - max(one[0], other[0])) * max(
        0, min(one[3], other[3]) - max(one[1], other[1])
    )
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return float(shared / union) if union > 0 else 0.0


def _best_matches(found: Sequence[Box], target: Sequence[Box]) -> float:
    """Return the mean over the found boxes of the best IoU with a gold one; 0.0 without any."""
    return fmean(max((_iou(box, gold) for gold in target), default=0.0) for box in found) if found else 0.0


def _written(value: object) -> Any:
    """Return the literal or JSON that a text is, or () for neither. Raises TypeError for an impossible literal."""
    try:
        return literal(value)
    except ValueError:
        try:
            return json.loads(str(value))
        except ValueError:
            return ()


def _tuples(value: Any, size: int) -> list[Box]:
    """Return those items that are `size` numbers. Raises TypeError for a value without items."""
    items = [item for item in value if isinstance(item, list | tuple) and len(item) == size]
    return [item for item in items if all(is_number(part) for part in item)]


def boxes(value: object) -> Sequence[Box]:
    """Return the boxes that a text lists, a single one too; a list is taken as it is, anything else has none."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        return ()
    found = _written(value)
    if len(found) == 4 and is_number(found[0]):
        found = [found]
    return _tuples(found, 4) if isinstance(found, list | tuple) else ()


def points(value: object) -> Sequence[Box]:
    """Return the points that a text lists, those of a list as they are. Raises ValueError where it lists none."""
    if isinstance(value, list | tuple):
        if len(_tuples(value, 2)) != len(value):
            raise ValueError("an item is no point")
        return value
    return _tuples(literal(value), 2) if isinstance(value, str) else ()


def iou_of_all(response: object, gold: object) -> float:
    """Return the mean over the response's boxes of the best IoU with a gold box."""
    return _best_matches(boxes(response), boxes(gold))


def iou_of_one(response: object, gold: object) -> float:
    """Return the IoU of two boxes that are written as literals."""
    found: Any = literal(response)
    target: Any = literal(gold)
    return _iou(found, target)


def iou_of_sequence(response: object, gold: object) -> float:
    """Return the mean IoU of two lists of boxes place by place; 0.0 for a different number."""
    found = boxes(response if isinstance(response, list | tuple) else str(response))
    target = boxes(gold)
    if len(found) != len(target) or not target:
        return 0.0
    return fmean(max(0.0, _iou(box, other)) for box, other in zip(found, target, strict=True))


def iou_of_tagged(response: object, gold: object) -> float:
    """Return the mean over the response's `<box>x1,y1,x2,y2</box>` of the best IoU with a gold one."""
    found = _tagged(response)
    if len(found) == 4 and is_number(found[0]):
        found = [found]
    return _best_matches(found, _tagged(gold))


def _tagged(value: object) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return value
    texts = _BOX.findall(value) if isinstance(value, str) else []
    read = (_floats(text) for text in texts)
    return [box for box in read if box is not None and len(box) == 4]


def _floats(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(part.strip()) for part in text.split(","))
    except ValueError:
        return None


def _point(value: object) -> Box | None:
    """Return the only `<point>x, y</point>` of a text, or a pair as it is; None where there is none or another."""
    if isinstance(value, list | tuple):
        return value if len(value) == 2 else None
    found = _POINT.findall(value) if isinstance(value, str) else []
    read = _floats(found[0]) if len(found) == 1 else None
    return read if read is not None and len(read) == 2 else None


def point_nearness(response: object, gold: object) -> float:
    """Return 1 - distance of two points, at least 0.0; 0.0 for a point outside the picture."""
    found, target = _point(response), _point(gold)
    if found is None or target is None or not all(0 <= part <= 1 for part in (*found, *target)):
        return 0.0
    return max(0.0, 1 - math.dist(found, target))


def point_in_box(response: object, eval_context: Mapping[str, Any]) -> float:
    """Return 1.0 where the point is in one of the `bounding_boxes` of the context, each of them written as text."""
    areas = [boxes(text)[0] for text in eval_context["bounding_boxes"]]
    point = _point(response)
    if point is None:
        return 0.0
    return float(any(area[0] <= point[0] <= area[2] and area[1] <= point[1] <= area[3] for area in areas))
