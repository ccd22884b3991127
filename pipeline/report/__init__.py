"""The report: the paper's tables and figures beside ours, as a page, as CSV, as SVG and PNG."""

from pipeline.report.build import build_report

__all__ = ["build_report"]
