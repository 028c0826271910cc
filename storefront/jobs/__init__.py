"""What the worker ticks: choose work, call a service, report. No rule lives here."""
