"""The outside world, one small port each: clock, mail, files, passwords, HTTP."""
