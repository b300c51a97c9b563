"""The demo: a simulated month through the real path, then Airflow by itself, then what came out beside the truth."""
