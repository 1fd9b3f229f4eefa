# The commands of edge_seg. Each sets up what it needs; the second run installs nothing.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where a system ROS was sourced, ROS_DISTRO names that one.
export ROS_DISTRO ?= kilted
export PYTHON ?=
export DEMO_SECONDS ?= 20
export SOURCE ?=
export NAME ?=
export OPTIONS ?=

COLCON := build/colcon/$(ROS_DISTRO)
RUN := tools/in_ros_env
CHECKED := latency throughput cameras nav2

.PHONY: help setup setup-tests build demo test lint format bench bench-check cover-tensorrt lock clean

help:  ## List the commands.
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24
	@echo '  ROS_DISTRO=jazzy make ... for Jazzy; PYTHON=/path/to/python3 chooses the Python'

setup:  ## Make the virtual environment: ROS 2, tools, all pinned.
	@tools/setup_env

setup-tests:
	@tools/setup_env --tests

build: setup  ## colcon build.
	@$(RUN) colcon --log-base $(COLCON)/log --log-level error build --base-paths . \
		--build-base $(COLCON)/build --install-base $(COLCON)/install

demo: build  ## Camera, segmentation, masks: DEMO_SECONDS=20, SOURCE=video|folder|/dev/video0|bag.
	@$(RUN) edge_seg demo --seconds "$$DEMO_SECONDS" $${SOURCE:+--source "$$SOURCE"}

test: setup-tests build lint  ## Build, lint, type check and test.
	@$(RUN) tools/run_tests

lint: setup  ## What CI checks before the tests.
	@$(RUN) tools/run_linters

format: setup  ## Format the code and sort its imports.
	@$(RUN) ruff check --quiet --fix .
	@$(RUN) ruff format .

bench: build  ## Measure: NAME=<benchmark>, all without it; OPTIONS="--quick".
	@$(RUN) edge_seg bench $$NAME $$OPTIONS

bench-check: build  ## Compare ratios with bench/baseline.json; fails when one got worse.
	@$(RUN) edge_seg bench $(CHECKED) --runs 3 --output build/bench-check \
		--check bench/baseline.json $$OPTIONS

cover-tensorrt: setup-tests  ## Test on each version of TensorRT alone; fails below its coverage.
	@$(RUN) tools/cover_tensorrt

lock:  ## Pin requirements/*.in anew (needs uv).
	@tools/lock_requirements

clean:  ## Remove what was built; .venv stays.
	rm -rf build install log
