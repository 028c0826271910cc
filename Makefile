# Aliases for those whose fingers say "make". The work is in dev.py.
.PHONY: run test lint types
run test lint types:
	python3 dev.py $@
