"""The growth curves as an SVG picture, written by hand. No I/O."""

import math
from collections.abc import Sequence
from html import escape

from bench_results import Curve

_WIDTH, _HEIGHT = 460, 340  # of one panel, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 32, 66, 52  # margins of a plot in its panel
_COLOURS = ("#0b6e99", "#c2410c", "#5b7f1a", "#7c3aed")
_PAPER, _INK, _FAINT, _GRID = "#f6f7f8", "#1f2933", "#52606d", "#d3d8de"
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM


def chart(curves: Sequence[Curve]) -> str:
    """One panel for each family of curves, side by side. The paper is drawn, so that it is read on any background."""
    families = list(dict.fromkeys(curve.family for curve in curves))
    subjects = list(dict.fromkeys(curve.subject for curve in curves))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(subjects)}
    width = max(len(families), 1) * _WIDTH
    fonts = 'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="12"'
    size = f'width="{width}" height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {fonts}>',
        "<title>CPU seconds of the relay for a million delivered lines</title>",
        f'<rect width="{width}" height="{_HEIGHT}" rx="6" fill="{_PAPER}"/>',
    ]
    for place, family in enumerate(families):
        shown = [curve for curve in curves if curve.family == family and curve.points]
        parts.append(f'<g transform="translate({place * _WIDTH} 0)">')
        parts += _panel(family, shown, colours)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(family: str, curves: Sequence[Curve], colours: dict[str, str]) -> list[str]:
    parts = [_text(_LEFT, 24, f"CPU per delivered line, {family}", size=14, colour=_INK, weight="600")]
    parts += _legend(curves, colours)
    points = [point for curve in curves for point in curve.points]
    if not points:
        return parts
    low, high = min(point.at for point in points), max(point.at for point in points)
    step = _step(max(point.per_million for point in points))
    top = step * math.ceil(max(point.per_million for point in points) / step)

    def x(at: float) -> float:
        share = math.log(at / low) / math.log(high / low) if high > low else 0.5
        return _LEFT + _PLOT_WIDTH * share

    def y(value: float) -> float:
        return _TOP + _PLOT_HEIGHT * (1 - value / top)

    for number in range(round(top / step) + 1):
        level = y(number * step)
        parts.append(f'<path d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, level + 4, f"{number * step:g}", anchor="end"))
    for at in sorted({point.at for point in points}):
        parts.append(f'<path d="M{x(at):.1f} {_TOP}V{_TOP + _PLOT_HEIGHT + 4}" stroke="{_GRID}"/>')
        parts.append(_text(x(at), _TOP + _PLOT_HEIGHT + 18, f"{at:,.0f}", anchor="middle"))
    axis = _LEFT + _PLOT_WIDTH / 2
    parts.append(_text(axis, _HEIGHT - 12, f"{curves[0].axis} (logarithmic)", anchor="middle"))
    middle = _TOP + _PLOT_HEIGHT / 2
    turned = f'transform="rotate(-90 16 {middle})"'
    parts.append(_text(16, middle, "CPU seconds per million lines", anchor="middle", more=turned))
    for curve in curves:
        parts += _drawn(curve, colours[curve.subject], [(x(p.at), y(p.per_million)) for p in curve.points])
    return parts


def _step(highest: float) -> float:
    """A round distance between grid lines, so that there are three to six of them."""
    rough = max(highest, 1e-6) / 4
    unit: float = 10.0 ** math.floor(math.log10(rough))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)


def _drawn(curve: Curve, colour: str, places: Sequence[tuple[float, float]]) -> list[str]:
    """The line, a dot for each size that was kept up with, and a ring for one that was not."""
    path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
    parts = [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>']
    for point, (across, down) in zip(curve.points, places, strict=True):
        fill = colour if point.good else _PAPER
        told = escape(f"{curve.subject}, {point.at:,.0f} {curve.axis}: {point.per_million:.2f}")
        parts.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3.5" fill="{fill}" stroke="{colour}" stroke-width="2">'
            f"<title>{told}</title></circle>"
        )
    return parts


def _legend(curves: Sequence[Curve], colours: dict[str, str]) -> list[str]:
    parts: list[str] = []
    across = _LEFT
    for curve in curves:
        parts.append(f'<circle cx="{across + 5}" cy="42" r="4" fill="{colours[curve.subject]}"/>')
        parts.append(_text(across + 14, 46, curve.subject))
        across += 30 + 7 * len(curve.subject)
    if any(not point.good for curve in curves for point in curve.points):
        parts.append(
            f'<circle cx="{across + 5}" cy="42" r="3.5" fill="none" stroke="{_FAINT}" stroke-width="2"/>'
        )
        parts.append(_text(across + 14, 46, "not kept up"))
    return parts


def _text(
    across: float,
    down: float,
    words: str,
    *,
    anchor: str = "start",
    size: int = 12,
    colour: str = _FAINT,
    weight: str = "400",
    more: str = "",
) -> str:
    return (
        f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" '
        f'font-weight="{weight}" {more}>{escape(words)}</text>'
    )
