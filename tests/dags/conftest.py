"""Airflow reads its home when it is first imported: one of the tests' own, without a database."""

import atexit
import os
import shutil
import tempfile

home = tempfile.mkdtemp(prefix="assay-airflow-")
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
