"""Expectation suites: hand-written JSON in `expectations/`, run by Great Expectations over data frames.

A suite is `{"name", "expectations": [{"type", "kwargs", "severity"}]}` without ids; the context is ephemeral. Nothing
of Great Expectations (seconds of import) is imported before there is something to judge.
"""

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import Misconfigured
from ingest.settings import ROOT
from ingest.warehouse.manifests import Failure

if TYPE_CHECKING:
    import pandas as pd

DIRECTORY = ROOT / "expectations"
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")


@dataclass(frozen=True)
class Suite:
    """One suite as it stands in its file, and the columns that it reads."""

    name: str
    expectations: tuple[dict[str, Any], ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One frame to judge by one suite; `label` (unique within a run) names it in the Data Docs."""

    label: str
    suite: Suite
    frame: "pd.DataFrame"


def load(name: str) -> Suite:
    """The suite `expectations/{name}.json`. Raises Misconfigured with file and line for anything else than a suite."""
    path = DIRECTORY / f"{name}.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise Misconfigured(f"{path} is missing: write the suite (see the others beside it)") from None
    except json.JSONDecodeError as error:
        raise Misconfigured(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    for position, expectation in enumerate(content.get("expectations", [])):
        if expectation.get("severity") not in {"critical", "warning"} or not {"type", "kwargs"} <= expectation.keys():
            raise Misconfigured(f"{path}: expectation {position} needs type, kwargs and severity (critical or warning)")
    expectations = tuple(content["expectations"])
    columns = {
        column
        for expectation in expectations
        for argument, value in expectation["kwargs"].items()
        for column in ([value] if argument in _COLUMN_ARGUMENTS else value if argument == "column_list" else [])
    }
    return Suite(name, expectations, tuple(sorted(columns)))


def judge(cases: list[Case], docs: Path) -> list[tuple[Failure, ...]]:
    """What did not hold, by case, critical failures first; writes the Data Docs of this run under `docs`.

    The pages show the newest run only; what an earlier one found stands in the manifests.
    Raises Misconfigured for an expectation that cannot be computed on its frame.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # its import alone writes hundreds of lines
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # This module turns its own logger up to INFO when it is imported.
    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.WARNING)

    for case in cases:
        if missing := set(case.suite.columns) - set(case.frame.columns):
            raise Misconfigured(
                f"{DIRECTORY / case.suite.name}.json names columns that {case.label} does not have: {sorted(missing)}"
            )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    shutil.rmtree(docs, ignore_errors=True)
    context.add_data_docs_site(
        "site",
        {
            "class_name": "SiteBuilder",
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    source = context.data_sources.add_pandas("assay")
    suites = {
        suite.name: context.suites.add(gx.ExpectationSuite(name=suite.name, expectations=list(suite.expectations)))
        for suite in {case.suite.name: case.suite for case in cases}.values()
    }
    outcomes = []
    for case in cases:
        batch = source.add_dataframe_asset(case.label).add_batch_definition_whole_dataframe("all")
        definition = gx.ValidationDefinition(name=case.label, data=batch, suite=suites[case.suite.name])
        checkpoint = gx.Checkpoint(
            name=case.label,
            validation_definitions=[context.validation_definitions.add(definition)],
            result_format="SUMMARY",
        )
        run = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": case.frame})
        results = [result for validation in run.run_results.values() for result in validation.results]
        outcomes.append(tuple(sorted(_failures(case, results), key=lambda failure: failure.severity)))
    context.build_data_docs(site_names=["site"])
    return outcomes


def _failures(case: Case, results: list[Any]) -> list[Failure]:
    failures = []
    for result in results:
        if result.exception_info.get("raised_exception"):
            raise Misconfigured(
                f"{DIRECTORY / case.suite.name}.json: {result.expectation_config.type} cannot be computed on "
                f"{case.label}: {result.exception_info['exception_message']}"
            )
        if not result.success:
            config = result.expectation_config
            columns = [config.kwargs[argument] for argument in _COLUMN_ARGUMENTS if argument in config.kwargs]
            columns += config.kwargs.get("column_list", [])
            severity = str(getattr(config.severity, "value", config.severity))
            failures.append(
                Failure(config.type, ", ".join(columns) or None, severity, _observed(result.result))  # type: ignore[arg-type]
            )
    return failures


def _observed(result: dict[str, Any]) -> str:
    if result.get("observed_value") is not None:
        return str(result["observed_value"])
    values = [str(value) for value in result.get("partial_unexpected_list", [])[:3]]
    shown = ", ".join(value for value in values if value not in {"nan", "NaT", "None"}) or "null"
    return f"{result.get('unexpected_count')} of {result.get('element_count')} rows, such as {shown}"
