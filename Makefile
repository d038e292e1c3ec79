# A line or two each; the logic lives in tools/.
PYTHON ?= python3
FLEET = @command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and $(PYTHON) is not on PATH." >&2; exit 1; }; $(PYTHON) -m tools.fleet
DEV = .venv-dev/bin

.DEFAULT_GOAL := help
.PHONY: help install up down status logs test containers dev lint types faults bench migrate backup restore move new-service render api lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## install what is missing, start the fleet, wait until it is ready
	$(FLEET) up
down: ## stop this clone's services; their data stays in var/
	$(FLEET) down
status: ## what runs, where, and which market serves
	$(FLEET) status
logs: ## follow the logs (make logs S=database-service for one)
	$(FLEET) logs
test: ## ruff, mypy and all tests, with real PostgreSQL and Redis where they are installed
	$(FLEET) test
containers: ## build, start, break and undo the fleet on a Docker engine of its own (Linux, root; ten minutes)
	$(FLEET) containers

install: ## only install (.venv, node_modules), for those who start PM2 by hand
	$(FLEET) install
dev: ## only make what the tests need (.venv-dev, servers)
	$(FLEET) dev
lint: ## ruff
	$(FLEET) lint
types: ## mypy --strict
	$(FLEET) types
faults: dev ## the fault experiments at full length
	FAULTS_SCALE=1 $(DEV)/pytest -m faults -s --timeout=3600
bench: dev ## the figures of docs/benchmarks.md, in about 35 minutes
	$(DEV)/python -m benchmarks && $(DEV)/python -m benchmarks.whole_fleet && $(DEV)/python -m benchmarks.storage && $(DEV)/python -m benchmarks.streaming && $(DEV)/python -m benchmarks.gateway && $(DEV)/python -m benchmarks.dashboard
migrate: install ## bring the database to the newest schema (a starting service does it, too)
	cd database-service && ../.venv/bin/python -m database_service.migrate
backup: install ## copy the embedded database while it is in use, checked (FILE=… says where to)
	cd database-service && ../.venv/bin/python -m database_service.backup $(if $(FILE),"$(abspath $(FILE))")
restore: install ## put a backup in the embedded database's place: make restore FILE=…, with the service stopped
	cd database-service && ../.venv/bin/python -m database_service.backup --restore "$(if $(FILE),$(abspath $(FILE)),$(error which one? make restore FILE=…))"
move: install ## move the embedded database to PostgreSQL, counts and checksums compared (set DATABASE_URL)
	cd database-service && ../.venv/bin/python -m database_service.move
new-service: dev ## a further service, whole and running: make new-service NAME=funding-watch
	$(DEV)/python -m tools.new_service $(if $(NAME),"$(NAME)",$(error which name? make new-service NAME=funding-watch)) $(if $(TITLE),--title "$(TITLE)") $(if $(PORT),--port $(PORT))
render: dev ## make Dockerfiles, .env.example and prometheus.yml from their sources
	$(DEV)/python -m tools.render
api: dev ## make docs/api.md from what the services say of themselves
	$(DEV)/python -m tools.api_document
lock: ## pin the newest versions into requirements*.lock, with hashes
	$(PYTHON) -m tools.lock
