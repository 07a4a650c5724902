"""Things with parts to name, each drawn on a canvas of 480 by 400 pixels whose right quarter stays free."""

from __future__ import annotations

import math

from .drawing import Canvas, Point


def plant(canvas: Canvas) -> dict[str, Point]:
    """Draw a flowering plant with its roots in the ground; return a point of each part."""
    canvas.box((0, 300, 480, 400), "#d8c3a5", None)
    for end in ((170, 372), (205, 385), (240, 390), (275, 380), (312, 368)):
        canvas.line([(240, 300), ((240 + end[0]) / 2, 335), end], "#7a5b3a", 3)
    canvas.line([(240, 302), (240, 120)], "#4c8a4a", 7)
    canvas.polygon([(240, 235), (180, 195), (130, 205), (175, 235)], "#6fb26a")
    canvas.polygon([(240, 200), (300, 160), (352, 168), (305, 200)], "#6fb26a")
    for step in range(8):
        x, y = 240 + 30 * math.cos(step * math.pi / 4), 95 + 30 * math.sin(step * math.pi / 4)
        canvas.oval((x - 17, y - 17, x + 17, y + 17), "#e58fa8", "#b35d78")
    canvas.oval((222, 77, 258, 113), "#f2c84b", "#a88420")
    return {"Petal": (268, 74), "Leaf": (315, 178), "Stem": (240, 270), "Root": (275, 380)}


def earth(canvas: Canvas) -> dict[str, Point]:
    """Draw a section through the Earth; return a point of each part."""
    for radius, fill in ((165, "#8a6d4b"), (150, "#d9622b"), (96, "#eda13a"), (48, "#f7df72")):
        canvas.oval((220 - radius, 200 - radius, 220 + radius, 200 + radius), fill, "#6b4a2a")
    return {"Crust": (337, 91), "Mantle": (330, 150), "Outer core": (280, 250), "Inner core": (236, 190)}


def volcano(canvas: Canvas) -> dict[str, Point]:
    """Draw a section through an erupting volcano; return a point of each part."""
    canvas.polygon([(30, 310), (205, 110), (255, 110), (440, 310)], "#9a8474")
    canvas.box((0, 310, 480, 400), "#7c6a5c", None)
    canvas.oval((150, 322, 320, 388), "#e2572b", "#8e2f14")
    canvas.polygon([(222, 335), (222, 112), (240, 112), (244, 335)], "#e2572b", None)
    canvas.polygon([(255, 110), (244, 112), (330, 232), (352, 238), (348, 214)], "#f08a3c", "#8e2f14")
    for x, y, radius in ((215, 62, 28), (250, 48, 34), (285, 66, 24)):
        canvas.oval((x - radius, y - radius, x + radius, y + radius), "#b9bec4", None)
    return {"Magma chamber": (270, 362), "Vent": (230, 250), "Lava flow": (318, 196), "Ash cloud": (275, 48)}


def cell(canvas: Canvas) -> dict[str, Point]:
    """Draw a plant cell; return a point of each part."""
    canvas.box((70, 60, 390, 345), "#e0efd3", "#3f7a3c", 9, radius=34)
    canvas.oval((165, 120, 330, 265), "#cfe3f4", "#6a92b8", 2)
    canvas.oval((95, 235, 165, 305), "#c9a7d6", "#7d5a92", 2)
    for x, y in ((118, 110), (330, 300), (235, 305), (345, 100)):
        canvas.oval((x - 20, y - 11, x + 20, y + 11), "#57a05a", "#2f6b33")
    return {"Cell wall": (390, 200), "Vacuole": (270, 180), "Nucleus": (122, 288), "Chloroplast": (338, 304)}
