"""Bar charts as SVG, readable on light and dark pages. Knows nothing of what they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 210, 90
BAR, GAP, GROUP_GAP, HEAD = 16, 3, 14, 58
FONT = "font-family='system-ui, sans-serif'"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `parts` lie end to end, the later ones paler."""

    colour: str
    parts: tuple[float, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    bars: tuple[Bar, ...]


def bar_chart(title: str, series: Mapping[str, str], groups: Sequence[Group], note: str = "") -> str:
    """`series`: names and their colours."""
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    most = max((sum(bar.parts) for group in groups for bar in group.bars), default=0) or 1
    body: list[str] = []
    y = HEAD
    for group in groups:
        height = len(group.bars) * (BAR + GAP)
        body.append(_text(LABEL_WIDTH - 10, y + height / 2 + 3, group.label, anchor="end"))
        for bar in group.bars:
            x = float(LABEL_WIDTH)
            for number, part in enumerate(bar.parts):
                width = part / most * room
                body.append(
                    f"<rect x='{x:.1f}' y='{y}' width='{width:.1f}' height='{BAR}' "
                    f"fill='{bar.colour}' fill-opacity='{1 - 0.45 * number:.2f}'/>"
                )
                x += width
            body.append(_text(x + 6, y + BAR - 4, bar.text))
            y += BAR + GAP
        y += GROUP_GAP
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {y + 12}' role='img' "
        f"aria-label='{escape(title, quote=True)}' font-size='12' {FONT}>\n"
        f"<rect width='100%' height='100%' rx='6' fill='#fff'/>\n"
        f"<text x='14' y='22' font-size='15' font-weight='600' fill='#1b1f24'>{escape(title)}</text>\n"
        + _legend(series, note)
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _legend(series: Mapping[str, str], note: str) -> str:
    out, x = [], 14.0
    for name, colour in series.items():
        out.append(f"<rect x='{x:.0f}' y='33' width='11' height='11' fill='{colour}'/>")
        out.append(_text(x + 16, 43, name))
        x += 32 + 7 * len(name)
    if note:
        out.append(_text(x + 6, 43, note))
    return "\n".join(out) + "\n"


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='#4b535d'>{escape(text)}</text>"
