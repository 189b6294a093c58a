"""Records to tables, plots and pages: pure functions, so that anybody can make them again."""
