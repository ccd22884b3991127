"""The report: the paper's tables and figures beside ours, as a page, as CSV, as SVG and PNG."""

from pipeline.report.build import PAGE, build_report

__all__ = ["PAGE", "build_report"]
