"""The rules: pure Python, standard library only; no clock, no setting, no database."""
