# Every command of the project. Run one as `uv run just <recipe>`: that makes the environment too.

set positional-arguments

# List the recipes
[private]
default:
    @just --list --unsorted

# Run the demo: a shop whose resources live exactly as long as each of its workers
[group('run')]
demo *options:
    python examples/shop/demo.py "$@"

# Build the documentation site in .site/html; each warning, and each link to nowhere, is an error
[group('run')]
docs *options:
    python -m tools.site "$@"

# Measure what the performance budget limits beside 0.5.4 and the floor; write docs/performance.md
[group('run')]
bench *options:
    python -m benchmarks "$@"

# Measure the requests per second with each adapter; write docs/throughput.md (needs wrk)
[group('run')]
bench-servers *options:
    python -m benchmarks.throughput "$@"

# Measure requests that query PostgreSQL; write docs/request-threads-figures.md (needs wrk)
[group('run')]
bench-database *options:
    python -m benchmarks.database "$@"

# Count the requests that a rolling restart behind HAProxy loses, with a drain delay and without
[group('run')]
rolling-restart *servers:
    python -m benchmarks.rolling_restart "$@"

# Run the whole test suite; options go to pytest
[group('test')]
test *options:
    python -X dev -m pytest "$@"

# Lay CPython 3.14 and 3.15 out in .versions/ for test-versions, unless they are installed
[group('test')]
pythons:
    python -m tools.pythons

# Run the core's tests on every pair of Python and Django, the adapters' on two (--fewer, --quick)
[group('test')]
test-versions *options:
    python -m tools.test_versions "$@"

# Run test-versions; all pairs together must cover every line and branch
[group('test')]
coverage *options:
    python -m tools.test_versions "$@"
    coverage combine --quiet
    coverage report --fail-under=100

# Run 6,000 random lifespans for each property of the supervisor, instead of 300; takes minutes
[group('test')]
properties *options:
    python -m pytest packages/core/tests/test_supervisor_properties.py \
        --hypothesis-profile=large -o faulthandler_timeout=3600 "$@"

# Run 18 folders of Django's own tests with our handler, on each Django (--quick: seven of them)
[group('test')]
django-suite *options:
    python -m tools.django_suite "$@"

# Run every server through every scenario; write the results and the compatibility page
[group('matrix')]
matrix *options:
    python -m integration.harness run "$@"

# Run one cell, such as uvicorn.handler stop-term, and print its journal
[group('matrix')]
matrix-show target *probes:
    python -m integration.harness show "$@"

# Run a part of the matrix that takes a few minutes; fail if it shows what is not committed
[group('matrix')]
matrix-smoke:
    python -m integration.harness smoke

# Run the matrix on other Pythons and with earlier releases of the servers and of Django
[group('matrix')]
matrix-versions *options:
    python -m integration.harness versions "$@"

# Play random stories of OS signals and clients (a target, --seed N, --minutes N; --help)
[group('matrix')]
chaos *options:
    python -m integration.chaos "$@"

# Fail if a result, an answer, a note or a page is missing, or differs from what is committed
[group('matrix')]
matrix-check:
    python -m integration.harness check

# Write the notes into the results that are there, and render the compatibility page anew
[group('matrix')]
matrix-render:
    python -m integration.harness render

# Check the style of the code
[group('check')]
lint:
    ruff check
    ruff format --check
    just --fmt --check

# Check the types, as the lowest and the highest Python see them
[group('check')]
types:
    mypy --python-version 3.10
    mypy --python-version 3.15
    pyright --pythonversion 3.10
    pyright --pythonversion 3.15

# Put the code into the project's style
[group('change')]
format:
    ruff check --fix
    ruff format
    just --fmt

# Write the page of the core for the package index, from README.md
[group('change')]
index-page:
    python -m tools.index_page

# Pin what uv resolves (--upgrade: the newest, and test what that changes; --check: only compare)
[group('change')]
pins *options:
    python -m tools.pins "$@"
