"""Figures: the same bytes each time, and inline ones that follow the page's theme."""

import re
import xml.etree.ElementTree as ElementTree

from pipeline.report.figure_style import house_style, inline, new_axes, series_style, to_png, to_svg


def rendered() -> tuple[str, bytes]:
    with house_style():
        figure, axes = new_axes(0.9)
        for number in range(4):
            style = series_style(number)
            axes.plot((0, 1), (0, number), color=style.color, linestyle=style.dashes, marker=style.marker)
        axes.set(title="A title", xlabel="x")
        return to_svg(figure), to_png(figure)


def test_same_figure_is_the_same_bytes() -> None:
    assert rendered() == rendered()


def test_inline_figure_has_no_colour_of_its_own_and_no_ids_on_groups() -> None:
    text = inline(rendered()[0], "a label")
    assert not re.findall(r"#[0-9a-fA-F]{6}", text)
    assert {f"var(--series-{number})" for number in range(1, 5)} <= set(re.findall(r"var\([^)]*\)", text))
    assert "<g id=" not in text
    assert 'role="img" aria-label="a label"' in text


def test_inline_figure_scales_with_the_page() -> None:
    root = ElementTree.fromstring(inline(rendered()[0], "a label"))
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & set(root.attrib)


def test_series_differ_without_colour() -> None:
    assert len({(series_style(number).dashes, series_style(number).marker) for number in range(4)}) == 4
