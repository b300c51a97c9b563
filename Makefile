# One short command for each thing that people and CI do. Every one of them may be repeated and interrupted.

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint up down status clean lock scorecard bench-land bench-collect profile-land bench-peers bench-freshness chaos model kill-land fuzz stores
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
bin := .venv/bin
compile := .venv-uv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate

help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup: ## environments from the locks (two minutes the first time, then a second); Java and Maven where apt may
	@infra/bootstrap.sh

demo: setup ## a simulated month through the real path, then Airflow on its own; leaves the stack running (6 to 8 minutes)
	@$(bin)/python -m infra.demo

test: lint ## lint, then all tests against a real Kafka, object store, Postgres and Airflow (18 to 20 minutes)
	@$(bin)/pytest

lint: setup ## ruff, mypy --strict, sqlfluff (a minute)
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/sqlfluff lint dbt_project/models

up: setup ## start the local stack and wait until it is well (half a minute)
	@$(bin)/assay up

down: ## stop it and wait until nothing of it is left; data stays (20 seconds)
	@$(bin)/assay down

status: ## what runs, where, and how old the last rows are
	@$(bin)/assay status

clean: ## down, then wipe broker, lake, warehouse and databases together; environments and secrets stay
	@[ ! -x $(bin)/python ] || $(bin)/python -m ingest.stack.clean

lock: setup ## pin anew what pyproject.toml asks for (a minute; needs the network)
	$(compile) pyproject.toml -o requirements/core.lock
	$(compile) --group dev -c requirements/core.lock -o requirements/dev.lock
	$(compile) --group s3 -o requirements/s3.lock
	$(compile) --group chaos -o requirements/chaos.lock

scorecard: setup ## fit the audience scorecard again, and print how well it tells accounts apart (seconds)
	@$(bin)/python -m ingest.audience.scorecard

bench-land: setup ## what the landing costs against what is asked of it; `arguments="--only speed"` (half an hour)
	@$(bin)/python tests/bench/land.py $(arguments)

bench-collect: setup ## a cycle of 10,000 accounts on eight platforms, and of 100,000 on one; `arguments=--short` (15 minutes)
	@$(bin)/python tests/bench/collect.py $(arguments)

profile-land: setup ## where a drain's CPU time goes, by stage (2 minutes)
	@$(bin)/python tests/bench/profile_land.py $(arguments)

bench-peers: setup ## the landing against Spark and Flink on the same events (15 minutes; fetches 600 MB once)
	@$(bin)/python tests/bench/land.py --only peers $(arguments)

bench-freshness: setup ## ten times: a collect that has finished, to its rows in Postgres (10 minutes)
	@$(bin)/python tests/bench/freshness.py

fuzz: setup ## count=100000 bent payloads through the decoder, 5,000 more through broker and store; seed=N repeats (7 minutes)
	@$(bin)/python -m tests.land.fuzz --count $(or $(count),100000) --broker $(or $(broker),5000) $(if $(seed),--seed $(seed)) $(if $(batch),--batch $(batch))

stores: setup ## what the landing asks of a store, and the landing itself, on two independent stores (a minute; needs Go)
	@$(bin)/python -m tests.land.versitygw
	@$(bin)/pytest tests/land/test_store_conformance.py tests/land/test_landing_on_other_stores.py

chaos: setup ## minutes=5 of every fault at once upon the landing: store, processes, broker; then the count; seed=N repeats
	@$(bin)/python -m tests.chaos.chaos $(if $(minutes),--minutes $(minutes)) $(if $(seed),--seed $(seed)) $(arguments)

model: setup ## examples=5000 of the landing in any order of events, and 19 broken designs that must fail; seed=N repeats (4 minutes)
	@$(bin)/python -m tests.land.prove $(or $(examples),5000) $(seed)

kill-land: setup ## kill -9 a landing worker twenty times, then verify (some minutes)
	@$(bin)/python tests/chaos/kill_land.py
